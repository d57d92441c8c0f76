"""Comparing over a simulated link: `engine.comparing` and `engine.answering`, a question and an answer at a time."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

from sidecar.core import compare
from sidecar.core.ageing import Agreement
from sidecar.core.compare import Comparing, Sums
from sidecar.core.entry import APART
from sidecar.core.frames import Compare, Compared, Frame, Verdict
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.comparing import Way, is_dead, resting, sums_for
from sidecar.engine.outbound import sendable
from sidecar.index.store import Index
from tests.support.simnode import SimNode

INTERVAL: Final = 2.0
"""Simulated seconds between two comparisons."""

T = TypeVar("T")
Ways = Callable[[], list[Way]]


class Comparer:
    """The side that asks, over one connection.

    Args:
        ways: both directions between the two nodes, or the one that there is.
        say: sends a frame.
        since_us: the peer's tombstones are complete since then.
        agreed: called whenever both have the same sums.
    """

    def __init__(
        self,
        node: SimNode,
        box: Outbox,
        state: Comparing,
        ways: Ways,
        seconds: Callable[[], float],
        say: Callable[[Frame], None],
        since_us: int,
        agreed: Callable[[Agreement, int], None],
    ) -> None:
        self._node = node
        self._box = box
        self._state = state
        self._ways = ways
        self._seconds = seconds
        self._say = say
        self._since = since_us
        self._agreed = agreed
        self._at = 0
        self._asked = 0
        self._waits = False
        state.begin_anew(seconds())

    def beat(self) -> None:
        """Ask, if it is time."""
        if self._waits or not self._state.is_due(self._seconds()):
            return
        if not self._may:
            self._state.put_off(self._seconds())
            return
        self._asked += 1
        self._waits = True
        ours = self._node.store.complete_since_us
        self._at = min(self._node.store.max_seq(), self._box.cursor)
        mine = summed_up(self._node, self._ways(), max(ours, self._since))
        self._say(Compare(compare.digest_of(mine), ours, self._asked))

    @property
    def _may(self) -> bool:
        return self._node.me.found_done and resting(self._box, self._seconds())

    def told(self, answer: Compared) -> None:
        """The peer's answer."""
        if not self._waits or answer.number != self._asked:
            return
        self._waits = False
        if answer.verdict is Verdict.SAME:
            self._same(answer)
        elif answer.verdict is Verdict.BUSY or not self._may:
            self._state.put_off(self._seconds())
        else:
            self._differs(compare.checked(answer.sums), answer)

    def _same(self, answer: Compared) -> None:
        self._state.same(self._seconds())
        if not answer.apart:
            left_out = frozenset[RelPath]().union(*(way.left_out for way in self._ways()))
            self._agreed(Agreement(self._at, left_out), answer.since)

    def _differs(self, theirs: Sums, answer: Compared) -> None:
        self._since = since_us = answer.since
        self._at = min(self._node.store.max_seq(), self._box.cursor)
        mine = summed_up(self._node, self._ways(), since_us)
        if mine == theirs:
            self._same(answer)
            return
        busy = {compare.bucket_of(path) for path in self._box.seqs}
        buckets = self._state.looked(mine, theirs, self._seconds(), busy)
        for row in self._node.store.rows():
            wanted = compare.bucket_of(row.path) in buckets and not is_dead(row, since_us)
            if wanted and sendable(row) and row.path not in self._box.seqs:
                self._box.offer(row)


def answer(node: SimNode, asked: Compare, ways: list[Way], now: float) -> Compared:
    """What a peer is told."""
    sending = any(way.box is not None and not resting(way.box, now) for way in ways)
    since = max(node.store.complete_since_us, asked.complete_since)
    if sending or not node.me.found_done:
        return Compared(asked.number, Verdict.BUSY, since)
    sums, apart = summed_up(node, ways, since), any(row.flags & APART for row in node.store.rows())
    if compare.digest_of(sums) == asked.digest:
        return Compared(asked.number, Verdict.SAME, since, apart=apart)
    return Compared(asked.number, Verdict.DIFFERENT, since, sums, apart)


def summed_up(node: SimNode, ways: list[Way], since_us: int) -> Sums:
    """By the engine's own rules; the index in memory has all that they ask for."""
    sums = _done(sums_for(cast(Index, node.store), ways, since_us))
    assert sums is not None
    return sums


def _done(work: Coroutine[Any, Any, T]) -> T:
    """What waits for nothing has its result at once."""
    try:
        while True:
            work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
