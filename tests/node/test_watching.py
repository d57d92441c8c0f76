"""Where events are lost, or there are none, nothing is missed: lost events, no watches left, network file systems."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for

POLL = 0.3
BURST = int(os.environ.get("BURST", "0"))
"""files written while nobody reads events: this many, or as many as the kernel's queue does not take"""
LIMITED = (
    "unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c",
    ('limit=$1; shift; echo "$limit" >/proc/sys/user/max_inotify_watches &&'
    ' exec setpriv --inh-caps=-all --ambient-caps=-all "$@"'), "sh",
)  # fmt: skip
"""A user namespace of its own, with a limit on watches of its own."""
RAISE = """
import os, sys
os.setns(os.pidfd_open(int(sys.argv[1])), os.CLONE_NEWUSER)
open("/proc/sys/user/max_inotify_watches", "w").write(sys.argv[2])
"""
DEAF = """
import inotify_simple
from sidecar.fs import syscalls

syscalls.filesystem_magic = lambda fd: 0x6969
inotify_simple.INotify.read = lambda *_, **__: []
"""
"""What a node is on a network file system whose files others write: it is told so, and of nothing else."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Regions]:
    """Two regions, not started."""
    with regions(tmp_path, "msk", "ams") as made:
        made.all[0].env["GEOROOT_POLL_INTERVAL"] = f"{POLL}s"
        yield made


def warned(one: Sidecar, words: str) -> bool:
    return any(words in line for line in one.status().get("warnings", ()))


def change_everything(html: Path) -> None:
    """Of every kind of change some, in directories that are known and in new ones."""
    for number in range(40):
        (html / f"d{number}" / "page").write_text(f"edited {number}")
        (html / f"d{number}" / "new").write_text("new")
    for number in range(5):
        (html / f"d{number}" / "gone").unlink()
    (html / "d7" / "fresh" / "deep").mkdir(parents=True)
    (html / "d7" / "fresh" / "deep" / "leaf").write_text("leaf")
    (html / "d8" / "link").symlink_to("../d7/fresh/deep")
    (html / "d9").rename(html / "d10" / "moved")
    (html / "d11" / "page").chmod(0o600)
    (html / "top").write_text("top")


@pytest.fixture
def trees(two: Regions) -> Regions:
    html = two.all[0].html
    for number in range(40):
        (html / f"d{number}").mkdir()
        (html / f"d{number}" / "page").write_text(f"{number}")
        (html / f"d{number}" / "gone").write_text("gone")
    return two


def test_events_that_the_kernel_dropped_are_found_by_a_scan(two: Regions) -> None:
    two.start()
    msk = two.all[0]
    (msk.html / "there").mkdir()
    for number in range(20):
        (msk.html / "there" / str(number)).write_text("old")
    two.wait_identical()
    many = max(BURST, int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 3 + 1000)
    msk.send(signal.SIGSTOP)
    try:
        for number in range(many):  # three events each
            (msk.html / f"f{number}").write_text(str(number))
        for number in range(10):
            (msk.html / "there" / str(number)).unlink()
        (msk.html / "there" / "11").write_text("edited")
        (msk.html / "there").rename(msk.html / "moved")
        (msk.html / "late" / "deep").mkdir(parents=True)
        (msk.html / "late" / "deep" / "leaf").write_text("leaf")
    finally:
        msk.send(signal.SIGCONT)
    wait_for(lambda: msk.status().get("watch", {}).get("overflows"), "the overflow is noticed")
    tree = two.wait_identical(within=120)
    assert many + 10 + 1 + 3 == len(tree)
    hint = "raise fs.inotify.max_queued_events above"
    assert warned(msk, hint) and hint in msk.said()
    assert 1 <= msk.metric("georoot_inotify_overflows_total")
    (msk.html / "late" / "deep" / "after").write_text("told by an event again")
    assert "late/deep/after" in two.wait_identical()


@pytest.mark.parametrize("limit", [0, 12])
def test_what_has_no_watch_is_polled_until_it_can_be_watched(trees: Regions, limit: int) -> None:
    msk = trees.all[0]
    msk.prefix = (*LIMITED, str(limit))
    trees.start()
    trees.wait_identical()
    hint = f"raise user.max_inotify_watches above {limit}"
    wait_for(lambda: warned(msk, hint), "the status says how to raise the limit")
    assert msk.status()["watch"]["unwatched"] == msk.metric("georoot_unwatched_directories") > 0
    assert msk.metric("georoot_watched_directories") <= limit
    change_everything(msk.html)
    wait_for((trees.all[1].html / "d7/fresh/deep/leaf").exists, "a new directory's file arrives")
    tree = trees.wait_identical()
    assert "d10/moved/page" in tree and "d9" not in tree and "d4/gone" not in tree
    wait_for(lambda: hint in msk.said(), "the log says it too")
    subprocess.run((sys.executable, "-c", RAISE, str(msk.pid), "1000"), check=True)
    wait_for(lambda: not msk.status()["watch"]["unwatched"], "all of it is watched")
    assert not msk.status()["warnings"]
    assert msk.metric("georoot_watched_directories") >= 43
    (msk.html / "d10" / "moved" / "after").write_text("told by an event")
    assert "d10/moved/after" in trees.wait_identical()


def test_most_of_the_unwatched_gone_is_held_as_at_a_scan(trees: Regions, tmp_path: Path) -> None:
    msk, ams = trees.all
    site = msk.html / "site"
    site.mkdir()
    for number in range(40):
        (msk.html / f"d{number}").rename(site / f"d{number}")
    (msk.html / "top").write_text("top")
    msk.prefix = (*LIMITED, "0")
    trees.start()
    everything = trees.wait_identical()
    site.rename(tmp_path / "away")  # at once: no look comes upon a half of it
    wait_for(lambda: msk.status()["holds"], "somebody is asked")
    time.sleep(5 * POLL)
    assert everything == ams.tree() and 122 == len(everything)
    assert 0 == msk.command("approve", "scan").code
    assert ["top"] == list(trees.wait_identical())


def test_a_network_file_system_is_polled(trees: Regions, tmp_path: Path) -> None:
    msk = trees.all[0]
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf" / "sitecustomize.py").write_text(DEAF)
    msk.env["PYTHONPATH"] = os.pathsep.join((str(tmp_path / "deaf"), *sys.path))
    trees.start()
    trees.wait_identical()
    assert warned(msk, "the web root lies on NFS")
    change_everything(msk.html)
    wait_for((trees.all[1].html / "top").exists, "a change that no event told of arrives")
    wait_for((trees.all[1].html / "d10/moved/page").exists, "the last change arrives")
    assert "d7/fresh/deep/leaf" in trees.wait_identical()
