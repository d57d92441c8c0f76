"""Thousands of short histories of three nodes: local writes, cut links, late and doubled frames, kills, skewed clocks.
In some of them indexes are lost and volumes set back, in some much of what goes is held until it is approved, in some
nodes are away for longer than the others remember what was deleted.

Each history is made from a seed and must end with everything as `simcheck.check` says. A failing seed is printed with
the smallest history that fails in the same way:

    .venv/bin/python -m pytest tests/simulation/test_histories.py                       1 500 histories
    SIM_HISTORIES=20000 .venv/bin/python -m pytest tests/simulation/test_histories.py   more, the same ones first
    SIM_SEED=685 .venv/bin/python -m pytest tests/simulation/test_histories.py          one history
"""

import os
from typing import Final

import pytest

from tests.support import histories
from tests.support.histories import failure, made, told

HISTORIES: Final = int(os.environ.get("SIM_HISTORIES", "1500"))
SEED: Final = os.environ.get("SIM_SEED")
SEEDS: Final = range(int(SEED), int(SEED) + 1) if SEED else range(HISTORIES)
PARTS: Final = 10
RENAMED: Final = HISTORIES * 2 // 5
"""Histories in which directories are renamed when all is at rest, so that peers are told ahead."""
AGED: Final = HISTORIES // 10
"""Histories in which nodes are away for longer than others remember deletions: five times as long as the others."""


@pytest.mark.parametrize("part", range(PARTS))
def test_three_nodes_end_alike_with_nothing_lost_and_no_echo(part: int) -> None:
    for seed in SEEDS[part::PARTS]:
        why = failure(made(seed))
        assert not why, told(seed, why)


@pytest.mark.parametrize("nodes", [2, 4])
def test_so_do_two_and_four(nodes: int) -> None:
    for seed in SEEDS[:: 20 if nodes == 2 else 40]:
        why = failure(made(seed, nodes))
        assert not why, f"seed {seed}, {nodes} nodes: {why}"


@pytest.mark.parametrize("part", range(PARTS))
def test_who_was_away_for_long_brings_nothing_back(part: int) -> None:
    for seed in (SEEDS if SEED else range(AGED))[part::PARTS]:
        why = failure(histories.aged(seed))
        assert not why, told(seed, why, histories.aged, "away")


@pytest.mark.parametrize("part", range(PARTS))
def test_directories_that_are_renamed_ahead_of_their_rows_end_as_any_other(part: int) -> None:
    for seed in (SEEDS if SEED else range(RENAMED))[part::PARTS]:
        why = failure(histories.renamed(seed))
        assert not why, told(seed, why, histories.renamed, "renamed")


def test_in_such_histories_they_are_renamed_as_a_whole_more_often_than_not() -> None:
    worlds = [histories.run(histories.renamed(seed)) for seed in range(40)]
    steps = sum(step.what == "renamed" for seed in range(40) for step in histories.renamed(seed).steps)
    done = sum(node.disk.renamed for world in worlds for node in world.nodes)
    assert done > steps / 4, f"{done} of {steps}"


def test_a_history_is_the_same_every_time() -> None:
    first, second = histories.run(made(7)), histories.run(made(7))
    assert [node.written for node in first.nodes] == [node.written for node in second.nodes]
    assert [node.disk.shown() for node in first.nodes] == [node.disk.shown() for node in second.nodes]
