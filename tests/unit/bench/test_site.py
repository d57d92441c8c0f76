"""When a folder counts as identical."""

import threading
from pathlib import Path

from bench.works.site import Side, identical

FILES = {"a": b"new", "b": b"too"}


def side(root: Path) -> Side:
    made = Side("ams")
    made.root = root
    (root / "tree").mkdir()
    return made


def test_it_is_compared_after_the_moment_in_which_all_are_there(tmp_path: Path) -> None:
    there, seen = side(tmp_path), list[int]()
    (tmp_path / "tree/a").write_bytes(b"new")
    later = threading.Timer(0.2, (tmp_path / "tree/b").write_bytes, (b"too",))
    later.start()
    assert identical(there, "tree", FILES, 0.0, 1e9, seen.append) is not None
    later.join()
    assert seen[0] < 2 == seen[-1]


def test_what_is_written_in_place_is_not_there_as_soon_as_its_name_is(tmp_path: Path) -> None:
    there, written = side(tmp_path), threading.Event()
    (tmp_path / "tree/a").write_bytes(b"new")
    (tmp_path / "tree/b").write_bytes(b"")

    def write(count: int) -> None:
        assert count == 2
        if written.is_set():
            (tmp_path / "tree/b").write_bytes(b"too")
        written.set()

    assert identical(there, "tree", FILES, 0.0, 1e9, write) is not None
    assert (tmp_path / "tree/b").read_bytes() == b"too"


def test_what_never_becomes_the_same_is_never(tmp_path: Path) -> None:
    there = side(tmp_path)
    (tmp_path / "tree/a").write_bytes(b"new")
    assert identical(there, "tree", FILES, 0.0, -1.0) is None
    (tmp_path / "tree/b").write_bytes(b"other")
    assert identical(there, "tree", FILES, 0.0, -1.0) is None
