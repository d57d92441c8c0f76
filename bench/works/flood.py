"""Far more new files than a link carries at once: until both sides are the same; the other side writes small files too.

How long these take (`across`) says whether anybody else has his turn.
"""

import random
import threading
import time

from bench.outcome import Outcome, Size
from bench.works.site import LIMIT, Side, Site, arrival

FOLDER = "flood"
IN_A_DIRECTORY = 1000
BYTES = 4096
EVERY = 0.2
"""Seconds between two files of the other side, unless one takes longer."""
GLANCE = 1.0
"""Seconds between two looks at how many files there are."""
WITHIN = 400.0


def content(number: int) -> bytes:
    """Of one of the files: nothing that could be compressed."""
    return random.Random(number).randbytes(BYTES)


def folders(size: Size) -> list[str]:
    return [f"{FOLDER}/{number}" for number in range((size.flood + IN_A_DIRECTORY - 1) // IN_A_DIRECTORY)]


def write(here: Side, size: Size) -> None:
    for folder in (FOLDER, *folders(size)):
        (here.root / folder).mkdir()
    for number in range(size.flood):
        here.write(f"{FOLDER}/{number // IN_A_DIRECTORY}/{number}", content(number))


def same(there: Side, size: Size) -> bool:
    """Counted first: that is cheap."""
    if sum(max(0, there.count(folder)) for folder in folders(size)) != size.flood:
        return False
    return all(there.read(f"{FOLDER}/{n // IN_A_DIRECTORY}/{n}") == content(n) for n in range(size.flood))


def run(site: Site, size: Size) -> Outcome:
    rng, taken, never = random.Random(7), list[float](), 0
    writing = threading.Thread(target=write, args=(site.msk, size))
    since, looked, number, seconds = time.perf_counter(), 0.0, 0, None
    writing.start()
    while seconds is None and time.perf_counter() - since < WITHIN:
        time.sleep(max(0.0, since + number * EVERY - time.perf_counter()))
        number += 1
        name, small = f"small-{number}", rng.randbytes(BYTES)
        took = arrival(site.msk, name, small, site.ams.write(name, small), LIMIT)
        if took is None:
            never += 1
        else:
            taken.append(took)
        if not writing.is_alive() and time.perf_counter() - looked > GLANCE:
            looked = time.perf_counter()
            seconds = looked - since if same(site.ams, size) else None
    writing.join()
    return Outcome(seconds=seconds, across=tuple(taken), never=never)
