"""The receiver's decision table: what an entry that came in does to a row."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Head, Kind, Row, Version
from sidecar.core.plan import Action, Known, Merge, Show, Want, plan
from tests.unit.core.facts import OURS, THEIRS, deleted, digest, directory, file, path, row, symlink, version

A, B = file(10, OURS, "a"), file(11, THEIRS, "b")
A_AGAIN = file(11, THEIRS, "a", mode=0o600)
GONE, DIR, LINK = deleted(11, THEIRS), directory(11, THEIRS), symlink(11, THEIRS)


def over(head: Head) -> Version:
    """A write of theirs that knew of ours."""
    return version(head, seen=((OURS, 10),))


def decided(held: Version, incoming: Version, have: str = "", kept: str = "") -> Action:
    """`have` and `kept`: the letters of the texts whose bytes are there."""
    return plan(row("p", held), incoming, _among(have), _among(kept))


def _among(texts: str) -> Callable[[bytes], bool]:
    return {digest(text) for text in texts}.__contains__


@pytest.mark.parametrize(
    ("why", "action", "held", "incoming", "have", "kept"),
    [
        ("what is known is known", Known(), version(A), version(A), "", ""),
        ("what is older is known", Known(), over(B), version(A), "", ""),
        ("nothing is known of a path that nobody wrote", Known(), NEVER, NEVER, "", ""),
        ("a first file whose bytes came", Show(version(A), A, ()), NEVER, version(A), "a", ""),
        ("a first file without its bytes is wanted", Want(digest("a")), NEVER, version(A), "", ""),
        ("bytes that are kept for a conflict only are not at hand", Want(digest("a")), NEVER, version(A), "", "a"),
        ("a newer file", Show(over(B), B, ()), version(A), over(B), "b", ""),
        ("a newer file without its bytes", Want(digest("b")), version(A), over(B), "", "a"),
        ("a chmod needs no bytes", Show(over(A_AGAIN), A_AGAIN, ()), version(A), over(A_AGAIN), "", ""),
        ("a delete", Show(over(GONE), GONE, ()), version(A), over(GONE), "", ""),
        ("a directory needs no bytes", Show(over(DIR), DIR, ()), version(A), over(DIR), "", ""),
        ("a symlink needs no bytes", Show(over(LINK), LINK, ()), version(A), over(LINK), "", ""),
        ("a later concurrent edit wins, ours is kept", Show(version(A, B), B, ()), version(A), version(B), "b", "a"),
        ("and is asked for where it is not", Show(version(A, B), B, (digest("a"),)), version(A), version(B), "b", ""),
        ("an earlier concurrent edit loses", Merge(version(A, B), ()), version(B), version(A), "", "a"),
        ("its bytes are asked for", Merge(version(A, B), (digest("a"),)), version(B), version(A), "a", ""),
        ("a concurrent delete loses", Merge(version(A, GONE), ()), version(A), version(GONE), "", ""),
        ("equal bytes are no conflict", Show(version(A, A_AGAIN), A_AGAIN, ()), version(A), version(A_AGAIN), "", ""),
        ("a concurrent directory wins over a file", Show(version(A, DIR), DIR, ()), version(A), version(DIR), "", "a"),
        ("a row learns what was overwritten", Merge(version(B, seen=((OURS, 10),)), ()), version(B), over(B), "", ""),
        ("other bytes under a dot that we know", Known(), version(A), version(file(10, OURS, "c")), "c", ""),
        ("nothing under a dot that we know", Known(), version(A), version(seen=((OURS, 10),)), "", ""),
        ("an old conflict without its bytes", Merge(version(A, B), (digest("a"),)), version(A, B), version(B), "", ""),
    ],
)
def test_what_an_entry_does(why: str, action: Action, held: Version, incoming: Version, have: str, kept: str) -> None:
    assert action == decided(held, incoming, have, kept), why


def test_bytes_that_lie_there_are_at_hand_though_the_row_never_had_a_version() -> None:
    found = Row(path("p"), NEVER, row("p", version(A)).stat, digest("a"))
    assert Show(version(A), A, ()) == plan(found, version(A), _among(""), _among(""))


def test_a_stale_hash_of_a_deleted_file_is_not_on_the_disk() -> None:
    gone = Row(path("p"), version(deleted(9)), None, digest("b"))
    assert Want(digest("b")) == plan(gone, over(B), _among(""), _among(""))


def other_file(counter: int, run: int) -> Head:
    return file(counter, run, "b")


def possible() -> Iterator[Version]:
    """Every version that writes of two runs can leave, one or two heads, of every kind."""
    makers: tuple[Callable[[int, int], Head], ...] = (
        deleted,
        directory,
        symlink,
        file,
        other_file,
    )
    yield NEVER
    for make in makers:
        for run, counter, seen in itertools.product((OURS, THEIRS), (1, 2), (0, 1, 2)):
            other = THEIRS if run == OURS else OURS
            yield version(make(counter, run), seen=((other, seen),) if seen else ())
    for ours, theirs in itertools.product(makers, makers):
        for first, second in itertools.product((1, 2), (1, 2)):
            yield version(ours(first, OURS), theirs(second, THEIRS))


HAVE, KEPT = ("", "a", "b"), ("", "a", "ab")


def test_every_row_meets_every_entry_and_the_decision_is_sound() -> None:
    """Entries too that only a liar sends: other writes under the same dots, or none at all."""
    everything = set(possible())
    for held, incoming, have, kept in itertools.product(everything, everything, HAVE, KEPT):
        sound(held, incoming, have, kept)


def sound(held: Version, incoming: Version, have: str, kept: str) -> None:
    case = (held, incoming, have, kept)
    merged = versions.merge(held, incoming)
    before, after = versions.winner(held), versions.winner(merged)
    lacking = {h.hash for h in versions.losers(merged) if h.kind is Kind.FILE} - {digest(text) for text in kept}
    match decided(held, incoming, have, kept):
        case Known():
            assert after is None or (merged == held and not lacking), case
        case Want(wanted):
            assert after is not None and after != before, case
            assert wanted == after.hash and wanted not in {digest(text) for text in have}, case
            assert wanted != row("p", held).hash, case
        case Merge(version_then, missing):
            assert before == after is not None and merged == version_then and lacking == set(missing), case
            assert merged != held or missing, case
        case Show(version_then, head, missing):
            assert before != after == head and merged == version_then and lacking == set(missing), case
