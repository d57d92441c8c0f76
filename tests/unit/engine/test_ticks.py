"""Ticks of different length meet where they can."""

import asyncio

import pytest

from sidecar.engine.ticks import tick, until_tick


@pytest.mark.parametrize(
    ("seconds", "now", "left"),
    [
        (5.0, 20.0, 5.0),
        (5.0, 21.5, 3.5),
        (2.0, 21.5, 0.5),
        (5.0, 24.9, 0.1),
        (5.0, 24.9999, 5.0001),
        (0.5, 10.25, 0.25),
    ],
)
def test_the_next_multiple_is_waited_for_and_none_twice(seconds: float, now: float, left: float) -> None:
    assert left == pytest.approx(until_tick(seconds, now))


async def test_two_that_began_at_different_moments_come_together() -> None:
    loop, ends = asyncio.get_running_loop(), list[float]()

    async def ticking(offset: float) -> None:
        await asyncio.sleep(offset)
        for _ in range(2):
            began = loop.time()
            await tick(0.1)
            assert loop.time() > began
            ends.append(until_tick(0.1, loop.time()))

    async with asyncio.timeout(30):
        await asyncio.gather(*(ticking(offset) for offset in (0.0, 0.013, 0.04)))
    assert 6 == len(ends)
