"""A lane hands its batches out in the order of their numbers, whatever the link does to frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.lanes import LaneOrder


@given(st.integers(1, 8).flatmap(lambda n: st.lists(st.integers(1, n), max_size=40).map(lambda late: (n, late))))
def test_each_batch_comes_once_and_in_order_however_late_and_often_it_arrives(arrivals: tuple[int, list[int]]) -> None:
    last, late = arrivals
    order, handed = LaneOrder[str](), list[tuple[int, str]]()
    for number in (*late, *range(last, 0, -1)):
        handed += order.arrived(number, f"batch {number}")
    assert [(number, f"batch {number}") for number in range(1, last + 1)] == handed
    assert {} == order.waiting


def test_a_batch_waits_for_the_one_before_it() -> None:
    order = LaneOrder[str]()
    assert [] == order.arrived(2, "second")
    assert [(1, "first"), (2, "second")] == order.arrived(1, "first")


def test_the_first_of_two_copies_counts() -> None:
    order = LaneOrder[str]()
    order.arrived(2, "second")
    order.arrived(2, "another second")
    assert [(1, "first"), (2, "second")] == order.arrived(1, "first")


@pytest.mark.parametrize(
    ("holds", "leans", "why"),
    [
        (True, 0, "what leans on nothing always may"),
        (False, 1, "the one that broke is after what it leans on"),
        (False, 2, "it leans on the one that broke"),
        (True, 3, "what broke came before all that it leans on"),
    ],
)
def test_who_leaned_on_what_was_not_applied(holds: bool, leans: int, why: str) -> None:
    order = LaneOrder[str]()
    order.broke(2)
    assert holds == order.holds(leans), why


def test_the_latest_break_counts_in_whatever_order_they_are_told() -> None:
    order = LaneOrder[str]()
    order.broke(5)
    order.broke(2)
    assert not order.holds(4)


def test_nothing_is_broken_at_first() -> None:
    assert LaneOrder[str]().holds(1)
