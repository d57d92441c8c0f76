"""`sync --once`, as cron calls it: with a daemon and without one, dry and in earnest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.sidecars import Ran, Regions, Sidecar, regions
from tests.support.asking import wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    """In sync, both running."""
    with regions(tmp_path, "msk", "ams") as made:
        for number in range(5):
            (made.all[0].html / f"page-{number}").write_text(f"page {number}")
        for one in made.all:
            one.env["GEOROOT_LOG_LEVEL"] = "info"
        made.start()
        made.wait_identical()
        yield made


def lines(ran: Ran, code: int = 0) -> list[str]:
    assert (code, "") == (ran.code, ran.err), ran
    return ran.out.splitlines()


def change(one: Sidecar) -> None:
    (one.html / "page-1").write_text("changed while nothing ran")
    (one.html / "new").write_text("new")
    (one.html / "page-2").unlink()


CHANGED = {
    "page-0": "page 0",
    "page-1": "changed while nothing ran",
    "page-3": "page 3",
    "page-4": "page 4",
    "new": "new",
}


def texts(one: Sidecar) -> dict[str, str]:
    return {path.name: path.read_text() for path in one.html.iterdir()}


def test_without_a_daemon_one_runs_until_both_sides_have_everything(pair: Regions) -> None:
    msk, ams = pair.all
    assert 0 == msk.stop()
    change(msk)
    (ams.html / "from ams").write_text("x")
    (ams.html / "page-4").unlink()
    expected = {**CHANGED, "from ams": "x"}
    del expected["page-4"]
    said = lines(msk.command("sync", "--once", "--dry-run"))
    assert {"ams: send new", "ams: send page-1", "ams: delete page-2"} == set(said[:3])
    assert ["ams: 2 to send (28 B), 1 to delete"] == said[3:]
    assert "page 1" == texts(ams)["page-1"] and "page-4" in texts(msk), "a dry run changes nothing"
    assert [] == lines(msk.command("sync", "--once", "--timeout", "60s"))
    assert [expected, expected] == [texts(one) for one in pair.all]
    assert ["ams: 0 to send (0 B), 0 to delete"] == lines(msk.command("sync", "--once", "--dry-run"))
    assert [] == lines(msk.command("sync", "--once"))
    msk.start()
    assert set(expected) == set(pair.wait_identical())


def test_a_running_daemon_is_asked(pair: Regions) -> None:
    msk, ams = pair.all
    scans = msk.status()["scan"]["age"]
    time.sleep(1.0)
    assert [] == lines(msk.command("sync", "--once"))
    assert msk.status()["scan"]["age"] < scans + 1.0
    lines(msk.command("pause"))
    change(msk)
    wait_for(lambda: not msk.status()["pending_local"] and 5 == msk.status()["store"]["files"], "it is taken up")
    said = msk.command("sync", "--once", "--dry-run")
    assert "ams: send page-1" in said.out and "ams: delete page-2" in said.out
    assert "ams: 2 to send (28 B), 1 to delete" == said.out.splitlines()[-1]
    assert "page 1" == texts(ams)["page-1"]
    lines(msk.command("resume"))
    assert [] == lines(msk.command("sync", "--once"))
    assert [CHANGED, CHANGED] == [texts(one) for one in pair.all]


def test_a_region_that_is_not_reached_is_named_and_has_a_code(pair: Regions) -> None:
    msk, ams = pair.all
    msk.stop()
    ams.kill()
    change(msk)
    for command in (("--timeout", "3s"), ("--dry-run", "--timeout", "3s")):
        ran = msk.command("sync", "--once", *command)
        assert 6 == ran.code and "not reached: ams" in ran.out.replace("ams: not reached", "not reached: ams"), ran
    msk.start()
    wait_for(lambda: msk.status().get("state") == "running", "it runs")
    ran = msk.command("sync", "--once", "--timeout", "3s")
    assert (6, "") == (ran.code, ran.err) and ran.out.startswith("not reached: ams: ")


def test_what_is_held_has_a_code(pair: Regions) -> None:
    msk, ams = pair.all
    for number in range(60):
        (msk.html / f"more-{number}").write_text("x")
    pair.wait_identical()
    msk.stop()
    for path in msk.html.iterdir():
        path.unlink()
    ran = msk.command("sync", "--once", "--dry-run")
    assert 0 == ran.code and "65 paths, most of the web root, were gone at a scan" in ran.out
    ran = msk.command("sync", "--once")
    assert 5 == ran.code and "held as `scan`" in ran.out
    assert 65 == len(texts(ams))


def test_it_can_be_stopped_and_says_that_not_all_was_sent(pair: Regions) -> None:
    msk, ams = pair.all
    msk.stop()
    ams.kill()
    change(msk)
    with subprocess.Popen(
        (sys.executable, "-m", "sidecar", "sync", "--once"),
        env=msk.environment() | {"GEOROOT_DRAIN": "1"},
        stdout=subprocess.PIPE,
    ) as running:
        wait_for(lambda: msk.status().get("state") == "running", "it looks like a daemon meanwhile")
        assert 0 != msk.command("run").code, "two never run on one volume"
        os.kill(running.pid, signal.SIGTERM)
        assert 4 == running.wait(30)


def test_a_path_that_the_region_cannot_take_is_named_and_does_not_hold_it_up(pair: Regions) -> None:
    msk, ams = pair.all
    os.mkfifo(ams.html / "page")
    (msk.html / "page").write_text("a FIFO lies there in ams")
    wait_for(lambda: ams.status()["problem_count"], "it cannot be put there")
    (msk.html / "other").write_text("x")
    for command in (("wait", "--timeout", "10s"), ("sync", "--once")):
        ran = msk.command(*command)
        assert (5, "") == (ran.code, ran.err), ran
        assert "ams: 1 paths are not applied there, page among them: " in ran.out
    assert "x" == (ams.html / "other").read_text()
    ran = ams.command("sync", "--once")
    assert 5 == ran.code and "msk: not all that came is applied here, page: " in ran.out
