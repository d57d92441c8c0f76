"""Where the files of batches arrive, by rsync or in their entries: waited for, told by their hash, and dropped."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from sidecar.core import version as versions
from sidecar.core.frames import Batch, Entry, How, Lane
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine import enclosed
from sidecar.engine.partials import Partials
from sidecar.errors import NeedsHelp, ProtocolViolation
from sidecar.fs import stage
from sidecar.fs.faults import Denied, Unstaged
from sidecar.fs.root import WebRoot

_BATCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOOK_ANYWAY: Final = 0.05
"""Seconds after which staged files are looked for though no event named them."""
_MISSES: Final = 8
"""Files that are looked for in vain before the rest is taken to be on its way, as long as the rsync has not ended."""
_ORPHANED: Final = 10.0
"""Seconds that an rsync gets to notice that its connection is gone."""
_OFF_LOOP: Final = 1 << 20
"""Files from this size on are hashed in an executor (bytes)."""


class Announced(NamedTuple):
    """What a staged file is to be: its xxh128, and its size in bytes."""

    hash: bytes
    size: int


class Inbox:
    """Shared by all links of this node.

    Args:
        partials: where a large file that is cut off goes on from.
    """

    def __init__(self, root: WebRoot, partials: Partials) -> None:
        self._root = root
        self._partials = partials
        self._awaited: dict[RelPath, asyncio.Event] = {}

    @staticmethod
    def owns(batch: str) -> bool:
        """Is this a name that the gate makes a directory of?"""
        return _BATCH.fullmatch(batch) is not None

    def expect(self, region: str, batch: Batch) -> None:
        """A batch was announced, of which rsync brings the files: a large one may go on where it was cut off."""
        if batch.lane is not Lane.LARGE or len(batch.entries) != 1:
            return
        entry = batch.entries[0]
        best = versions.winner(entry.version)
        if entry.how is How.STAGED and best is not None:
            self._partials.announced(region, batch.id, RelPath(entry.path), best.size)

    def arrived(self, names: list[RelPath]) -> None:
        """Files appeared in the inbox under these names."""
        for directory in {RelPath(b"/".join(name.split(b"/", 2)[:2])) for name in names}:
            event = self._awaited.get(directory)
            if event is not None:
                event.set()

    @contextmanager
    def enclosed(self, batch: Batch) -> Iterator[tuple[dict[bytes, Staged], bool]]:
        """The files that a batch encloses, as `enclosed.staged`; those that were not placed by the end go."""
        staged, full = enclosed.staged(self._root, batch.entries)
        try:
            yield staged, full
        finally:
            enclosed.drop(self._root, staged)

    async def staged(self, region: str, batch: Batch, ended: asyncio.Future[int]) -> dict[bytes, Staged]:
        """The files of a batch by name, each with the hash that was announced; what is torn or missing when the rsync
        of the sender has ended is left out."""
        named = ((entry.name or entry.path, _announced(entry)) for entry in batch.entries)
        waiting = {name: announced for name, announced in named if announced is not None}
        if not waiting:
            return {}
        directory = _directory(region, batch.id)
        if directory in self._awaited:
            raise ProtocolViolation(f"{region} named a batch that is under way: {batch.id!r}")
        event = self._awaited[directory] = asyncio.Event()
        ended.add_done_callback(lambda _: event.set())
        try:
            return await self._gather(directory, waiting, event, ended)
        finally:
            del self._awaited[directory]

    async def _gather(
        self, directory: RelPath, waiting: dict[bytes, Announced], event: asyncio.Event, ended: asyncio.Future[int]
    ) -> dict[bytes, Staged]:
        there: dict[bytes, Staged] = {}
        while True:
            event.clear()
            last = ended.done()
            await self._look(directory, waiting, there, len(waiting) if last else _MISSES)
            if last or not waiting:
                return there
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_ANYWAY):
                    await event.wait()

    async def _look(
        self, directory: RelPath, waiting: dict[bytes, Announced], there: dict[bytes, Staged], most: int
    ) -> None:
        # rsync sends in the order of the names: what comes next is what was asked for next
        misses = 0
        for name, announced in list(waiting.items()):
            found = await self._file(directory, name, announced.size)
            if found is None or found.hash != announced.hash:
                misses += 1
                if misses > most:
                    return
                continue
            there[name] = found
            del waiting[name]

    async def _file(self, directory: RelPath, name: bytes, size: int) -> Staged | None:
        path = RelPath(directory + b"/" + name)
        try:
            if size >= _OFF_LOOP:
                made = await asyncio.to_thread(stage.stage_file, self._root, path)
            else:
                made = stage.stage_file(self._root, path)
        except (Unstaged, Denied):
            return None
        return Staged(directory.decode(), name, made.hash, made.stat.ino)

    def make_room(self) -> None:
        """The disk is full: what nobody goes on with just now goes."""
        self._partials.make_room()

    def forget(self, region: str, batch: str, *, again: bool = True) -> None:
        """The batch is over and its rsync has ended: what is left of it in the inbox goes, at the next start if the
        disk does not let it go now. `again`: its file may come again, a large one goes on then."""
        with suppress(NeedsHelp):
            self._partials.left(region, batch, again=again)
            stage.drop(self._root.inbox, _directory(region, batch))

    def abandon(self, region: str, batches: Iterable[str]) -> None:
        """The link was cut: what these batches staged goes, when their rsyncs have noticed it too."""
        for batch in batches:
            asyncio.get_running_loop().call_later(_ORPHANED, self.forget, region, batch)


def _directory(region: str, batch: str) -> RelPath:
    return RelPath(f"{region}/{batch}".encode())


def _announced(entry: Entry) -> Announced | None:
    best = versions.winner(entry.version)
    if entry.how is How.LOSER:
        loser = next((head for head in entry.version.heads if head.hash == entry.hash), best)
        return Announced(entry.hash, loser.size if loser is not None else 0)
    return Announced(best.hash, best.size) if entry.how is How.STAGED and best is not None else None
