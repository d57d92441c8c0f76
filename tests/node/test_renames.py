"""A directory that is renamed is renamed at the peer by one rename(2), ahead of the batches that tell of its paths."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.core.entry import Row
from sidecar.index.store import Index
from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import WITHIN, wait_for

FILES = 10_000
SOME = 2_000
"""Enough that the batches of a rename are not there as soon as the directory is."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env["GEOROOT_LOG_LEVEL"] = "info"
            one.env["GEOROOT_HOLD_DELETIONS"] = "100000"
        made.start()
        yield made


def filled(pair: Regions, files: int, name: str = "old") -> tuple[Sidecar, Sidecar]:
    """A directory of so many files, here and there."""
    msk, ams = pair.all
    (msk.html / name).mkdir()
    for number in range(files):
        (msk.html / name / f"page-{number}").write_text(f"{name} {number}\n")
    pair.wait_identical(3 * WITHIN)
    return msk, ams


def at_once(is_so: Callable[[], bool], what: str) -> None:
    """Until it is, with next to no delay."""
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


def told(one: Sidecar) -> float:
    return one.metric("georoot_frames_total", direction="sent", kind="renamed")


def local(one: Sidecar) -> float:
    return one.metric("georoot_rows_written_total", origin="local")


def test_ten_thousand_files_go_by_one_rename_and_nothing_else_moves(pair: Regions) -> None:
    msk, ams = filled(pair, FILES)
    sent, seen = msk.metric("georoot_files_sent_total"), local(ams)
    inode = (ams.html / "old").stat().st_ino
    (msk.html / "old").rename(msk.html / "new")
    at_once((ams.html / "new").exists, "it was not renamed")
    assert not (ams.html / "old").exists()
    assert FILES == len(os.listdir(ams.html / "new")), "renamed file by file"
    tree = pair.wait_identical(3 * WITHIN)
    assert FILES + 1 == len(tree)
    assert inode == (ams.html / "new").stat().st_ino
    assert 1 == told(msk)
    assert 0 == told(ams), "an echo"
    assert seen == local(ams), "an echo"
    assert sent == msk.metric("georoot_files_sent_total")
    assert 2 * (FILES + 1) == ams.metric("georoot_entries_landed_total", peer="msk", outcome="known")
    for one in pair.all:
        assert (0, 0) == (one.status()["store"]["trash"], one.status()["store"]["conflicts"])
    (ams.html / "new" / "page-7").write_text("its watch has its new name\n")
    pair.wait_identical()


def test_it_goes_on_and_back_and_every_step_is_one_rename(pair: Regions) -> None:
    msk, ams = filled(pair, 50)
    inode = (ams.html / "old").stat().st_ino
    (msk.html / "in").mkdir()
    pair.wait_identical()
    for number, (old, new) in enumerate((("old", "in/new"), ("in/new", "old"), ("old", "in/new")), 1):
        (msk.html / old).rename(msk.html / new)
        pair.wait_identical()
        assert number == told(msk)
    assert inode == (ams.html / "in" / "new").stat().st_ino
    (ams.html / "in").rename(ams.html / "back")
    pair.wait_identical()
    assert 1 == told(ams)


def test_who_edits_and_deletes_under_the_new_name_before_the_batches_come_is_heard(pair: Regions) -> None:
    msk, ams = filled(pair, SOME)
    (msk.html / "old").rename(msk.html / "new")
    at_once((ams.html / "new").exists, "it was not renamed")
    msk.send(signal.SIGSTOP)
    seen = local(ams)
    (ams.html / "new" / "page-1").write_text("edited in ams\n")
    (ams.html / "new" / "page-2").unlink()
    (ams.html / "new" / "more").write_text("made in ams\n")
    wait_for(lambda: local(ams) >= seen + 3, "ams takes up what was done there")
    msk.send(signal.SIGCONT)
    tree = pair.wait_identical(2 * WITHIN)
    assert SOME + 1 == len(tree)
    assert "new/page-2" not in tree
    assert "edited in ams\n" == (msk.html / "new" / "page-1").read_text()
    assert "made in ams\n" == (msk.html / "new" / "more").read_text()
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]


@pytest.mark.parametrize(("killed", "files"), [(0, FILES), (1, SOME)])
def test_a_kill_before_the_batches_come_is_no_change_of_anybody(pair: Regions, killed: int, files: int) -> None:
    msk, ams = filled(pair, files)
    (msk.html / "old").rename(msk.html / "new")
    at_once((ams.html / "new").exists, "it was not renamed")
    one = pair.all[killed]
    one.kill()
    one.start()
    tree = pair.wait_identical(3 * WITHIN)
    assert files + 1 == len(tree)
    assert 0 == ams.metric("georoot_files_sent_total") == one.metric("georoot_files_sent_total")
    if killed:
        assert 0 == local(ams)
    for each in pair.all:
        assert (0, 0) == (each.status()["store"]["trash"], each.status()["store"]["conflicts"])
        each.stop()
    versions = [{row.path: row.version for row in rows(each)} for each in pair.all]
    assert versions[0] == versions[1]
    assert 2 * (files + 1) == len(versions[0])
    assert {1} == {len(version.heads) for version in versions[0].values()}, "it was written twice"
    assert 1 == len({version.heads[0].dot for version in versions[0].values()})


def rows(one: Sidecar) -> list[Row]:
    """All rows of a node that has ended."""
    index = Index.open(one.state / "index.db", lambda: 1)
    try:
        return index.since(0, 1_000_000)
    finally:
        index.close()


def test_what_is_undone_at_once_ends_where_it_was(pair: Regions) -> None:
    msk, ams = filled(pair, SOME)
    (msk.html / "old").rename(msk.html / "new")
    at_once((ams.html / "new").exists, "it was not renamed")
    (msk.html / "new").rename(msk.html / "old")
    tree = pair.wait_identical(2 * WITHIN)
    assert {"old"} == {path.split("/")[0] for path in tree}
    assert SOME + 1 == len(tree)
    assert 0 == ams.status()["store"]["conflicts"]


def test_a_chain_and_a_swap_end_as_they_were_made(pair: Regions) -> None:
    msk, ams = filled(pair, 300, "a")
    filled(pair, 200, "b")
    for old, new in (("a", "tmp"), ("b", "a"), ("tmp", "b"), ("b", "c"), ("c", "d")):
        (msk.html / old).rename(msk.html / new)
    tree = pair.wait_identical(2 * WITHIN)
    assert {"a", "d"} == {path.split("/")[0] for path in tree}
    assert "a 299\n" == (ams.html / "d" / "page-299").read_text()
    assert "b 7\n" == (ams.html / "a" / "page-7").read_text()
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]


def test_a_symlink_that_led_there_is_switched_before_its_directory_goes(pair: Regions) -> None:
    """A visitor who follows it at the peer meets no hole."""
    msk, ams = filled(pair, 200, "one")
    filled(pair, 200, "two")
    (msk.html / "current").symlink_to("one")
    pair.wait_identical()
    for number in range(6):
        led, other = ("one", "two") if number % 2 == 0 else ("two", "one")
        (msk.html / "next").symlink_to(other)
        (msk.html / "next").rename(msk.html / "current")
        (msk.html / led).rename(msk.html / f"{led}-away")
        deadline = time.monotonic() + WITHIN
        while not (ams.html / f"{led}-away" / "page-0").exists() or (ams.html / led).exists():
            assert (ams.html / "current" / "page-0").exists(), "a hole"
            assert time.monotonic() < deadline
        pair.wait_identical()
        (msk.html / f"{led}-away").rename(msk.html / led)
        pair.wait_identical()
