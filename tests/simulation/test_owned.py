"""Paths that one node alone writes to, in meshes and in stars: nobody else ever changes anything there.

.venv/bin/python -m pytest tests/simulation/test_owned.py                    400 histories
OWNED_SEED=923 .venv/bin/python -m pytest tests/simulation/test_owned.py     one
"""

import os
from typing import Final

import pytest

from tests.support import owned

SEED: Final = os.environ.get("OWNED_SEED")
SEEDS: Final = range(int(SEED), int(SEED) + 1) if SEED else range(400)
PARTS: Final = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_what_one_node_alone_writes_to_is_everywhere_as_its_writer_left_it(part: int) -> None:
    for seed in SEEDS[part::PARTS]:
        why = owned.failure(seed)
        assert not why, why
