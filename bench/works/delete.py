"""rm -rf of the burst's directory: gone on both sides, and still gone two seconds later."""

import shutil
import time

from bench.outcome import Outcome, Size
from bench.works import burst, rename
from bench.works.site import Site, until

WITHIN = 30.0
STAYS = 2.0
"""Seconds that it must stay away; a tool may bring back what it has not yet heard is gone."""


def prepare(site: Site, size: Size) -> None:
    site.prepared(rename.MOVED, burst.files(size), burst.WITHIN)


def run(site: Site, _size: Size) -> Outcome:
    since = time.perf_counter()
    shutil.rmtree(site.msk.root / rename.MOVED, ignore_errors=True)
    site.msk.carry()
    while True:
        seconds = until(lambda: gone(site), since, WITHIN)
        if seconds is None:
            return Outcome()
        back = until(lambda: not gone(site), time.perf_counter(), STAYS)
        if back is None:
            return Outcome(seconds=seconds)


def gone(site: Site) -> bool:
    return all(side.count(rename.MOVED) < 0 for side in site.sides)
