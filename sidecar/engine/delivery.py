"""What carries the bytes of one link: warm rsyncs for small files, one at a time for private copies and, over a
connection of their own, large ones."""

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from sidecar.core import version as versions
from sidecar.core.entry import Row, Version
from sidecar.core.frames import Lane
from sidecar.core.item import Item
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse
from sidecar.engine import enclosed
from sidecar.engine.absorb import Absorber
from sidecar.engine.checksum import Checksum
from sidecar.engine.disk import RootDisk
from sidecar.errors import GeorootError
from sidecar.fs import keep, stage
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from sidecar.link.master import Master
from sidecar.link.ondemand import OnDemand
from sidecar.link.rsync import RsyncOutcome, Spare, Transfer, Verdict
from sidecar.link.spares import Spares
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

_TROUBLE: Final = frozenset({Verdict.FAULT, Verdict.DISK, Verdict.KILLED})
"""Ends that somebody should hear of; a cut connection reports itself."""
REMEMBERED: Final = 1000
"""How many hashes that nothing here has are remembered."""


class Carrier:
    """One rsync that takes one batch to the peer."""

    def __init__(
        self, spare: Spare, again: Callable[[str], Spare] | None, ended: Callable[[RsyncOutcome], None]
    ) -> None:
        self.batch: Final = spare.batch
        self._spare = spare
        self._again = again
        self._ended = ended

    def send(self, names: Sequence[bytes]) -> Awaitable[int]:
        """Send these files; they are on their way when this returns. Awaits its exit code, or minus the signal."""
        return self._status(self._spare.send(names), names)

    async def _status(self, outcome: asyncio.Future[RsyncOutcome], names: Sequence[bytes]) -> int:
        done = await outcome
        if done.verdict is Verdict.NO_BASIS and self._again is not None:
            # the peer's copy could not serve as the basis of a delta: once more, whole
            done = await self._again(self.batch).send(names)
        self._ended(done)
        return done.status


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What goes alone: `source` as rsync is told it and as the batch directory will hold it, its hash, its version."""

    carrier: Carrier
    name: bytes
    hash: bytes
    version: Version
    drop: RelPath | None = None
    """a private copy in the outbox, to be removed afterwards"""


class Delivery:
    """The rsyncs of one link.

    Args:
        master: the connection of what is small.
        bulk: that of what is large.
        checksum: told of damage that is met.
        count: warm rsyncs of the small lane; 0: each is started when it is needed.
        compress, bwlimit: as the peer's settings say (KiB/s).
        delays: seconds to wait before the n-th start in a row after failures.
        changed: called when one became ready.
    """

    def __init__(
        self,
        master: Master,
        bulk: Master,
        root: WebRoot,
        index: Index,
        absorber: Absorber,
        disk: RootDisk,
        checksum: Checksum,
        metrics: Metrics,
        *,
        node: str,
        count: int,
        compress: bool,
        bwlimit: int,
        delays: Callable[[int], float],
        changed: Callable[[], None],
    ) -> None:
        self._master = master
        self._root = root
        self._index = index
        self._absorber = absorber
        self._disk = disk
        self._checksum = checksum
        self._metrics = metrics
        self._count = count
        self.encloses: Final = not bwlimit
        """may small files go without an rsync, which alone keeps to a limit?"""
        self._nowhere: dict[bytes, int] = {}
        """bytes that no path held, by hash: the seq up to which the rows were looked through"""
        self.problem = ""
        """what the last rsync that ended badly said"""

        def spares(over: Master, source: str, kept: int, *, delta: bool = False) -> Spares:
            return Spares(over, Transfer(source, delta, compress, bwlimit), node, kept, delays=delays, changed=changed)

        self._small = spares(master, root.path, count)
        self._large = spares(bulk, root.path, 0, delta=True)
        self._whole = spares(bulk, root.path, 0)
        self._copies = spares(bulk, os.path.join(root.state_path, "outbox"), 0)
        self._kept = {
            tree: spares(master, os.path.join(root.state_path, tree), 0) for tree in ("conflicts", "trash", "outbox")
        }
        self._over_bulk = (self._large, self._whole, self._copies)
        self._bulk = OnDemand(bulk, lambda: any(one.busy for one in self._over_bulk))

    async def run(self) -> None:
        """Keep the rsyncs warm until cancelled; then all are ended."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bulk.run())
            for spares in (self._small, *self._kept.values(), *self._over_bulk):
                group.create_task(spares.run())

    @property
    def bulk_problem(self) -> str:
        """Why what is large does not go: the connection that it wants cannot be opened, and what to do; "": it can."""
        return self._bulk.problem

    def ready(self) -> bool:
        """Would a small batch go at once?"""
        return self._small.ready > 0 or not self._count

    def at_rest(self) -> bool:
        """Are all rsyncs warm that are kept? While one is being replaced, to take the next costs more than it saves."""
        return self._small.full

    def take(self) -> Carrier:
        """What carries the next small batch."""
        return Carrier(self._small.take(), None, self._ended)

    def enclosed(self, path: RelPath, size: int) -> bytes:
        """The bytes of a file that goes in its entry."""
        return enclosed.read(self._root, path, size)

    def sending(self, paths: Sequence[RelPath], size: int) -> None:
        """Counted: files of `size` bytes together were handed over."""
        self._metrics.content_sent(self._master.peer.region, len(paths), size)

    async def load(self, item: Item, lane: Lane) -> Load | None:
        """What goes alone for `item`: a large file, one that never rests, or bytes that the peer wants. None: gone."""
        if item.want:
            return await self._wanted(item)
        if lane is Lane.LARGE:
            await self._bulk.opened()
        if item.private:
            return await self._private(item, self._copies if lane is Lane.LARGE else self._kept["outbox"])
        row = self._index.get(item.path)
        best = versions.winner(row.version) if row is not None else None
        if row is None or best is None:
            return None
        spares = self._large if lane is Lane.LARGE else self._small
        carrier = Carrier(spares.take(size=item.size), self._whole.take if lane is Lane.LARGE else None, self._ended)
        return Load(carrier, item.path, best.hash, row.version)

    async def _wanted(self, item: Item) -> Load | None:
        """Bytes of a losing head: from the root, the conflicts or the trash. Whether they are the ones, the peer's look
        at their hash tells."""
        row = self._index.get(item.path)
        if row is None:
            return None
        if row.hash == item.want:
            return Load(Carrier(self._small.take(), None, self._ended), item.path, item.want, row.version)
        if self._index.has_conflict(item.want):
            return self._from("conflicts", keep.conflict_name(item.want), item.want, row)
        trashed = self._index.trash_with(item.want)
        if trashed is not None:
            return self._from("trash", trashed, item.want, row)
        elsewhere = await self._elsewhere(item.want)
        if elsewhere is None:
            return None
        return Load(Carrier(self._small.take(), None, self._ended), elsewhere, item.want, row.version)

    async def _elsewhere(self, digest: bytes) -> RelPath | None:
        """Another path of the root that holds these bytes. Asked rarely enough to go through all rows, once: an index
        by hash would cost every write; what is asked for again is looked for among the rows written since."""
        at: int | None = self._nowhere.get(digest, 0)
        while at is not None:
            path, at = self._index.with_hash(digest, at)
            if path is not None:
                return path
            await asyncio.sleep(0)
        if len(self._nowhere) >= REMEMBERED:
            self._nowhere.clear()
        self._nowhere[digest] = self._index.max_seq()
        return None

    def _from(self, tree: str, name: RelPath, digest: bytes, row: Row) -> Load:
        return Load(Carrier(self._kept[tree].take(), None, self._ended), name, digest, row.version)

    async def _private(self, item: Item, spares: Spares) -> Load | None:
        """A copy that nobody writes to: what was copied is what is announced, whatever the writer has done since."""
        name = RelPath(os.urandom(8).hex().encode())
        refuses, opened = self._disk.refuser(item.path), False

        def refuse(is_open: bool | None) -> None:
            nonlocal opened
            opened = opened or bool(is_open)
            refuses(is_open)

        try:
            stat, digest = await asyncio.to_thread(stage.private_copy, self._root, item.path, name, refuse)
        except (GeorootError, InUse) as error:
            # gone, open again, or it changed while it was copied: its next event, or the next turn, tells
            log.debug("no private copy", path=item.path, why=str(error))
            return None
        row = self._index.get(item.path)
        with suppress(GeorootError), self._index.transaction():
            if opened or row is None or row.stat != stat or not self._checksum.is_damaged(row, digest):
                self._absorber.observed(item.path, stat, digest)
        row = self._index.get(item.path)
        best = versions.winner(row.version) if row is not None else None
        if row is None or best is None or best.hash != digest:
            stage.drop(self._root.outbox, name)
            return None
        return Load(Carrier(spares.take(), None, self._ended), name, digest, row.version, name)

    def done(self, load: Load) -> None:
        """Its rsync has ended."""
        if load.drop is not None:
            stage.drop(self._root.outbox, load.drop)

    def _ended(self, outcome: RsyncOutcome) -> None:
        region = self._master.peer.region
        self._metrics.rsync_ended(region, outcome.verdict.value)
        if outcome.verdict in _TROUBLE:
            self.problem = outcome.stderr.rpartition("\n")[2] or f"rsync ended with {outcome.status}"
            log.warning("an rsync failed", peer=region, status=outcome.status, said=self.problem)
        elif outcome.verdict is Verdict.SENT:
            self.problem = ""
