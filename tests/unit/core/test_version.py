"""Dotted version vector sets: whoever has heard the same writes holds the same version, in whatever order it heard."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Dot, Head, Kind, Version
from tests.unit.core.facts import OURS, THEIRS, deleted, directory, file, symlink, version

NODES = 3
WHAT = [
    Head(Dot(0, 0), Kind.TOMBSTONE),
    Head(Dot(0, 0), Kind.DIR, mode=0o755),
    Head(Dot(0, 0), Kind.SYMLINK, target=b"t"),
    Head(Dot(0, 0), Kind.FILE, hash=b"a" * 16),
    Head(Dot(0, 0), Kind.FILE, hash=b"b" * 16),
]
STEP = st.tuples(
    st.sampled_from(["write", "hear", "beside"]), st.integers(0, NODES - 1), st.integers(0, 9), st.sampled_from(WHAT)
)


def lived(steps: list[tuple[str, int, int, Head]]) -> list[Version]:
    """Every version that a path had anywhere, while nodes wrote it and heard of one another, late and twice too."""
    held = [NEVER] * NODES
    history = [NEVER]
    for at, (act, node, other, what) in enumerate(steps):
        head = Head(Dot(versions.next_counter(held[node], 0, at), node + 1), what.kind, hash=what.hash)
        if act == "write":
            held[node] = versions.write(held[node], head)
        elif act == "beside":
            held[node] = versions.beside(held[node], head)
        else:
            held[node] = versions.merge(held[node], history[-1 - other % len(history)])
        history.append(held[node])
    return history


HISTORY = st.lists(STEP, max_size=25).map(lived)
THREE = HISTORY.flatmap(lambda known: st.tuples(*[st.sampled_from(known)] * 3))


@given(THREE)
def test_a_merge_is_the_same_from_both_sides(three: tuple[Version, ...]) -> None:
    a, b, _ = three
    assert versions.merge(a, b) == versions.merge(b, a)


@given(THREE)
def test_it_does_not_matter_which_two_merge_first(three: tuple[Version, ...]) -> None:
    a, b, c = three
    assert versions.merge(a, versions.merge(b, c)) == versions.merge(versions.merge(a, b), c)


@given(THREE)
def test_hearing_something_twice_changes_nothing(three: tuple[Version, ...]) -> None:
    a, b, _ = three
    merged = versions.merge(a, b)
    assert a == versions.merge(a, a)
    assert merged == versions.merge(merged, a) == versions.merge(merged, b)


@given(THREE)
def test_what_nobody_wrote_changes_nothing(three: tuple[Version, ...]) -> None:
    assert three[0] == versions.merge(three[0], NEVER) == versions.merge(NEVER, three[0])


@given(THREE)
def test_every_order_of_hearing_ends_with_the_same_winner(three: tuple[Version, ...]) -> None:
    winners = set()
    for a, b, c in itertools.permutations(three):
        winners.add(versions.winner(versions.merge(versions.merge(a, b), c)))
    assert 1 == len(winners)


@given(HISTORY)
def test_every_head_is_covered_by_its_own_vector_and_by_no_other_head(history: list[Version]) -> None:
    for held in history:
        assert all(versions.covers(held, head.dot) for head in held.heads)
        assert list(held.heads) == sorted(held.heads, key=lambda head: head.dot)
        assert list(held.vector) == sorted(held.vector)
        assert len(held.heads) == len({head.dot.run for head in held.heads}), "a run's later write covers its earlier"


@given(THREE)
def test_a_head_that_was_overwritten_does_not_come_back(three: tuple[Version, ...]) -> None:
    a, b, _ = three
    kept = versions.merge(a, b).heads
    for head in (*a.heads, *b.heads):
        overwritten = any(versions.covers(side, head.dot) and head not in side.heads for side in (a, b))
        assert overwritten == (head not in kept)


@given(THREE, st.integers(0, 100), st.integers(0, 100))
def test_a_write_covers_all_that_was_seen(three: tuple[Version, ...], last: int, now: int) -> None:
    a, b, _ = three
    before = versions.merge(a, b)
    head = file(versions.next_counter(before, last, now), run=99)
    after = versions.write(before, head)
    assert (head,) == after.heads
    assert after == versions.merge(after, before)
    assert all(versions.covers(after, old.dot) for old in before.heads)


@given(THREE)
def test_a_write_beside_covers_nothing(three: tuple[Version, ...]) -> None:
    head = file(5, run=99)
    assert {*three[0].heads, head} == set(versions.beside(three[0], head).heads)


@given(HISTORY, st.integers(0, 100), st.integers(0, 100))
def test_a_counter_is_above_all_that_was_seen_or_given_and_not_before_its_time(
    history: list[Version], last: int, now: int
) -> None:
    for held in history:
        counter = versions.next_counter(held, last, now)
        assert counter > max(last, now, versions.newest(held))


@given(THREE)
def test_a_vector_never_shrinks(three: tuple[Version, ...]) -> None:
    a, b, _ = three
    merged = versions.merge(a, b)
    for side in (a, b):
        assert all(counter <= versions.counter_of(merged, run) for run, counter in side.vector)


def test_two_writes_that_did_not_know_of_each_other_both_stay() -> None:
    ours, theirs = version(file(10, OURS, "a")), version(file(11, THEIRS, "b"))
    assert version(file(10, OURS, "a"), file(11, THEIRS, "b")) == versions.merge(ours, theirs)


def test_a_write_that_knew_of_another_replaces_it() -> None:
    ours = version(file(10, OURS))
    theirs = versions.write(ours, file(11, THEIRS, "b"))
    assert theirs == versions.merge(ours, theirs) == versions.merge(theirs, ours)


@pytest.mark.parametrize(
    ("why", "wins", "loses"),
    [
        ("an edit beats a delete, however late that was", file(1), deleted(9, THEIRS)),
        ("a symlink beats a delete", symlink(1), deleted(9, THEIRS)),
        ("a directory beats a delete", directory(1), deleted(9, THEIRS)),
        ("a directory beats a file", directory(1), file(9, THEIRS)),
        ("a directory beats a symlink", directory(1), symlink(9, THEIRS)),
        ("the later edit wins", file(9), file(1, THEIRS, "b")),
        ("a later symlink beats a file", symlink(9), file(1, THEIRS)),
        ("a later file beats a symlink", file(9), symlink(1, THEIRS)),
        ("the later delete wins among deletes", deleted(9), deleted(1, THEIRS)),
        ("of one moment the greater run wins", file(5, THEIRS), file(5, OURS, "b")),
    ],
)
def test_who_wins(why: str, wins: Head, loses: Head) -> None:
    assert wins == versions.winner(version(wins, loses)), why


@pytest.mark.parametrize(
    ("why", "lost", "heads"),
    [
        ("nothing was ever written", (), ()),
        ("one head is no conflict", (), (file(1),)),
        ("other bytes are", (file(1),), (file(1), file(2, THEIRS, "b"))),
        ("equal bytes are none, whatever mode and mtime say", (), (file(1, mode=0o600), file(2, THEIRS, mtime=9))),
        ("a delete leaves no bytes to keep", (), (deleted(9), file(2, THEIRS))),
        ("another target is one", (symlink(1),), (symlink(1), symlink(2, THEIRS, "u"))),
        ("a file under a directory is one", (file(9),), (file(9), directory(1, THEIRS))),
        ("three edits leave two losers", (file(1, 1), file(2, 2, "b")), (file(1, 1), file(2, 2, "b"), file(3, 3, "c"))),
    ],
)
def test_what_a_conflict_is(why: str, lost: tuple[Head, ...], heads: tuple[Head, ...]) -> None:
    assert lost == versions.losers(version(*heads)), why


def test_a_version_that_nobody_wrote_has_seen_nothing() -> None:
    assert (0, 0, None) == (versions.counter_of(NEVER, OURS), versions.newest(NEVER), versions.winner(NEVER))
    assert not versions.covers(NEVER, Dot(1, OURS))


def test_the_newest_write_counts_though_its_head_was_overwritten() -> None:
    assert 9 == versions.newest(version(file(3), seen=((THEIRS, 9),)))
