"""The directory of the burst renamed: its content need not be sent again."""

import time

from bench.outcome import Outcome, Size
from bench.works import burst
from bench.works.site import Site, until

MOVED = "moved"
WITHIN = 120.0


def prepare(site: Site, size: Size) -> None:
    site.prepared(burst.FOLDER, burst.files(size), burst.WITHIN)


def run(site: Site, size: Size) -> Outcome:
    made = burst.files(size)
    since = time.perf_counter()
    (site.msk.root / burst.FOLDER).rename(site.msk.root / MOVED)
    site.msk.carry()
    seconds = until(lambda: site.ams.count(burst.FOLDER) < 0 and site.ams.holds(MOVED, made), since, WITHIN)
    return Outcome(seconds=seconds)
