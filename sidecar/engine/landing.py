"""Where the batches of all links land: entries in slices, with what is intended committed before, the rows after."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

from sidecar.core import version as versions
from sidecar.core.entry import Head
from sidecar.core.frames import Entry, Gone, How
from sidecar.core.ignore import Excluded
from sidecar.core.intent import Intent
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Staged, Surprise, Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.disk import RootDisk
from sidecar.engine.durability import Durability
from sidecar.engine.guard import Guard
from sidecar.engine.identity import Identity
from sidecar.engine.joining import Joining
from sidecar.engine.land import Lander, goes_at_once
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.replica import Replica
from sidecar.errors import GeorootError
from sidecar.fs.root import WebRoot


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
        self._excluded = excluded
        self._links_outside = links_outside
        self.joining = joining
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
