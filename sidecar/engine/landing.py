"""Where the batches of all links land: staged files are waited for, entries land in slices, rows are committed."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import Batch, Entry, How
from sidecar.core.intent import Intent
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine.absorb import Absorber
from sidecar.engine.disk import RootDisk
from sidecar.engine.durability import Durability
from sidecar.engine.identity import Identity
from sidecar.engine.land import Lander
from sidecar.engine.replica import Replica
from sidecar.fs import stage
from sidecar.fs.faults import Unstaged
from sidecar.fs.root import WebRoot

_BATCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOOKS: Final = (0.0005, 0.001, 0.001, 0.002, 0.002, 0.004, 0.008, 0.016)
"""Seconds between the looks for staged files; the last one goes on."""
_OFF_LOOP: Final = 1 << 20
"""Files from this size on are hashed in an executor (bytes)."""


class Landing:
    """Shared by all links of this node.

    Args:
        attribute: called with the region on whose behalf rows change, "" when that ends.
        trouble: called with (path, hint) for what a peer sent and this node could not do.
    """

    def __init__(
        self,
        me: Identity,
        root: WebRoot,
        disk: RootDisk,
        replica: Replica,
        absorber: Absorber,
        durability: Durability,
        *,
        links_outside: bool,
        attribute: Callable[[str], None],
        trouble: Callable[[RelPath, str], None],
    ) -> None:
        self._me = me
        self._root = root
        self._disk = disk
        self._replica = replica
        self._absorber = absorber
        self._durability = durability
        self._links_outside = links_outside
        self._attribute = attribute
        self.trouble = trouble

    def owns(self, region: str, batch: str) -> bool:
        """Is this a name that the gate makes a directory of for `region`?"""
        return _BATCH.fullmatch(batch) is not None

    def lander(self) -> Lander:
        """What lands the entries of one batch."""
        return Lander(self._replica, self._absorber, self._me.resolver, self._links_outside)

    async def durable(self) -> None:
        """Returns when everything landed so far survives a power loss."""
        await self._durability.reached()

    def forget(self, region: str, batch: str) -> None:
        """The batch is answered and its rsync has ended: what is left of it in the inbox goes."""
        stage.drop(self._root.inbox, _directory(region, batch))

    # -- staged files

    async def staged(self, region: str, batch: Batch, ended: asyncio.Future[int]) -> dict[bytes, Staged]:
        """The files of a batch by name, each with the hash that was announced; what is torn or missing when the sender's
        rsync has ended is left out."""
        waiting = {e.name or e.path: digest for e in batch.entries if (digest := _announced(e)) is not None}
        if not waiting:
            return {}
        there: dict[bytes, Staged] = {}
        directory = _directory(region, batch.id)
        for pause in _pauses():
            last = ended.done()
            await self._look(directory, waiting, there)
            if last or not waiting:
                return there
            await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")

    async def _look(self, directory: RelPath, waiting: dict[bytes, bytes], there: dict[bytes, Staged]) -> None:
        # rsync sends in the order of the names: what comes next is what was asked for next
        misses = 0
        for name, digest in list(waiting.items()):
            found = await self._file(directory, name)
            if found is None or found.hash != digest:
                misses += 1
                if misses > 8:
                    return
                continue
            there[name] = found
            del waiting[name]

    async def _file(self, directory: RelPath, name: bytes) -> Staged | None:
        path = RelPath(directory + b"/" + name)
        try:
            stat = self._root.inbox.lstat(path)
            if stat is None or stat.kind is not Kind.FILE:
                return None
            if stat.size >= _OFF_LOOP:
                made = await asyncio.to_thread(stage.stage_file, self._root, path)
            else:
                made = stage.stage_file(self._root, path)
        except Unstaged:
            return None
        return Staged(directory.decode(), name, made.hash, made.stat.ino)

    # -- rows

    @contextmanager
    def slice(self, region: str, part: tuple[Entry, ...], staged: dict[bytes, Staged]) -> Iterator[None]:
        """The entries of `part` land inside: what is intended is committed before, the rows after, in one go each."""
        index = self._me.index
        with index.transaction():
            index.intend([self._intent(entry, staged.get(entry.name or entry.path)) for entry in part])
        self._attribute(region)
        try:
            with index.transaction():
                yield
                index.clear_intents([entry.path for entry in part])
        finally:
            self._attribute("")

    def _intent(self, entry: Entry, staged: Staged | None) -> Intent:
        merged = versions.merge(self._replica.row(entry.path).version, entry.version)
        if staged is None:
            return Intent(entry.path, merged)
        return Intent(entry.path, merged, staged.ino, f"{staged.batch}/".encode() + staged.name)


def _directory(region: str, batch: str) -> RelPath:
    return RelPath(f"{region}/{batch}".encode())


def _announced(entry: Entry) -> bytes | None:
    if entry.how is How.LOSER:
        return entry.hash
    best = versions.winner(entry.version)
    return best.hash if entry.how is How.STAGED and best is not None else None


def _pauses() -> Iterator[float]:
    yield from _LOOKS
    while True:
        yield _LOOKS[-1]
