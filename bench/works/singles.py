"""Single new 4 KiB files at random times, in turns in both directions: from close() until the other side has it."""

import random
import time

from bench.outcome import Outcome, Size
from bench.works.site import LIMIT, Site, arrival

BYTES = 4096
WITHIN = 60.0
"""Seconds that a tool may take for one which goes through the whole tree each time."""


def run(site: Site, size: Size) -> Outcome:
    rng, samples, never = random.Random(1), list[float](), 0
    end = time.monotonic() + size.budget
    for number in range(size.singles):
        time.sleep(rng.uniform(0.02, 0.2))
        here, there = site.sides if number % 2 else site.sides[::-1]
        name, content = f"single-{time.time_ns()}", rng.randbytes(BYTES)
        since = here.write(name, content)
        here.carry()
        taken = arrival(there, name, content, since, WITHIN if here.by_hand else LIMIT)
        here.carried()
        if taken is None:
            never += 1
        else:
            samples.append(taken)
        if time.monotonic() > end:
            break
    return Outcome(samples=tuple(samples), never=never)
