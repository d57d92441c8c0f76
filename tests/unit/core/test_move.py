"""What may be renamed as a whole, and what its rows become."""

import pytest

from sidecar.core import compare, move
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Kind, Row, Stat
from sidecar.core.move import Move, Step
from sidecar.core.paths import MAX_PATH, RelPath
from tests.unit.core.facts import THEIRS, deleted, directory, file, path, row, stat, symlink, version

OLD, NEW = path("old"), path("to/new")
DOT = Dot(9, THEIRS)
MOVE = Move(OLD, NEW, DOT, 11, 5, "", sure=True)
ROWS = (
    row("old", version(directory(3))),
    row("old/gone", version(deleted(4))),
    row("old/page", version(file(7, text="b"))),
    row("old/sub", version(directory(3, THEIRS))),
    row("old/sub/page", version(file(3))),
)
LINK = row("old/link", version(symlink(3)))


def tree(rows: tuple[Row, ...] = ROWS, graves: tuple[Row, ...] = (), new: RelPath = NEW) -> move.Tree | None:
    return move.tree(rows, graves, OLD, new, 5)


def test_the_live_rows_may_go_and_tombstones_stay_where_they_are() -> None:
    graves = (row("to/new", version(deleted(8))), row("to/new/page", version(deleted(6))))
    assert move.Tree([ROWS[0], *ROWS[2:]], 5, 8) == tree(graves=graves)
    assert move.Tree([ROWS[0], *ROWS[2:]], 5, 7) == tree()


@pytest.mark.parametrize("flag", list(Flag))
def test_nothing_goes_with_a_mark(flag: Flag) -> None:
    assert tree((*ROWS, row("old/x", version(file(1)), flags=flag))) is None
    assert tree(graves=(row("to/new/x", version(deleted(1)), flags=flag),)) is None


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(row("old/x", version(file(1), file(2, THEIRS))), id="two heads"),
        pytest.param(row("old/x", version(deleted(1), deleted(2, THEIRS))), id="two deletions"),
        pytest.param(Row(path("old/x"), version(file(1)), stat(), b"another hash....", 1), id="other bytes"),
        pytest.param(Row(path("old/x"), version(file(1)), None, b"", 1), id="not shown"),
        pytest.param(Row(path("old/x"), version(deleted(1)), stat(), b"", 1), id="shown"),
        pytest.param(Row(path("old/x"), version(symlink(1)), stat(Kind.SYMLINK, target="u"), b"", 1), id="target"),
        pytest.param(Row(path("old/x")), id="no version"),
    ],
)
def test_every_row_must_have_one_head_and_show_it(bad: Row) -> None:
    assert tree((*ROWS, bad)) is None
    assert tree(graves=(bad,)) is None


def test_nothing_may_live_where_it_goes_and_a_directory_must_be_what_goes() -> None:
    assert tree(graves=(row("to/new/x", version(file(1))),)) is None
    assert tree(()) is None
    assert tree(ROWS[1:]) is None
    assert tree((row("old", version(file(1))),)) is None
    assert tree((row("old", version(deleted(1))), row("old/x", version(deleted(1))))) is None


def test_a_name_that_gets_too_long_stays() -> None:
    room = MAX_PATH - len("/sub/page")
    assert tree(new=RelPath(b"n" * room)) is not None
    assert tree(new=RelPath(b"n" * (room + 1))) is None


def test_only_what_the_row_tells_lies_there() -> None:
    there, other = stat(), stat(mtime=8)
    assert move.lies(ROWS[2], there)
    assert not move.lies(ROWS[2], other)
    assert not move.lies(ROWS[1], there)
    top = stat(Kind.DIR, mode=0o755)
    later = Stat(Kind.DIR, 0, 99, 0o755, 11, 99, 5)
    known = Row(OLD, version(directory(3)), top, b"", 1)
    assert move.lies(known, later), "times of directories say nothing"
    for another in (
        stat(Kind.DIR, mode=0o700),
        Stat(Kind.DIR, 0, 0, 0o755, 12, 7, 5),
        Stat(Kind.DIR, 0, 0, 0o755, 11, 7, 6),
    ):
        assert not move.lies(known, another)


def order(*rows: Row) -> list[tuple[bytes, bool]]:
    return [(step.row.path, step.leaves) for step in move.steps(rows)]


def test_a_file_leaves_as_it_comes_and_directories_leave_last_deepest_first() -> None:
    assert [
        (b"old", False),
        (b"old/page", False),
        (b"old/page", True),
        (b"old/sub", False),
        (b"old/sub/page", False),
        (b"old/sub/page", True),
        (b"old/sub", True),
        (b"old", True),
    ] == order(ROWS[0], *ROWS[2:])


def test_symlinks_come_after_what_they_lead_to_and_before_anything_leaves() -> None:
    assert [
        (b"old", False),
        (b"old/page", False),
        (b"old/link", False),
        (b"old/page", True),
        (b"old/link", True),
        (b"old", True),
    ] == order(ROWS[0], LINK, ROWS[2])


def test_what_comes_is_the_same_head_under_the_dot_of_the_rename_over_what_was_there() -> None:
    page = ROWS[2]
    after = move.written(Step(page, leaves=False), Row(path("to/new/page"), version(deleted(4))), MOVE)
    assert after is not None
    assert (file(9, THEIRS, "b"),) == after.version.heads
    assert ((1, 4), (2, 9)) == after.version.vector
    assert (page.stat, page.hash) == (after.stat, after.hash)


def test_what_leaves_is_a_tombstone_under_that_dot() -> None:
    after = move.written(Step(ROWS[2], leaves=True), ROWS[2], MOVE)
    assert after is not None
    assert (deleted(9, THEIRS),) == after.version.heads
    assert ((1, 7), (2, 9)) == after.version.vector
    assert (None, b"") == (after.stat, after.hash)


@pytest.mark.parametrize("leaves", [True, False])
def test_who_has_heard_of_the_rename_stays_as_he_is(leaves: bool) -> None:
    later = row("old/page", version(file(12, THEIRS, "edited")))
    assert move.written(Step(ROWS[2], leaves=leaves), later, MOVE) is None


def test_two_nodes_with_the_same_rows_end_with_the_same_rows() -> None:
    ends = [
        [
            move.written(step, Row(step.row.path if step.leaves else move.under(step.row.path, OLD, NEW)), MOVE)
            for step in move.steps(rows)
        ]
        for rows in (ROWS[2:], tuple(reversed(ROWS[2:])))
    ]
    sums = [{compare.sum_of(each.path, each.version) for each in end if each is not None} for end in ends]
    assert sums[0] == sums[1]
    assert versions.newest(version(file(9, THEIRS))) == DOT.counter


@pytest.mark.parametrize(
    ("name", "concerned"),
    [("old", True), ("old/x/y", True), ("to", True), ("to/new/x", True), ("older", False), ("to/other", False)],
)
def test_a_path_is_concerned_at_above_and_beneath_either_name(name: str, concerned: bool) -> None:
    assert concerned is move.concerns(path(name), OLD, NEW)
