"""When a person is asked first."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.holds import SHARE, WINDOW, Window, too_much


@pytest.mark.parametrize(
    ("concerned", "live", "limit", "asked", "why"),
    [
        (0, 0, 25, False, "nothing is gone from nothing"),
        (25, 25, 25, False, "the whole of a tree that is no larger than the limit"),
        (26, 26, 25, True, "the whole of one that is"),
        (26, 51, 25, True, "just more than half"),
        (26, 52, 25, False, "half is not most"),
        (10_000, 1_000_000, 25, False, "many, but few of so many"),
        (1, 1, 0, True, "with the limit 0 the share alone decides"),
        (1, 2, 0, False, "and half is not most there either"),
    ],
)
def test_a_person_is_asked_about_much_that_is_most(
    concerned: int, live: int, limit: int, asked: bool, why: str
) -> None:
    assert asked is too_much(concerned, live, limit), why


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4))
def test_more_is_never_less_of_a_reason(concerned: int, live: int, limit: int) -> None:
    if too_much(concerned, live, limit):
        assert too_much(concerned + 1, live, limit)
        assert limit < concerned and concerned > SHARE * live
        assert not limit or too_much(concerned, live, limit - 1)


@given(st.lists(st.floats(0, 30), max_size=200))
def test_a_window_counts_what_came_within_it_to_the_second(gaps: list[float]) -> None:
    window, times = Window(), list(itertools.accumulate(gaps, initial=1000.0))
    for index, now in enumerate(times):
        before = times[: index + 1]
        surely = sum(1 for at in before if at >= now - WINDOW + 1)
        perhaps = sum(1 for at in before if at >= now - WINDOW - 1)
        assert surely <= window.add(now) <= perhaps
