"""A very large new file on its way, and a stylesheet written again and again meanwhile: how long that takes.

In turns on the side of the upload (`samples`) and on the other one (`across`).
"""

import os
import random
import time

from bench.outcome import Outcome, Size
from bench.works.site import LIMIT, Site, arrival
from bench.works.upload import MIB, length, same

NAME = "very-large"
BYTES = 4096
EVERY = 0.15
"""Seconds between two stylesheets, unless one takes longer."""
WITHIN = 400.0


def run(site: Site, size: Size) -> Outcome:
    rng, never = random.Random(6), 0
    taken: tuple[list[float], list[float]] = ([], [])
    with (site.msk.root / NAME).open("wb") as file:
        for _ in range(size.large):
            file.write(os.urandom(MIB))
    since, number, seconds = time.perf_counter(), 0, None
    while seconds is None and time.perf_counter() - since < WITHIN:
        time.sleep(max(0.0, since + number * EVERY - time.perf_counter()))
        side = number % 2
        here, there = site.sides[side], site.sides[1 - side]
        name, content = f"style-{here.region}.css", rng.randbytes(BYTES)
        took = arrival(there, name, content, here.write(name, content), LIMIT)
        if length(site.ams, NAME) == size.large * MIB:
            seconds = time.perf_counter() - since
        elif took is None:
            never += 1
        else:
            taken[side].append(took)
        number += 1
    if seconds is not None and not same(site, NAME):
        seconds = None
    return Outcome(seconds=seconds, samples=tuple(taken[0]), across=tuple(taken[1]), never=never)
