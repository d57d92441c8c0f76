"""Which of what lies in the trash is meant by a path, a time, a peer; and a file that is put back over another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.entry import Kind, Row, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep
from sidecar.engine import restore
from sidecar.index.kept import Trashed
from sidecar.index.store import Index


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index.open(tmp_path / "index.db", lambda: 7)
    yield made
    made.close()


def leaves(
    index: Index,
    path: str,
    at: int,
    source: str = "ams",
    born: int = 0,
    kind: Kind = Kind.FILE,
    reason: Keep = Keep.REPLACED,
) -> None:
    """What lay at `path`, made at the µs `born`, goes to the trash at the µs `at`."""
    stat = Stat(kind, 1, 1, 0o644, 1, 1, born * 1000)
    name = RelPath(f"0/{path.replace('/', '-')}@{at}".encode())
    index.add_trash(name, RelPath(path.encode()), stat, b"h", reason, source, at)


def lives(index: Index, path: str) -> None:
    with index.transaction():
        index.put_stat(Row(RelPath(path.encode()), stat=Stat(Kind.FILE, 1, 1, 0o644, 1, 1)))


def names(found: list[Trashed]) -> list[str]:
    return [f"{one.path.decode()}@{one.at_us}" for one in found]


def test_before_means_what_left_last(index: Index) -> None:
    for at in (10, 30, 20):
        leaves(index, "page", at)
    lives(index, "page")
    leaves(index, "other", 40)
    assert ["page@30"] == names(restore.before(index, RelPath(b"page")))


def test_before_means_what_lay_there_rather_than_the_loser_of_a_conflict(index: Index) -> None:
    leaves(index, "page", 10)
    leaves(index, "page", 20, reason=Keep.CONFLICT)
    leaves(index, "other", 30, reason=Keep.CONFLICT)
    assert ["page@10"] == names(restore.before(index, RelPath(b"page")))
    assert ["page@10"] == names(restore.at(index, RelPath(b"page"), 5))
    assert ["other@30"] == names(restore.before(index, RelPath(b"other")))


def test_before_means_of_a_directory_what_is_not_there_any_more(index: Index) -> None:
    for path, at in (("dir/a", 10), ("dir/a", 20), ("dir/b/c", 30), ("dir/there", 40), ("dir-not", 50), ("dirt", 60)):
        leaves(index, path, at)
    lives(index, "dir/there")
    assert ["dir/a@20", "dir/b/c@30"] == names(restore.before(index, RelPath(b"dir")))


def test_a_directory_comes_back_before_what_was_in_it_unless_it_is_there(index: Index) -> None:
    for path, at, kind in (("dir/a", 20, Kind.FILE), ("dir/empty", 21, Kind.DIR), ("dir", 22, Kind.DIR)):
        leaves(index, path, at, kind=kind)
    expected = ["dir@22", "dir/a@20", "dir/empty@21"]
    assert expected == names(restore.before(index, RelPath(b"dir")))
    assert expected == names(restore.at(index, RelPath(b"dir"), 10))
    assert expected == names(restore.left_since(index, 0, ""))
    lives(index, "dir")
    assert expected[1:] == names(restore.before(index, RelPath(b"dir")))


@pytest.mark.parametrize(("own", "expected"), [(10, ["page/a@20"]), (30, ["page@30"])])
def test_what_was_a_file_and_a_directory_is_what_left_last(index: Index, own: int, expected: list[str]) -> None:
    leaves(index, "page", own)
    leaves(index, "page/a", 20)
    assert expected == names(restore.before(index, RelPath(b"page")))
    assert expected == names(restore.at(index, RelPath(b"page"), 5))


@pytest.mark.parametrize(
    ("at", "expected", "why"),
    [
        (5, ["page@10"], "the first that left after it"),
        (10, ["page@10"], "what left in that moment was there"),
        (11, ["page@20"], "the next one"),
        (21, [], "what is there now was there then"),
    ],
)
def test_at_means_what_lay_there_then(index: Index, at: int, expected: list[str], why: str) -> None:
    leaves(index, "page", 10)
    leaves(index, "page", 20)
    assert expected == names(restore.at(index, RelPath(b"page"), at)), why


def test_at_does_not_bring_what_was_made_later(index: Index) -> None:
    leaves(index, "dir/old", 20, born=5)
    leaves(index, "dir/new", 20, born=15)
    assert ["dir/old@20"] == names(restore.at(index, RelPath(b"dir"), 10))


def test_since_means_the_first_of_each_path_that_left_for_the_peer(index: Index) -> None:
    leaves(index, "before", 10)
    leaves(index, "a/b", 20)
    leaves(index, "a/b", 30)
    leaves(index, "c", 25, source="nyc")
    leaves(index, "c", 35)
    leaves(index, "own", 40, source="")
    assert ["c@35", "a/b@20"] == names(restore.left_since(index, 20, "ams"))
    assert ["c@25", "own@40", "a/b@20"] == names(restore.left_since(index, 20, ""))
    assert [] == restore.left_since(index, 41, "")


def test_since_reads_more_than_a_page(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "PAGE", 10)
    for number in range(95):
        leaves(index, f"page-{number:03}", 100 + number // 3)
    assert 95 == len(restore.left_since(index, 0, ""))
