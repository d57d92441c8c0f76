"""Where the batches of all links land: staged files are waited for, entries land in slices, rows are committed."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Final, NamedTuple

from sidecar.core import version as versions
from sidecar.core.entry import Head
from sidecar.core.frames import Batch, Entry, Gone, How
from sidecar.core.ignore import Excluded
from sidecar.core.intent import Intent
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Staged, Surprise, Unreachable
from sidecar.engine import enclosed
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.disk import RootDisk
from sidecar.engine.durability import Durability
from sidecar.engine.guard import Guard
from sidecar.engine.identity import Identity
from sidecar.engine.joining import Joining
from sidecar.engine.land import Lander, goes_at_once
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.partials import Partials
from sidecar.engine.replica import Replica
from sidecar.errors import GeorootError, NeedsHelp, ProtocolViolation
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


class Landing:
    """Shared by all links of this node.

    Args:
        joining: while it waits, nothing lands.
        held: may a region delete or replace a path of so many bytes, held already or not? "", or why it is held.
        rejects: does what is here win over what a region would do, where that is held?
        last: has every peer but this region offered everything?
        waits: called when a region's row is to be asked for again, after all have answered.
        recover: writes the rows that a failed transaction left out though their renames were done.
        rows_lost: called when rows that the links were told of were taken back.
        nowhere: hears what the peers have not got.
        in_order: awaited before entries land on paths, so that what was written here earlier is taken up before.
        attribute: called with the region on whose behalf rows change, "" when that ends.
        trouble: called with (path, hint) for what a peer sent and this node could not do; "" when it could.
    """

    def __init__(
        self,
        me: Identity,
        root: WebRoot,
        disk: RootDisk,
        replica: Replica,
        absorber: Absorber,
        durability: Durability,
        partials: Partials,
        *,
        excluded: Excluded,
        links_outside: bool,
        joining: Joining,
        held: Callable[[str, int, bool], str],
        rejects: Callable[[str], bool],
        last: Callable[[str], bool],
        waits: Callable[[], None],
        recover: Callable[[], object],
        rows_lost: Callable[[], None],
        nowhere: Nowhere,
        in_order: Callable[[Iterable[RelPath]], Awaitable[None]],
        attribute: Callable[[str], None],
        trouble: Callable[[RelPath, str], None],
    ) -> None:
        self._me = me
        self._root = root
        self._disk = disk
        self._replica = replica
        self._absorber = absorber
        self._durability = durability
        self.partials = partials
        self._excluded = excluded
        self._links_outside = links_outside
        self.joining = joining
        self._awaited: dict[RelPath, asyncio.Event] = {}
        self._held = held
        self._rejects = rejects
        self._last = last
        self._waits = waits
        self._recover = recover
        self._given: set[RelPath] = set()
        self._rows_lost = rows_lost
        self.nowhere = nowhere
        self.in_order = in_order
        self.unfinished = False
        """a transaction failed with renames done: until `mend`, the rows tell less than the root shows"""
        self._attribute = attribute
        self.trouble = trouble
        self.problem = ""
        """why the last that came could not be stored; "": it was"""

    def owns(self, batch: str) -> bool:
        """Is this a name that the gate makes a directory of?"""
        return _BATCH.fullmatch(batch) is not None

    def lander(self, region: str, unmade: set[RelPath] | None = None) -> Lander:
        """What lands the entries of one batch of `region`; `unmade`: what the batches of one connection share."""
        return Lander(
            self._replica,
            self._absorber,
            self._me.resolver,
            self._excluded,
            Guard(self._replica, partial(self._held, region), partial(self._rejects, region), self._given),
            Directories(self._replica, self._absorber, unmade if unmade is not None else set()),
            self._links_outside,
            self._last(region),
            self.joining.prefer,
            waits=self._waits,
            complete_since=lambda: self._me.index.complete_since_us,
        )

    def gone(self, gone: Gone) -> None:
        """A peer has not got the bytes that it was asked for."""
        with self.committed(), self._me.index.transaction():
            self.nowhere.said(gone)

    async def durable(self) -> None:
        """Returns when everything landed so far survives a power loss."""
        await self._durability.reached()

    def forget(self, region: str, batch: str, *, again: bool = True) -> None:
        """The batch is over and its rsync has ended: what is left of it in the inbox goes, at the next start if the
        disk does not let it go now. `again`: its file may come again, a large one goes on then."""
        with suppress(NeedsHelp):
            self.partials.left(region, batch, again=again)
            stage.drop(self._root.inbox, _directory(region, batch))

    def abandon(self, region: str, batches: Iterable[str]) -> None:
        """The link was cut: what these batches staged goes, when their rsyncs have noticed it too."""
        for batch in batches:
            asyncio.get_running_loop().call_later(_ORPHANED, self.forget, region, batch)

    # -- staged files

    def enclosed(self, batch: Batch) -> tuple[dict[bytes, Staged], bool]:
        """The files that a batch encloses, as `enclosed.staged`."""
        return enclosed.staged(self._root, batch.entries)

    def drop(self, left: Mapping[bytes, Staged]) -> None:
        """Those that were not placed go."""
        enclosed.drop(self._root, left)

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

    def arrived(self, names: list[RelPath]) -> None:
        """Files appeared in the inbox under these names."""
        for directory in {RelPath(b"/".join(name.split(b"/", 2)[:2])) for name in names}:
            event = self._awaited.get(directory)
            if event is not None:
                event.set()

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

    # -- rows

    @asynccontextmanager
    async def copied(self, part: tuple[Entry, ...], leaving: Mapping[RelPath, Entry]) -> AsyncIterator[None]:
        """What these entries will want copied is, if it is large, while other things go on."""
        copies = self._disk.copies
        made: list[bytes] = []
        try:
            for entry in part:
                made.append(await copies.for_entry(entry, leaving, self._replica))  # noqa: PERF401 - what is made is dropped
            yield
        finally:
            for digest in filter(None, made):
                copies.drop(digest)

    @asynccontextmanager
    async def copied_by_hand(self, digest: bytes, size: int) -> AsyncIterator[None]:
        """The same for kept bytes that a person wants back."""
        made = await self._disk.copies.of_stored(digest, size)
        try:
            yield
        finally:
            self._disk.copies.drop(made)

    @contextmanager
    def slice(
        self, region: str, part: tuple[Entry, ...], staged: dict[bytes, Staged], leaving: Mapping[RelPath, Entry]
    ) -> Iterator[set[RelPath]]:
        """The entries of `part` land inside: what is intended is committed before, the rows after, in one go each.

        `leaving` are the tombstones of the batch, by path: what one of them gives up to a rename is intended with it.
        Gives the paths that were looked at.
        """
        index, root = self._me.index, self._root
        self.mend()
        gives_up = [
            leaving[path] for entry in part if entry.how is How.FROM and (path := RelPath(entry.name)) in leaving
        ]
        intended = {entry.path: entry for entry in (*gives_up, *part)}
        index.look_ahead(intended)
        with self.committed():
            # the intents are made of rows: what was written here before is in them
            with index.transaction(), root.holding():
                ahead = (path for path, entry in intended.items() if not goes_at_once(self._replica.row(path), entry))
                looked = self._look_first(ahead)
            with index.transaction():
                index.intend([self._intent(e, staged.get(e.name or e.path)) for e in intended.values()])
        self._attribute(region)
        try:
            with (
                self.committed(),
                index.transaction(),
                root.holding(),
                root.inbox.holding(),
                root.trash.holding(),
            ):
                self.unfinished = True
                yield looked
                index.clear_intents()  # those of this slice: others are over, or were finished by `mend`
            self.unfinished = False
        finally:
            self._attribute("")

    @contextmanager
    def by_hand(self, path: RelPath, head: Head) -> Iterator[None]:
        """What a person puts at `path` lands inside: as a slice does, so that after a kill all that left is listed."""
        index = self._me.index
        self.mend()
        with self.committed():
            with index.transaction():
                self._look_first([path])
            with index.transaction():
                index.intend([Intent(path, versions.write(self._replica.row(path).version, head))])
        with self.committed(), index.transaction():
            self.unfinished = True
            yield
            index.clear_intents([path])
        self.unfinished = False

    @contextmanager
    def committed(self) -> Iterator[None]:
        """A transaction that fails takes back rows that the links have been told of; one that does not shows that what
        was wrong is over."""
        try:
            yield
        except BaseException as error:
            self.problem = str(error) if isinstance(error, GeorootError) else self.problem
            self._rows_lost()
            raise
        self.problem = ""

    def _look_first(self, paths: Iterable[RelPath]) -> set[RelPath]:
        looked: set[RelPath] = set()
        for path in paths:
            with suppress(InUse, Surprise, Unreachable):
                self._absorber.refresh(path)
                looked.add(path)
        return looked

    def mend(self) -> None:
        """Finish what a failed transaction left.

        Raises:
            Retryable, NeedsHelp: it cannot be done yet, as on a full disk.
        """
        if self.unfinished:
            with self.committed():
                self._recover()
            self.unfinished = False

    def _intent(self, entry: Entry, staged: Staged | None) -> Intent:
        merged = versions.merge(self._replica.row(entry.path).version, entry.version)
        if staged is None:
            return Intent(entry.path, merged)
        return Intent(entry.path, merged, staged.ino, f"{staged.batch}/".encode() + staged.name)


def _directory(region: str, batch: str) -> RelPath:
    return RelPath(f"{region}/{batch}".encode())


def _announced(entry: Entry) -> Announced | None:
    best = versions.winner(entry.version)
    if entry.how is How.LOSER:
        loser = next((head for head in entry.version.heads if head.hash == entry.hash), best)
        return Announced(entry.hash, loser.size if loser is not None else 0)
    return Announced(best.hash, best.size) if entry.how is How.STAGED and best is not None else None
