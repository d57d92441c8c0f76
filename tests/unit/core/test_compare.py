"""Sums of rows, which buckets differ, and when the next comparison is due."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import compare
from sidecar.core.compare import BUCKETS, EMPTY, Comparing
from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.paths import RelPath
from sidecar.errors import ProtocolViolation

PATHS = st.binary(min_size=1, max_size=20).map(RelPath)
COUNTERS = st.integers(1, 2**62)
VERSIONS = st.builds(
    lambda counter, run, kind: Version(((run, counter),), (Head(Dot(counter, run), kind),)),
    COUNTERS,
    st.integers(1, 2**63 - 1),
    st.sampled_from(Kind),
)
ROWS = st.dictionaries(PATHS, VERSIONS, max_size=20)


def summed(rows: dict[RelPath, Version]) -> compare.Sums:
    return compare.toggled(EMPTY, (compare.sum_of(path, version) for path, version in rows.items()))


# -- sums


@given(PATHS, VERSIONS)
def test_a_number_is_64_bits_and_tells_its_bucket(path: RelPath, version: Version) -> None:
    number = compare.sum_of(path, version)
    assert -(2**63) <= number < 2**63
    assert compare.bucket_of(path) == number % BUCKETS


@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: dict[RelPath, Version], chance: random.Random) -> None:
    shuffled = list(rows.items())
    chance.shuffle(shuffled)
    assert summed(rows) == summed(dict(shuffled))


@given(ROWS, PATHS, VERSIONS)
def test_a_row_is_taken_out_as_it_is_put_in(rows: dict[RelPath, Version], path: RelPath, version: Version) -> None:
    number = compare.sum_of(path, version)
    sums = summed(rows)
    there = compare.toggled(sums, [number])
    assert {compare.bucket_of(path)} == compare.differing((sums, sums), (there, there))
    assert sums == compare.toggled(there, [number])


@given(ROWS, ROWS)
def test_indexes_sum_up_alike_only_if_they_are_alike(
    one: dict[RelPath, Version], other: dict[RelPath, Version]
) -> None:
    assert (one == other) == (summed(one) == summed(other))
    assert (one == other) == (compare.digest_of(summed(one)) == compare.digest_of(summed(other)))


def test_the_dots_and_the_vector_count_and_the_order_of_heads_is_that_of_the_version() -> None:
    path = RelPath(b"a")
    first, second = Head(Dot(5, 1), Kind.FILE), Head(Dot(6, 2), Kind.FILE)
    versions = [
        Version(((1, 5), (2, 6)), (first, second)),
        Version(((1, 5), (2, 6)), (second,)),
        Version(((1, 5), (2, 7)), (first, second)),
        Version(((1, 5), (2, 6)), ()),
    ]
    assert len(versions) == len({compare.sum_of(path, version) for version in versions})


@given(ROWS, ROWS)
def test_two_sums_combined_are_what_is_in_one_alone(one: dict[RelPath, Version], other: dict[RelPath, Version]) -> None:
    alone = dict(one.items() ^ other.items()) if one.keys().isdisjoint(other.keys()) else None
    both = compare.combined(summed(one), summed(other))
    assert summed(one) == compare.combined(both, summed(other))
    if alone is not None:
        assert both == summed(alone)


def test_what_is_no_sums_is_refused() -> None:
    for raw in (b"", EMPTY[1:], EMPTY + b"\0"):
        with pytest.raises(ProtocolViolation):
            compare.checked(raw)
    assert EMPTY == compare.checked(bytes(EMPTY))


def test_a_mask_marks_its_buckets() -> None:
    assert {0, 5, 1023} == {bucket for bucket, mark in enumerate(compare.mask_of([0, 5, 1023])) if mark}


# -- which buckets differ


def sums(**rows: int) -> compare.Sums:
    """By path, the counter of its version."""
    return summed({RelPath(p.encode()): Version(((1, c),), (Head(Dot(c, 1), Kind.FILE),)) for p, c in rows.items()})


def bucket(path: str) -> int:
    return compare.bucket_of(RelPath(path.encode()))


def test_a_bucket_in_which_a_row_moved_between_two_looks_does_not_count() -> None:
    before, after = sums(a=1, b=1), sums(a=2, b=1)
    assert {bucket("a"), bucket("b")} == compare.differing((before, before), (sums(), sums()))
    assert {bucket("b")} == compare.differing((before, after), (sums(), sums()))
    assert {bucket("b")} == compare.differing((sums(), sums()), (before, after))
    assert set() == compare.differing((before, after), (before, after))


# -- when


def state(interval: float = 60.0) -> Comparing:
    return Comparing(interval, due=interval)


def look(of: Comparing, here: compare.Sums, there: compare.Sums, now: float) -> frozenset[int]:
    """One comparison, of two looks."""
    assert of.is_due(now)
    assert frozenset() == of.looked(here, there, now)
    assert not of.is_due(now + 4.9) and of.is_due(now + 5)
    return of.looked(here, there, now + 5)


def test_it_compares_every_minute_as_long_as_nothing_differs() -> None:
    one = state()
    assert not one.is_due(59) and one.is_due(60)
    one.same(60)
    assert (60, frozenset(), False) == (one.at, one.buckets, one.lasts)
    assert not one.is_due(119) and one.is_due(120)


def test_it_backs_off_from_a_minute_to_an_hour_while_the_same_differs() -> None:
    one, now, waits = state(), 60.0, []
    for _ in range(9):
        assert {bucket("a")} == look(one, sums(a=1), sums(), now)
        waits.append(one.due - now - 5)
        now = one.due
    assert [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] == waits
    assert one.lasts


def test_it_looks_every_minute_again_when_something_else_differs_or_nothing() -> None:
    one = state()
    for now in (60.0, 125.0, 250.0):
        look(one, sums(a=1, b=1), sums(), now)
    assert 60 * 4 == one.due - 255
    look(one, sums(a=1), sums(), 495)  # less than before: it lasts
    assert 60 * 8 == one.due - 500
    look(one, sums(a=1, c=1), sums(), 980)
    assert (60, False) == (one.due - 985, one.lasts)
    look(one, sums(a=1, c=1), sums(), 1045)
    assert one.lasts
    one.same(1170)
    assert (60, False) == (one.due - 1170, one.lasts)


def test_what_moves_here_does_not_count() -> None:
    one = state()
    one.looked(sums(a=1, b=1), sums(), 60)
    assert {bucket("b")} == one.looked(sums(a=1, b=1), sums(), 65, moving={bucket("a")})


def test_a_look_that_is_put_off_begins_anew() -> None:
    one = state()
    one.looked(sums(a=1), sums(), 60)
    one.put_off(61)
    assert [False, False, True] == [one.is_second, one.is_due(65), one.is_due(66)]
    assert frozenset() == one.looked(sums(a=1), sums(), 66)


def test_another_connection_does_not_hurry_and_compares_with_nothing_of_the_one_before() -> None:
    one = state()
    one.looked(sums(a=1), sums(), 60)
    one.begin_anew(61)
    assert [False, False, True] == [one.is_second, one.is_due(65.9), one.is_due(66)]
    one.same(70)
    one.begin_anew(71)
    assert not one.is_due(129) and one.is_due(130)


def test_a_short_interval_shortens_the_time_between_the_looks() -> None:
    one = state(1.0)
    one.looked(sums(a=1), sums(), 1)
    assert one.is_due(2)


def test_it_never_compares_with_an_interval_of_0() -> None:
    assert not state(0.0).is_due(1e9)
