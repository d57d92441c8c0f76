"""The index of this node against that of a peer: their sums are compared now and then, and what differs is offered."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeAlias

import structlog

from sidecar.core import compare
from sidecar.core import version as versions
from sidecar.core.ageing import Agreement
from sidecar.core.compare import Comparing, Sums
from sidecar.core.entry import Flag, Row, marked
from sidecar.core.frames import LEFT_OUT, Compare, Compared, Hello, Lane, Outcome, Verdict
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.asking import Asking
from sidecar.engine.identity import Identity
from sidecar.index.store import Index
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_LEFT_OUT: Final = 10_000
"""Paths that a peer excludes, holds or refuses: when there are more, nothing is compared over that connection."""
PAGE: Final = 2000
"""Tombstones read from the index at a time."""
LOOKED_UP: Final = 250
"""Paths looked up in the index at a time."""
LOOK: Final = 0.2
"""The shortest time between two looks, in seconds."""


@dataclasses.dataclass(slots=True)
class Way:
    """One direction of a link, as comparing sees it: the paths that the receiving side excludes, holds or refuses, and
    the outbox of the sending side, if that is here."""

    left_out: set[RelPath] = dataclasses.field(default_factory=set)
    box: Outbox | None = None
    too_much: bool = False
    """not all of them are known: they were more than is worth remembering"""

    def told(self, path: RelPath, outcome: Outcome) -> None:
        """What the receiving side made of a path."""
        if outcome not in LEFT_OUT:
            self.left_out.discard(path)
        elif len(self.left_out) < MOST_LEFT_OUT:
            self.left_out.add(path)
        else:
            self.too_much = True


OtherWay: TypeAlias = Callable[[Hello], Way | None]
"""The direction from (or to) the node that said this hello, if there is a link."""


def both(way: Way, other_way: OtherWay, peer: Hello | None) -> list[Way]:
    """Both directions between this node and a peer, or the one that there is."""
    other = other_way(peer) if peer is not None else None
    return [way, other] if other is not None else [way]


def resting(box: Outbox, now: float) -> bool:
    """Is nothing on its way, and nothing to be sent now? What a peer could not take waits, and holds nothing up."""
    if not box.loaded or any(box.in_flight(lane) for lane in Lane) or any(box.rounds.waiting.values()):
        return False
    return all(item.busy or item.not_before > now for item in box.live.values())


async def sums_for(index: Index, ways: Iterable[Way], since: int) -> Sums | None:
    """What the rows sum up to that both sides may have: without those that one of them leaves out, and without
    tombstones older than `since` (µs since 1970); None: too much is left out."""
    ways = tuple(ways)
    if any(way.too_much for way in ways):
        return None
    left_out = set[RelPath]().union(*(way.left_out for way in ways))
    dead, after = compare.EMPTY, (-1, 0)
    while page := index.dead_summands(since, PAGE, after):
        dead = compare.toggled(dead, (number for _, _, number in page))
        after = page[-1][:2]
        await asyncio.sleep(0)
    out, paths = compare.EMPTY, list(left_out)
    for start in range(0, len(paths), LOOKED_UP):
        out = compare.toggled(out, index.summands(paths[start : start + LOOKED_UP], since))
        await asyncio.sleep(0)
    return compare.combined(compare.combined(index.sums(), out), dead)


class Comparer:
    """Compares over one connection that this node opened; `state` outlives it.

    Args:
        peer: what the peer said in hello.
        ways: this direction of the link and the other one, if there is one.
        asking: asks the peer.
        offer: offers a row anew; False: it is on its way already, or is not sent.
        agreed: called whenever both sides have the same sums and the peer's are of all its rows, with when the later of
            them dropped tombstones (µs).
    """

    def __init__(
        self,
        me: Identity,
        peer: Hello,
        box: Outbox,
        state: Comparing,
        metrics: Metrics,
        *,
        ways: Callable[[], Iterable[Way]],
        asking: Asking,
        offer: Callable[[Row], bool],
        agreed: Callable[[Agreement, int], None],
    ) -> None:
        self._me = me
        self._peer = peer
        self._box = box
        self._state = state
        self._metrics = metrics
        self._ways = ways
        self._asking = asking
        self._offer = offer
        self._agreed = agreed
        self._since = peer.complete_since
        """of the peer, as it said last"""
        self._at = 0
        """what every row that changes now is above, when sums are made"""
        state.begin_anew(time.monotonic())

    async def run(self) -> None:
        """Compare whenever it is time, until cancelled."""
        while self._state.interval:
            await asyncio.sleep(max(LOOK, self._state.due - time.monotonic()))
            if self._state.is_due(time.monotonic()):
                await self.look()

    async def look(self) -> None:
        """One look at both sides' sums."""
        self._state.hindered = any(way.too_much for way in self._ways())
        mine = await self._sums(max(self._me.index.complete_since_us, self._since))
        if mine is None:
            self._put_off()
            return
        question = Compare(compare.digest_of(mine), self._me.index.complete_since_us)
        told = await self._asking.ask(question, Compared)
        match told.verdict:
            case Verdict.SAME:
                self._same(told)
            case Verdict.BUSY:
                self._put_off()
            case Verdict.DIFFERENT:
                await self._differs(compare.checked(told.sums), told)

    async def _sums(self, since: int) -> Sums | None:
        if not self._me.found_done or not resting(self._box, time.monotonic()):
            return None
        self._at = min(self._me.index.max_seq(), self._box.cursor)
        return await sums_for(self._me.index, self._ways(), since)

    def _same(self, told: Compared) -> None:
        self._state.same(time.monotonic())
        self._metrics.compared(self._peer.region, "same")
        if not told.apart:  # what it holds may be what we have deleted: that is in no sum
            left_out = frozenset[RelPath]().union(*(way.left_out for way in self._ways()))
            self._agreed(Agreement(self._at, left_out), told.since)

    def _put_off(self) -> None:
        self._state.put_off(time.monotonic())
        self._metrics.compared(self._peer.region, "too much left out" if self._state.hindered else "put off")

    async def _differs(self, theirs: Sums, told: Compared) -> None:
        self._since = since = told.since
        mine = await self._sums(since)
        if mine is None:
            self._put_off()
            return
        if mine == theirs:  # but for tombstones that it has dropped since it said hello
            self._same(told)
            return
        second = self._state.is_second
        busy = {compare.bucket_of(path) for path in self._box.seqs}
        buckets = self._state.looked(mine, theirs, time.monotonic(), busy)
        if second:
            self._metrics.compared(self._peer.region, "different" if buckets else "same")
        if buckets:
            await self._offer_rows(buckets, since)

    async def _offer_rows(self, buckets: frozenset[int], since: int) -> None:
        offered = 0
        async for row in rows_in(self._me.index, buckets):
            offered += not is_dead(row, since) and self._offer(row)
        self._state.offered += offered
        self._metrics.offered_anew(self._peer.region, offered)
        log.warning(
            "the indexes differ: rows are offered anew", peer=self._peer.region, parts=len(buckets), rows=offered
        )


async def rows_in(index: Index, buckets: Iterable[int]) -> AsyncIterator[Row]:
    """The rows of these buckets, in slices between which others have their turn."""
    mask, at = compare.mask_of(buckets), 0
    while True:
        rows, at = index.in_buckets(mask, at)
        if not at:
            return
        for row in rows:
            yield row
        await asyncio.sleep(0)


def is_dead(row: Row, since: int) -> bool:
    """Is it a tombstone that nobody has written since then (µs since 1970)? The peer may have dropped it."""
    dead = row.stat is None or marked(row.flags, Flag.KEPT)
    return dead and versions.newest(row.version) < since
