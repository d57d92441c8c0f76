"""New files on each side, one after the other, until the other side has one: both are up, and carry."""

import time

from bench.outcome import Outcome, Size
from bench.works.site import Late, Side, Site

EVERY = 2.0
"""Seconds between two of them: a tool that is just starting may take one for old, and delete it."""
LOOK = 0.01


def run(site: Site, size: Size) -> Outcome:
    since = time.perf_counter()
    ways = [(site.msk, site.ams), (site.ams, site.msk)]
    if site.msk.by_hand:
        # One way after the other: what one carries must not delete what the other is about to.
        for way in ways:
            carry([way], since + size.budget)
    else:
        carry(ways, since + size.budget)
    return Outcome(seconds=time.perf_counter() - since)


def carry(ways: list[tuple[Side, Side]], end: float) -> None:
    """Raises Late."""
    name = f"sentinel-{time.time_ns()}"
    number, last = 0, -EVERY
    while ways:
        if time.perf_counter() - last > EVERY:
            number, last = number + 1, time.perf_counter()
            for here, _ in ways:
                here.write(f"{name}-{here.region}-{number}", b"up?")
                here.carry()
        time.sleep(LOOK)
        ways = [(here, there) for here, there in ways if not shown(here, there, name, number)]
        if time.perf_counter() > end:
            raise Late(name)


def shown(here: Side, there: Side, name: str, number: int) -> bool:
    """Has the other side any of them?"""
    if any(there.read(f"{name}-{here.region}-{one}") for one in range(1, number + 1)):
        here.carried()
        return True
    return False
