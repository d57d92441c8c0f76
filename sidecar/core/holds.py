"""When is so much to be deleted or replaced that a person is asked first?"""

import collections
import dataclasses
from typing import Final

SHARE: Final = 0.5
"""Part of the tree that has to be concerned as well as the number."""
WINDOW: Final = 60.0
"""Seconds in which a peer's deletions and replacements are added up."""


def too_much(concerned: int, live: int, limit: int) -> bool:
    """Are `concerned` paths of a tree of `live` ones more than `limit`, and more than half of it?"""
    return concerned > limit and concerned > SHARE * live


@dataclasses.dataclass(slots=True)
class Window:
    """How many changes came within the last `WINDOW` seconds; its zero value has seen none."""

    _seconds: collections.deque[tuple[int, int]] = dataclasses.field(default_factory=collections.deque)
    _sum: int = 0

    def add(self, now: float) -> int:
        """One more at `now` (monotonic seconds); how many that makes."""
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
        self._sum += 1
        while self._seconds[0][0] < now - WINDOW:
            self._sum -= self._seconds.popleft()[1]
        return self._sum
