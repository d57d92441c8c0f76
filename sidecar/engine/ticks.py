"""What looks now and then does so at the same moments: each wakes the processor, which takes longer than the look."""

import asyncio
from typing import Final

_TOO_SOON: Final = 0.01
"""Of the time between two ticks: a timer that ends a little early is the tick that it was set to."""


async def tick(seconds: float) -> None:
    """Returns at the next multiple of so many seconds of the loop's clock, which may be soon the first time."""
    await asyncio.sleep(until_tick(seconds, asyncio.get_running_loop().time()))


def until_tick(seconds: float, now: float) -> float:
    """Seconds from `now` until then."""
    left = seconds - now % seconds
    return left if left > _TOO_SOON * seconds else left + seconds
