"""Figures out of many figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import NEVER, Spread, quantile, ratio, written


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0), (0.0, 1.0)]
)
def test_a_quantile_is_the_nearest_rank(share: float, value: float) -> None:
    assert value == quantile([float(one) for one in range(100, 0, -1)], share)


def test_a_quantile_of_nothing_never_happened() -> None:
    assert NEVER == quantile([], 0.5)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_no_smaller_sample_has_the_share_below_it(samples: list[float], share: float) -> None:
    value = quantile(samples, share)
    assert value in samples
    assert sum(one <= value for one in samples) >= share * len(samples) * (1 - 1e-9)
    assert sum(one < value for one in samples) < share * len(samples) + 1e-9


@pytest.mark.parametrize(
    ("turns", "spread"),
    [
        ([], None),
        ([2.0], Spread(2.0, 2.0, 2.0)),
        ([3.0, 1.0, 2.0], Spread(2.0, 1.0, 3.0)),
        ([1.0, 2.0], Spread(1.5, 1.0, 2.0)),
        ([1.0, NEVER], Spread(NEVER, 1.0, NEVER)),
        ([1.0, 2.0, NEVER], Spread(2.0, 1.0, NEVER)),
    ],
)
def test_a_turn_that_never_ended_is_the_worst(turns: list[float], spread: Spread | None) -> None:
    assert spread == Spread.of(turns)


@pytest.mark.parametrize(("value", "text"), [(1.005, "1.00"), (0.0, "0.00"), (NEVER, "never")])
def test_a_figure_as_a_person_reads_it(value: float, text: str) -> None:
    assert text == written(value, 2)


@pytest.mark.parametrize(
    ("theirs", "ours", "text"),
    [
        (1380.0, 4.0, "x345"),
        (5.0, 4.0, "x1.2"),
        (1.0, 2.0, "x0.5"),
        (1.0, 0.0, ""),
        (0.0, 1.0, ""),
        (NEVER, 1.0, ""),
        (1.0, NEVER, ""),
    ],
)
def test_a_ratio_is_said_where_there_is_one(theirs: float, ours: float, text: str) -> None:
    assert text == ratio(theirs, ours)
