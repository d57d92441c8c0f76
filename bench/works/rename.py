"""The directory of the burst renamed: its content need not be sent again."""

import time

from bench.outcome import Outcome, Size
from bench.works import burst
from bench.works.site import Site, identical, until

MOVED = "moved"
WITHIN = 120.0
GLANCE = 0.005
"""Seconds between two looks at whether the old name is gone."""


def prepare(site: Site, size: Size) -> None:
    site.prepared(burst.FOLDER, burst.files(size), burst.WITHIN)


def run(site: Site, size: Size) -> Outcome:
    made = burst.files(size)
    since = time.perf_counter()
    (site.msk.root / burst.FOLDER).rename(site.msk.root / MOVED)
    site.msk.carry()
    there = until(lambda: site.ams.count(burst.FOLDER) < 0, since, WITHIN, GLANCE)
    seconds = there and identical(site.ams, MOVED, made, since, WITHIN)
    return Outcome(seconds=seconds)
