"""The batches of one connection that the peer has not answered, and which of them waits for too long.

A peer that lives and does not answer has lost something, here or there: a connection made anew offers all of it again.
So does this node, when what a batch is to bring cannot be read: the peer has its number's successors wait for it.
"""

import dataclasses
from typing import Final

from sidecar.core.frames import Lane
from sidecar.core.item import Plan

PATIENCE: Final = 600.0
"""Seconds for which a batch may wait, whatever is in it: for a disk that is busy with others."""
OF_A_PATH: Final = 1.0
"""Seconds more for each path, a thousand times what one takes."""
OF_A_BYTE: Final = 1 / (1 << 20)
"""Seconds more for each byte that the peer reads, hashes and makes durable: a mebibyte a second."""


@dataclasses.dataclass(slots=True)
class _Waiting:
    allowed: float
    since: float
    is_said: bool
    carried: bool = False
    """its rsync has not ended, which is ended itself when it stands still"""


@dataclasses.dataclass(frozen=True, slots=True)
class Late:
    """A batch that waits for longer than any work on it takes, and since how many seconds: for the peer's answer, or
    to be said."""

    lane: Lane
    number: int
    seconds: float
    is_said: bool


class Unanswered:
    """Times are monotonic seconds. The peer works on one batch of a lane at a time: so the oldest of each is judged,
    from when the last one before it was answered, its rsync had ended, or it was begun or said, whatever came last."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Lane, int], _Waiting] = {}
        self._moved: dict[Lane, float] = {}

    def begun(self, plan: Plan, now: float) -> None:
        """Its number is given, and what it is to bring is being made ready."""
        self._begin(plan, now, is_said=False)

    def said(self, plan: Plan, now: float) -> None:
        """It is on its way."""
        self._begin(plan, now, is_said=True)

    def _begin(self, plan: Plan, now: float, *, is_said: bool) -> None:
        items = [planned.item for planned in plan.planned]
        size = sum(item.size for item in items)
        allowed = PATIENCE + OF_A_PATH * len(items) + OF_A_BYTE * size
        self._waiting[plan.lane, plan.number] = _Waiting(allowed, now, is_said)

    def carried(self, plan: Plan, now: float, *, ended: bool) -> None:
        """Its rsync is under way, or has ended."""
        waiting = self._waiting.get((plan.lane, plan.number))
        if waiting is not None:
            waiting.carried, waiting.since = not ended, now

    def answered(self, lane: Lane, number: int, now: float) -> None:
        """The peer has answered it."""
        self._waiting.pop((lane, number), None)
        self._moved[lane] = now

    def late(self, now: float) -> Late | None:
        """A batch that waits for too long, if one does."""
        for lane in Lane:
            number = min((number for each, number in self._waiting if each is lane), default=None)
            if number is None:
                continue
            waiting = self._waiting[lane, number]
            waits = now - max(waiting.since, self._moved.get(lane, waiting.since))
            if not waiting.carried and waits > waiting.allowed:
                return Late(lane, number, waits, waiting.is_said)
        return None
