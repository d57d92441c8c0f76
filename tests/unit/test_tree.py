"""What a test compares may be written to while it is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tree import tree_of


def _as_file(path: Path) -> None:
    path.write_text("another kind")


def _as_link_to_file(path: Path) -> None:
    path.symlink_to("page")


def _as_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("becomes", [_as_file, _as_link_to_file, os.mkfifo])
def test_a_directory_that_changes_its_kind_while_it_is_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: Callable[[Path], None]
) -> None:
    (tmp_path / "page").write_text("page")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "leaf").write_text("leaf")
    lstat = os.lstat

    def late(path: bytes) -> os.stat_result:
        if path.endswith(b"/leaf") and (tmp_path / "dir").is_dir():
            (tmp_path / "dir" / "leaf").unlink()
            (tmp_path / "dir").rmdir()
            becomes(tmp_path / "dir")
        return lstat(path)

    monkeypatch.setattr("tests.support.tree.os.lstat", late)
    found = tree_of(tmp_path)
    assert "page" in found
    assert "dir/leaf" not in found


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(_as_file, _as_directory), (_as_file, _as_link_to_file), (_as_link_to_file, _as_directory)],
)
def test_a_name_that_changes_its_kind_between_two_looks_is_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    was: Callable[[Path], None],
    becomes: Callable[[Path], None],
) -> None:
    (tmp_path / "page").write_text("page")
    was(tmp_path / "name")
    lstat = os.lstat

    def early(path: bytes) -> os.stat_result:
        seen = lstat(path)
        if path.endswith(b"/name"):
            (tmp_path / "name").unlink()
            becomes(tmp_path / "name")
        return seen

    monkeypatch.setattr("tests.support.tree.os.lstat", early)
    found = tree_of(tmp_path)
    assert "page" in found
    assert "name" not in found
