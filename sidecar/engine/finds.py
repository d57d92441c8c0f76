"""From found paths to rows: what the first scan of a new index met, or differed after a power loss, is settled."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import Final

import structlog

from sidecar.core import found
from sidecar.core.entry import Flag, Kind, Row, Stat, marked
from sidecar.core.found import Left
from sidecar.core.frames import Hello
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.disk import RootDisk
from sidecar.engine.hashing import LARGE, Hashing
from sidecar.engine.identity import Identity
from sidecar.engine.intake import Intake
from sidecar.engine.joining import Joining
from sidecar.engine.offers import Finding
from sidecar.engine.patience import Patience
from sidecar.engine.replica import Replica
from sidecar.engine.turn import SLICE, deepest_first
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500
"""Paths that get their version, or their mark, in one transaction."""

UNSYNCED: Final = 4096
"""Rows, the last ones, whose files may not have been on the disk yet: more than land before an answer is waited for."""


class Finds:
    """Takes up what a first scan finds, waits for the peers, and settles what they leave.

    Args:
        finding: who is waited for.
        joining: a person may have to choose first.
        patience: what waits for space waits in it.
        committed: a transaction inside that fails is told to the links.
        found_now: at a first set-up, wait for nobody.
        ask_anew: called when every peer is to offer all that it has once more.
        settled: called when nothing is found any more.
    """

    def __init__(
        self,
        me: Identity,
        index: Index,
        root: WebRoot,
        disk: RootDisk,
        replica: Replica,
        absorber: Absorber,
        intake: Intake,
        finding: Finding,
        joining: Joining,
        patience: Patience,
        *,
        committed: Callable[[], AbstractContextManager[None]],
        found_now: bool,
        ask_anew: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self._me = me
        self._index = index
        self._disk = disk
        self._hashing = Hashing(root, index, disk)
        self._replica = replica
        self._absorber = absorber
        self._intake = intake
        self._finding = finding
        self._joining = joining
        self._patience = patience
        self._committed = committed
        self._found_now = found_now
        self._ask_anew = ask_anew
        self._settled = settled
        self._large: list[RelPath] = []
        self._bereft = False
        """are peers to be asked once more, for what is not here any more?"""
        self._answered = asyncio.Event()
        self.done = asyncio.Event()
        """nothing is found any more"""

    # -- what peers say

    def met(self, hello: Hello) -> None:
        """A peer said hello."""
        self._finding.new[hello.region] = hello.new_index
        self._finding.joining[hello.region] = hello.joins
        self._answered.set()

    def offered(self, region: str) -> None:
        """A peer has offered everything it has."""
        self._finding.offered.add(region)
        self._answered.set()

    def look_again(self) -> None:
        """A person has chosen."""
        self._answered.set()

    # -- the first scan

    async def doubt(self) -> None:
        """After a power loss: the bytes of what was changed last are compared, whatever its size and times say."""
        if self._index.unclean and not self._index.power_lost and self._is_torn():
            self._index.set_power_lost()
        if not self._index.power_lost:
            return
        newest = 0
        for count, row in enumerate(self._index.beneath(ROOT, live_only=True)):
            if row.stat is not None and row.stat.kind is Kind.FILE:
                newest = max(newest, row.stat.ctime_ns)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        doubtful: list[Row] = []
        for count, row in enumerate(self._index.beneath(ROOT, live_only=True)):
            if found.doubted(row, newest):
                doubtful.append(row)
            if count % AT_ONCE == 0:
                self._mark(doubtful)
                doubtful = []
                await asyncio.sleep(0)
        self._mark(doubtful)
        log.warning("machine or volume stopped without notice: what differs now is compared with the peers, not sent")

    def _is_torn(self) -> bool:
        """Has any of the files of the last rows lost its content? The boot is the same: the volume alone went away."""
        now_ns = self._me.now_us() * 1000
        for row in self._index.since(self._index.max_seq() - UNSYNCED, UNSYNCED):
            with suppress(Unreachable):
                if found.torn(row, self._disk.look(row.path), now_ns):
                    return True
        return False

    def _mark(self, rows: Iterable[Row]) -> None:
        with self._index.transaction():
            for row in rows:
                self._index.put_stat(Row(row.path, row.version, row.stat, row.hash, row.seq, row.flags | Flag.RACY))

    async def take_up(self, paths: list[RelPath]) -> None:
        """These differ from their rows, in slices; what is large waits for `take_up_large`, off the loop."""
        for start in range(0, len(paths), SLICE):
            part: list[RelPath] = []
            for path in paths[start : start + SLICE]:
                stat = await self._looked(path)
                is_large = stat is not None and stat.kind is Kind.FILE and stat.size >= LARGE
                (self._large if is_large else part).append(path)
            self._absorb(part)
            await asyncio.sleep(0)

    async def take_up_large(self) -> None:
        """The rest of it: returns when all is taken up."""
        while self._large:
            path = self._large.pop()
            hashing = self._hashing.start(path)
            if hashing is not None:
                with suppress(Unreachable):  # so it is for the look that follows
                    await hashing
            self._absorb([path])

    async def _looked(self, path: RelPath) -> Stat | None:
        """What lies there. What was beneath a directory that is none any more is taken up first: with its directory,
        all of that would go in one transaction."""
        try:
            stat = self._disk.look(path)
        except Unreachable:
            return None
        row = self._index.get(path)
        was_directory = row is not None and row.stat is not None and row.stat.kind is Kind.DIR
        if was_directory and (stat is None or stat.kind is not Kind.DIR):
            async for beneath in deepest_first(self._index, path):
                self._absorb(beneath)
                await asyncio.sleep(0)
        return stat

    def _absorb(self, paths: list[RelPath]) -> None:
        absorber = self._absorber
        absorber.finding, absorber.power_lost = True, self._index.power_lost
        try:
            self._intake.absorb(paths)
        finally:
            absorber.finding = absorber.power_lost = False

    def scanned(self) -> None:
        """The first scan is over, no link is up yet."""
        if not self._index.finding:
            self._end()
        elif not self._index.flagged(Flag.FOUND, 1):
            if self._joining.waits:
                self._joining.nothing_found()
        else:
            self._index.ask_anew()  # what an earlier run put off too

    # -- what is left

    async def run(self) -> None:
        """When every peer has answered, what nobody knew becomes a write of this node; symlinks last."""
        while not self._me.found_done:
            if not self._may_settle():
                await self._answered.wait()
                self._answered.clear()
            else:
                await self._patience.through(self._settle)
        await asyncio.Event().wait()

    async def _settle(self) -> None:
        await self._leave()
        if self._bereft:
            self._bereft = False
            # their bytes are gone, but peers may have others: judged by these alone
            self._finding.offered.clear()
            self._ask_anew()
            return
        count = await self._date(symlinks=False) + await self._date(symlinks=True)
        if self._index.flagged(Flag.FOUND, 1):  # held: they wait for a person, and the peers' rows
            await self._answered.wait()
            self._answered.clear()
            return
        if self._finding.put_off:
            self._finding.put_off = False
            self._ask_anew()
        self._index.found_done()
        self._end()
        log.info("what the first scan found is settled", written=count)
        self._settled()

    def _may_settle(self) -> bool:
        if self._joining.waits:
            return False
        at_once = self._found_now and not self._index.power_lost
        waits = self._finding.waits_for() and not at_once
        return not waits or not self._index.flagged(Flag.FOUND, 1)

    async def _leave(self) -> None:
        """What has a version that no peer could settle."""
        if not self._index.power_lost:
            return
        left: list[Row] = []
        for count, row in enumerate(self._index.beneath(ROOT)):
            if found.is_found(row) and row.version.heads and not marked(row.flags, Flag.HELD):
                left.append(row)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        for start in range(0, len(left), AT_ONCE):
            with self._committed(), self._index.transaction():
                for row in left[start : start + AT_ONCE]:
                    self._left(row)
            await asyncio.sleep(0)

    def _left(self, row: Row) -> None:
        what = found.left(row)
        match what:
            case Left.WRITE:
                self._replica.commit(found.rewritten(row, self._replica.dots.on(row.version)), local=False)
            case Left.FORGET:
                self._index.put(found.forgotten(row))
            case Left.REMOVE:
                self._index.remove(row.path)
                self._index.set_incomplete()
        if what is not Left.WRITE:
            self._bereft = True
            log.warning("the bytes of a version are gone everywhere", path=row.path, what=what.value)

    async def _date(self, *, symlinks: bool) -> int:
        count = 0
        while rows := self._index.found(AT_ONCE, symlinks=symlinks):
            with self._committed(), self._index.transaction():
                for row in rows:
                    # offered, not sent: a peer that has the same bytes needs none of them
                    dots = self._replica.dots
                    self._replica.commit(found.dated(row, dots.run, dots.now_us()), local=False)
            count += len(rows)
            await asyncio.sleep(0)
        return count

    def _end(self) -> None:
        self._me.found_done = True
        self._joining.done()
        self.done.set()
