"""The simulation for SOAK_MINUTES (10): histories of seeds that nobody has run yet, from where SOAK_SEED says."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.support import many

MINUTES: Final = float(os.environ.get("SOAK_MINUTES") or "10")
SEED: Final = int(os.environ.get("SOAK_SEED") or time.time())
SEEDS: Final = 1_000_000
"""Between the first seeds of two values of SOAK_SEED."""
A_TENTH: Final = 10


def work(until: float) -> Iterator[tuple[range, range]]:
    """Chunks of seeds until the time is over."""
    for seeds in many.chunks(SEED * SEEDS, SEEDS):
        if time.monotonic() > until:
            return
        yield seeds, range(seeds.start // A_TENTH, seeds.stop // A_TENTH)


def test_histories_of_new_seeds_end_alike_with_nothing_lost(record_property: Callable[[str, object], None]) -> None:
    until, histories, deploys = time.monotonic() + 60 * MINUTES, 0, 0
    record_property("SOAK_SEED", SEED)
    for ran, deployed, failure in many.run(work(until)):
        assert not failure, failure
        histories += ran
        deploys += deployed
    record_property("histories of three nodes", histories)
    record_property("histories of deploys", deploys)
    assert histories
