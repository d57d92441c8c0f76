"""An old copy never passes for a new edit: what the first scan met is judged by the peers' rows and by its mtime."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import found
from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Dot, Flag, Head, Kind, Row, Version
from sidecar.core.found import Left, Prefer, Verdict
from tests.unit.core.facts import OURS, THEIRS, deleted, digest, directory, file, path, row, stat, symlink, version

NOW = 1_000
"""µs"""


def met(
    kind: Kind = Kind.FILE, text: str = "a", mtime_us: int = 500, target: str = "t", flags: Flag = Flag.FOUND
) -> Row:
    """What a first scan met; an empty text: not hashed yet."""
    looked = stat(kind, mtime=mtime_us * 1000, target=target if kind is Kind.SYMLINK else "")
    return Row(path("p"), NEVER, looked, digest(text) if text and kind is Kind.FILE else b"", 4, flags)


@pytest.mark.parametrize(
    ("why", "verdict", "row", "theirs"),
    [
        ("equal bytes", Verdict.ADOPT, met(), file(100)),
        ("equal bytes, later than theirs", Verdict.ADOPT, met(mtime_us=900), file(100)),
        ("equal bytes, from the future", Verdict.ADOPT, met(mtime_us=NOW + 1), file(100)),
        ("other bytes, older than theirs", Verdict.TAKE, met(mtime_us=99), file(100, text="b")),
        ("other bytes, of the very moment of theirs", Verdict.TAKE, met(mtime_us=100), file(100, text="b")),
        ("other bytes, later than theirs", Verdict.BESIDE, met(mtime_us=101), file(100, text="b")),
        ("other bytes, of just now", Verdict.BESIDE, met(mtime_us=NOW), file(100, text="b")),
        ("other bytes, from the future", Verdict.TAKE, met(mtime_us=NOW + 1), file(100, text="b")),
        ("bytes that nobody has read yet are not equal", Verdict.TAKE, met(text="", mtime_us=50), file(100)),
        (
            "no hash on either side is not equal",
            Verdict.TAKE,
            met(text="", mtime_us=50),
            Head(file(100).dot, Kind.FILE),
        ),
        ("they deleted it after it was made", Verdict.TAKE, met(mtime_us=99), deleted(100)),
        ("it was made after they deleted it", Verdict.BESIDE, met(mtime_us=101), deleted(100)),
        ("they have an older directory there", Verdict.BESIDE, met(mtime_us=101), directory(100)),
        ("a directory is a directory", Verdict.ADOPT, met(Kind.DIR, mtime_us=999), directory(100)),
        ("a directory where they have a file has no time", Verdict.TAKE, met(Kind.DIR, mtime_us=999), file(100)),
        ("a directory that they deleted", Verdict.TAKE, met(Kind.DIR, mtime_us=999), deleted(100)),
        ("an equal target", Verdict.ADOPT, met(Kind.SYMLINK), symlink(100)),
        ("another target, older", Verdict.TAKE, met(Kind.SYMLINK, mtime_us=99, target="u"), symlink(100)),
        ("another target, later", Verdict.BESIDE, met(Kind.SYMLINK, mtime_us=101, target="u"), symlink(100)),
        ("a symlink where they have an older file", Verdict.BESIDE, met(Kind.SYMLINK, mtime_us=101), file(100)),
    ],
)
def test_what_becomes_of_a_found_path(why: str, verdict: Verdict, row: Row, theirs: Head) -> None:
    assert verdict is found.judge(row, version(theirs), NOW), why


@pytest.mark.parametrize(
    ("mtime_us", "size", "verdict"),
    [(500, 1, Verdict.TAKE), (501, 1, Verdict.BESIDE), (500, 2, Verdict.BESIDE)],
)
def test_bytes_that_went_bad_are_no_edit_though_their_mtime_lay_ahead_when_they_were_written(
    mtime_us: int, size: int, verdict: Verdict
) -> None:
    head = msgspec.structs.replace(file(100), size=1, mtime_ns=500_000)
    bad = msgspec.structs.replace(stat(Kind.FILE, mtime=mtime_us * 1000), size=size)
    row = Row(path("p"), version(head), bad, digest("b"), 4, Flag.FOUND)
    assert verdict is found.judge(row, version(head), NOW)


def test_it_is_not_called_later_than_one_peers_before_every_other_has_answered() -> None:
    assert Verdict.WAIT is found.judge(met(mtime_us=101), version(file(100, text="b")), NOW, last=False)
    assert Verdict.TAKE is found.judge(met(mtime_us=99), version(file(100, text="b")), NOW, last=False)
    assert Verdict.ADOPT is found.judge(met(mtime_us=101), version(file(100)), NOW, last=False)


@pytest.mark.parametrize(
    ("why", "prefer", "verdict", "row", "theirs"),
    [
        ("equal bytes need no choice", Prefer.LOCAL, Verdict.ADOPT, met(), file(100)),
        ("ours, though older", Prefer.LOCAL, Verdict.OVER, met(mtime_us=99), file(100, text="b")),
        ("ours, though later: no conflict", Prefer.LOCAL, Verdict.OVER, met(mtime_us=101), file(100, text="b")),
        ("ours, though they deleted it", Prefer.LOCAL, Verdict.OVER, met(mtime_us=99), deleted(100)),
        ("our directory", Prefer.LOCAL, Verdict.OVER, met(Kind.DIR), file(100)),
        ("theirs, though older", Prefer.PEERS, Verdict.TAKE, met(mtime_us=101), file(100, text="b")),
        ("their directory, though older", Prefer.PEERS, Verdict.TAKE, met(mtime_us=101), directory(100)),
        ("equal bytes, theirs", Prefer.PEERS, Verdict.ADOPT, met(mtime_us=101), file(100)),
        ("what they deleted before stays", Prefer.PEERS, Verdict.BESIDE, met(mtime_us=101), deleted(100)),
        ("what they deleted since goes", Prefer.PEERS, Verdict.TAKE, met(mtime_us=99), deleted(100)),
    ],
)
def test_a_person_may_choose_who_wins(why: str, prefer: Prefer, verdict: Verdict, row: Row, theirs: Head) -> None:
    assert verdict is found.judge(row, version(theirs), NOW, prefer), why


@pytest.mark.parametrize("theirs", [version(file(900, THEIRS, "b")), version(file(5, OURS, "c"), file(9, THEIRS, "b"))])
def test_what_wins_by_choice_is_one_write_over_all_that_they_have(theirs: Version) -> None:
    row = met(flags=Flag.FOUND | Flag.RACY)
    after = found.over(row, theirs, Dot(950, 3))
    assert (row.stat, row.hash, row.seq, Flag.RACY) == (after.stat, after.hash, after.seq, after.flags)
    assert [Dot(950, 3)] == [head.dot for head in after.version.heads]
    assert after.version == versions.merge(after.version, theirs)


def test_it_is_judged_against_the_winner_of_a_conflict() -> None:
    theirs = version(file(100, OURS, "a"), file(200, THEIRS, "b"))
    assert Verdict.TAKE is found.judge(met(text="a", mtime_us=150), theirs, NOW)


@pytest.mark.parametrize(
    ("why", "counter", "row"),
    [
        ("its mtime", 500, met()),
        ("at most now", NOW, met(mtime_us=NOW + 1)),
        ("at least 1", 1, met(mtime_us=-5)),
        ("a directory has no time of its own", 1, met(Kind.DIR)),
        ("a symlink has", 500, met(Kind.SYMLINK)),
    ],
)
def test_what_no_peer_had_is_a_write_dated_by(why: str, counter: int, row: Row) -> None:
    assert counter == found.dated(row, OURS, NOW).version.heads[0].dot.counter, why


def test_what_was_dated_is_found_no_more_and_stays_what_it_was() -> None:
    before = met(flags=Flag.FOUND | Flag.RACY)
    after = found.dated(before, OURS, NOW)
    assert version(file(500, mtime=500_000)) == after.version
    assert (before.stat, before.hash, before.seq, Flag.RACY) == (after.stat, after.hash, after.seq, after.flags)


def test_an_edit_is_dated_beside_what_the_row_held() -> None:
    held: Version = version(file(700, THEIRS, "b"))
    before = Row(path("p"), held, stat(mtime=900_000), digest("a"), 4, Flag.FOUND)
    assert version(file(700, THEIRS, "b"), file(900, mtime=900_000)) == found.dated(before, OURS, NOW).version


# -- a path that has a version: what differs from its row after a power loss


def torn(*heads: Head, text: str = "torn", mtime_us: int = 50) -> Row:
    """Other bytes lie there than the version says; an empty text: nothing does."""
    lies = met(text=text, mtime_us=mtime_us)
    return Row(path("p"), version(*heads), lies.stat if text else None, lies.hash if text else b"", 4, Flag.FOUND)


@pytest.mark.parametrize(
    ("why", "verdict", "row", "theirs", "last"),
    [
        ("they have what our row says", Verdict.TAKE, torn(file(100)), version(file(100)), False),
        ("nothing lies here", Verdict.TAKE, torn(file(100), text=""), version(file(100)), False),
        (
            "they have what came after it",
            Verdict.TAKE,
            torn(file(100)),
            version(file(200, THEIRS, "b"), seen=((OURS, 100),)),
            False,
        ),
        ("they have what was before it", Verdict.WAIT, torn(file(100), text=""), version(seen=((OURS, 50),)), True),
        (
            "they wrote beside it, earlier: another may have ours",
            Verdict.WAIT,
            torn(file(100)),
            version(file(90, THEIRS)),
            True,
        ),
        ("they wrote beside it, later", Verdict.TAKE, torn(file(100)), version(file(110, THEIRS)), False),
        ("its bytes are there after all", Verdict.ADOPT, torn(file(100), text="a"), version(file(90, THEIRS)), False),
        ("it was deleted after all", Verdict.ADOPT, torn(deleted(100), text=""), version(deleted(100)), False),
        ("a deletion was lost", Verdict.TAKE, torn(deleted(100)), version(deleted(100)), False),
        ("it is later, but others may know better", Verdict.WAIT, torn(file(40)), version(file(40)), False),
        ("it is later than all", Verdict.BESIDE, torn(file(40)), version(file(40)), True),
        ("it is from the future", Verdict.TAKE, torn(file(40), mtime_us=NOW + 1), version(file(40)), True),
    ],
)
def test_what_becomes_of_a_path_that_has_a_version(
    why: str, verdict: Verdict, row: Row, theirs: Version, last: bool
) -> None:
    assert verdict is found.judge(row, theirs, NOW, last=last), why


def test_a_version_whose_bytes_are_not_here_is_forgotten_and_one_whose_bytes_are_is_not() -> None:
    ours, theirs = torn(file(100), file(90, THEIRS, "l")), version(file(110, THEIRS, "b"))
    assert (found.forgotten(ours), theirs) == found.judged(ours, Verdict.TAKE, theirs)
    row, incoming = found.judged(ours, Verdict.ADOPT, theirs)
    assert (NEVER, version(file(100), file(110, THEIRS, "b"))) == (row.version, incoming)


@pytest.mark.parametrize(
    ("why", "left", "row"),
    [
        ("its mode alone differs", Left.WRITE, torn(file(100), text="a")),
        ("its bytes are gone", Left.FORGET, torn(file(100))),
        ("a deletion that nobody has heard of", Left.FORGET, torn(deleted(100))),
        ("it is gone", Left.REMOVE, torn(file(100), text="")),
    ],
)
def test_what_becomes_of_it_when_no_peer_could_tell(why: str, left: Left, row: Row) -> None:
    assert left is found.left(row), why


def test_what_is_written_over_its_version_is_found_no_more() -> None:
    after = found.rewritten(torn(file(100), text="a"), Dot(200, THEIRS))
    assert version(file(200, THEIRS, mtime=50_000), seen=((OURS, 100),)) == after.version
    assert not found.is_found(after)


@given(st.integers(0, 10**19), st.integers(0, 10**19), st.sampled_from(list(Kind)[1:]))
def test_what_was_changed_within_ten_minutes_of_the_last_change_is_doubted(ctime: int, newest: int, kind: Kind) -> None:
    row = Row(path("p"), version(file(1)), msgspec.structs.replace(stat(kind), ctime_ns=ctime))
    assert (kind is Kind.FILE and newest - ctime <= 600 * 10**9) is found.doubted(row, newest)


@pytest.mark.parametrize(
    ("why", "expected", "lies"),
    [
        ("nothing of it was on the disk", True, {"size": 0}),
        ("it is as it was before that", True, {"size": 3, "ctime_ns": 6, "mtime_ns": 6}),
        ("somebody has written since", False, {"size": 0, "ctime_ns": 8}),
        ("it is another file", False, {"size": 0, "ino": 12}),
        ("it is another one under the same number", False, {"size": 0, "btime_ns": 6}),
        ("it is whole", False, {}),
    ],
)
def test_a_file_that_lost_its_bytes_is_told_by_its_ctime(why: str, expected: bool, lies: dict[str, int]) -> None:
    held = row("p", version(file(10)))
    assert held.stat is not None
    assert expected is found.torn(held, msgspec.structs.replace(held.stat, **lies), NOW * 1000), why


def test_of_what_was_written_at_once_the_ctime_proves_nothing() -> None:
    held = row("p", version(file(10)), flags=Flag.RACY)
    assert held.stat is not None
    assert not found.torn(held, msgspec.structs.replace(held.stat, size=0), NOW * 1000)
    assert found.torn(held, msgspec.structs.replace(held.stat, size=0, ctime_ns=6), NOW * 1000)


def test_where_the_clock_was_set_back_the_ctime_proves_nothing() -> None:
    held = row("p", version(file(10)))
    assert held.stat is not None
    edited = msgspec.structs.replace(held.stat, size=0, ctime_ns=held.stat.ctime_ns - 1)
    assert found.torn(held, edited, held.stat.ctime_ns)
    assert not found.torn(held, edited, held.stat.ctime_ns - 1)


def test_of_what_a_kill_interrupted_the_mtime_is_known() -> None:
    held = row("p", version(file(10)))
    assert held.stat is not None
    placed = msgspec.structs.replace(held, stat=msgspec.structs.replace(held.stat, ctime_ns=0))
    assert found.torn(placed, msgspec.structs.replace(held.stat, size=0), NOW * 1000)
    assert not found.torn(placed, msgspec.structs.replace(held.stat, size=0, mtime_ns=8), NOW * 1000)


def test_only_a_file_is_torn() -> None:
    held = row("p", version(file(10)))
    assert not found.torn(held, None, NOW * 1000)
    assert not found.torn(held, stat(Kind.DIR, size=4096), NOW * 1000)
    assert not found.torn(row("p", version(deleted(10))), stat(), NOW * 1000)
