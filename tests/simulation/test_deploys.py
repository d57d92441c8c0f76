"""Deploys: a visitor at a peer who follows `current` meets whole releases, never a hole, a mix, or an older one.

SIM_HISTORIES and SIM_SEED as in test_histories.py; there are a tenth as many deploys.
"""

import os
from typing import Final

import pytest

from tests.support.deploys import failure, told

HISTORIES: Final = int(os.environ.get("SIM_HISTORIES", "1500")) // 10
SEED: Final = os.environ.get("SIM_SEED")
SEEDS: Final = range(int(SEED), int(SEED) + 1) if SEED else range(HISTORIES)
PARTS: Final = 5


@pytest.mark.parametrize("part", range(PARTS))
def test_a_visitor_meets_whole_releases_only(part: int) -> None:
    for seed in SEEDS[part::PARTS]:
        why = failure(seed)
        assert not why, told(seed, why)
