"""Both sides work at once, on names of their own and on the same ones, faster than a hundred times a second each."""

import os
import time
from collections.abc import Callable

from tests.support import churn
from tests.support.compose import Site

SECONDS = 60
RATE = 110
LEAST = 100
SILENCE = 10


def test_both_sides_work_at_once_and_nothing_is_lost(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    seed = os.environ.get("CHURN_SEED") or str(int(time.time()))
    record_property("CHURN_SEED", seed)
    sides = churn.churn(site, seed, SECONDS, RATE)
    churn.verify(site, sides, record_property, SILENCE)
    assert min(side.rate for side in sides) >= LEAST
