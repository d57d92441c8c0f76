"""Delays double up to a limit, and peers that were cut together do not come back together."""

import pytest

from sidecar.core.backoff import Backoff

EVEN = 0.5
"""The chance that changes nothing."""


@pytest.mark.parametrize(
    ("seconds", "attempt"), [(0.2, 0), (0.4, 1), (0.8, 2), (25.6, 7), (30.0, 8), (30.0, 31), (30.0, 10**6)]
)
def test_each_delay_is_twice_the_one_before_up_to_the_limit(seconds: float, attempt: int) -> None:
    assert seconds == pytest.approx(Backoff().delay(attempt, EVEN))


def test_chance_spreads_a_delay_to_both_sides() -> None:
    backoff = Backoff(first=1.0, limit=8.0, jitter=0.25)
    assert (0.75, 1.0, 1.25) == (backoff.delay(0, 0.0), backoff.delay(0, 0.5), backoff.delay(0, 1.0))
    assert (6.0, 10.0) == (backoff.delay(9, 0.0), backoff.delay(9, 1.0))


def test_without_jitter_there_is_no_chance() -> None:
    assert 2.0 == Backoff(first=1.0, jitter=0.0).delay(1, 0.9)
