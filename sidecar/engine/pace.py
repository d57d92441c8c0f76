"""Long work on the loop, cut into slices of a millisecond between which others have their turn."""

import asyncio
import time
from typing import Final

SLICE: Final = 0.001
"""Seconds of the loop that a slice takes, or as much longer as its last step."""


class Pace:
    """Of one piece of work. A change passes the loop some ten times on its way, and each time may find a slice under
    way: so work that can wait `rests` after each slice for as long as that took, and a change meets few of them.
    """

    def __init__(self, *, rests: bool) -> None:
        self._rests = rests
        self._began = time.monotonic()
        self.worked = 0.0
        """seconds that the slices took that have ended"""

    async def step(self) -> None:
        """A step is over: if that ends a slice, others have their turn."""
        took = time.monotonic() - self._began
        if took < SLICE:
            return
        self.worked += took
        await asyncio.sleep(took if self._rests else 0)
        self._began = time.monotonic()
