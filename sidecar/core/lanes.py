"""The receiver's side of a lane: batches in the order of their numbers, and who leaned on what did not get there."""

import dataclasses
from typing import Final, Generic, TypeVar

from sidecar.errors import ProtocolViolation

T = TypeVar("T")

WINDOW: Final = 64
"""How far ahead of the next number a frame may come: eight times what a sender leaves unanswered in a lane."""


@dataclasses.dataclass(slots=True)
class LaneOrder(Generic[T]):
    """Hands out the items of one lane in the order of their numbers, each once; its zero value expects number 1.

    An item that comes early waits; one that came before is dropped (a link may double and reorder frames).
    """

    expected: int = 1
    broken_at: int = 0
    """the highest number of which something was not applied"""
    waiting: dict[int, T] = dataclasses.field(default_factory=dict)

    def arrived(self, number: int, item: T) -> list[tuple[int, T]]:
        """Take an item in; returns all that may be worked on now, in order.

        Raises:
            ProtocolViolation: it is too far ahead.
        """
        if self.has(number):
            return []
        self.waiting[number] = item
        ready: list[tuple[int, T]] = []
        while self.expected in self.waiting:
            ready.append((self.expected, self.waiting.pop(self.expected)))
            self.expected += 1
        return ready

    def has(self, number: int) -> bool:
        """Has it come before?

        Raises:
            ProtocolViolation: it is too far ahead.
        """
        if number >= self.expected + WINDOW:
            raise ProtocolViolation(f"number {number} of a lane where {self.expected} is due")
        return number < self.expected or number in self.waiting

    def broke(self, number: int) -> None:
        """Something in batch `number` was not applied."""
        self.broken_at = max(self.broken_at, number)

    def holds(self, leans: int) -> bool:
        """Was everything from number `leans` on applied in full (0: leans on nothing)?"""
        return leans == 0 or leans > self.broken_at
