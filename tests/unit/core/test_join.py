"""What a peer has and what was found here, compared before anything is done about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.entry import NEVER, Flag, Head, Kind, Row, Stat
from sidecar.core.join import Relation, Sum, Tally, relation
from tests.unit.core.facts import THEIRS, deleted, digest, directory, file, path, row, stat, symlink, version

NOW = 1_000
"""µs"""


def met(text: str = "a", mtime_us: int = 500, size: int = 10, kind: Kind = Kind.FILE) -> Row:
    looked = stat(kind, size=size, mtime=mtime_us * 1000)
    return Row(path("p"), NEVER, looked, digest(text) if kind is Kind.FILE else b"", 4, Flag.FOUND)


def theirs(counter: int, text: str = "b", size: int = 3) -> Head:
    return file(counter, THEIRS, text, size=size)


@pytest.mark.parametrize(
    ("why", "how", "ours", "peers"),
    [
        ("the same bytes", Relation.SAME, met("b"), theirs(1)),
        ("the same bytes, written here since", Relation.SAME, row("p", version(file(9, text="b"))), theirs(1)),
        ("a directory in both", Relation.SAME, met(kind=Kind.DIR), directory(1, THEIRS)),
        ("nothing here", Relation.THERE, None, theirs(1)),
        ("deleted here", Relation.THERE, row("p", version(deleted(9))), theirs(1)),
        ("nothing here, a link there", Relation.THERE, None, symlink(1, THEIRS)),
        ("nothing in either", None, None, deleted(1, THEIRS)),
        ("ours is later", Relation.LATER_HERE, met(), theirs(499)),
        ("theirs is later", Relation.LATER_THERE, met(), theirs(501)),
        ("ours was written just now", Relation.LATER_HERE, row("p", version(file(9))), theirs(1)),
        ("ours was written before theirs", Relation.LATER_THERE, row("p", version(file(9))), theirs(10)),
        (
            "a directory there is later for its kind",
            Relation.LATER_THERE,
            row("p", version(file(9))),
            directory(1, THEIRS),
        ),
        ("deleted there since", Relation.DELETED, met(), deleted(501, THEIRS)),
        ("deleted there before", None, met(), deleted(499, THEIRS)),
    ],
)
def test_how_a_path_compares(why: str, how: Relation | None, ours: Row | None, peers: Head) -> None:
    assert how is relation(ours, version(peers), NOW), why


def test_a_tally_adds_paths_and_sizes() -> None:
    tally = Tally()
    for ours, peers in (
        (met("b"), theirs(1)),
        (None, theirs(1)),
        (met(), theirs(499)),
        (met(), theirs(501)),
        (met(size=7), theirs(501, size=4)),
        (met(), deleted(501, THEIRS)),
        (met(), deleted(1, THEIRS)),
    ):
        tally.add(ours, version(peers), NOW)
    assert Sum(1, 0, 3) == tally.of(Relation.THERE)
    assert Sum(2, 17, 7) == tally.of(Relation.LATER_THERE)
    assert Sum(3, 27, 10) == tally.of(Relation.LATER_THERE, Relation.LATER_HERE)
    assert Sum(5, 47, 13) == tally.met
    assert Sum() == Tally().met


_STATS = st.one_of(st.none(), st.builds(stat, st.sampled_from([Kind.FILE, Kind.DIR, Kind.SYMLINK])))
_HEADS = st.sampled_from([theirs(1), theirs(999), directory(5, THEIRS), symlink(5, THEIRS), deleted(2), deleted(999)])


@given(st.lists(st.tuples(_STATS, st.sampled_from("ab"), _HEADS), max_size=20))
def test_every_path_of_the_peer_counts_at_most_once(paths: list[tuple[Stat | None, str, Head]]) -> None:
    tally, live = Tally(), 0
    for looked, text, head in paths:
        digested = digest(text) if looked is not None and looked.kind is Kind.FILE else b""
        tally.add(Row(path("p"), NEVER, looked, digested, 1, Flag.FOUND), version(head), NOW)
        live += looked is not None
    assert tally.met.paths <= live
    assert tally.of(*Relation).paths <= len(paths)
