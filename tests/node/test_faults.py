"""A disk that is full at the start, or a root that cannot be reached for a moment, ends no sidecar."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for

SMALL = Path("/srv/small")
"""A file system of a few MiB."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Regions]:
    """Two regions, msk on the small volume; not started."""
    small = SMALL / tmp_path.name
    small.mkdir()
    try:
        with regions(tmp_path, "msk", "ams", msk=small) as made:
            yield made
    finally:
        shutil.rmtree(small)


def filled(filler: Path) -> None:
    """Not a byte is left."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


@pytest.mark.parametrize("ended", ["killed", "stopped"])
def test_a_start_on_a_full_disk_waits_for_space(two: Regions, ended: str) -> None:
    two.start()
    msk, ams = two.all
    for number in range(20):
        (msk.html / f"m{number}").write_text(str(number))
    two.wait_identical()
    msk.kill() if ended == "killed" else msk.stop()
    filler = msk.volume / "filler"
    filled(filler)
    (ams.html / "m1").write_text("edited meanwhile")
    (ams.html / "m2").unlink()
    (ams.html / "large").write_bytes(b"x" * (1 << 20))
    msk.start()
    if ended == "stopped":  # the log of the index has to be made anew
        wait_for(lambda: 'something waits what="the index"' in msk.said(), "it says what it waits for")
        assert "starting" == msk.status()["state"]
        assert msk.status()["warnings"][0].startswith("the index waits: no space left")
        assert "ok\n" == msk.get("/livez"), "to begin it anew would not help"
        assert msk.get("/readyz").startswith("starting: the first scan is not over: the index waits: no space left")
        for command, code, told in (("status", 0, "the index waits"), ("pause", 1, "still starting: the index waits")):
            ran = msk.command(command)
            assert code == ran.code and told in ran.out + ran.err, ran
    time.sleep(5)
    assert msk.running
    filler.unlink()
    two.wait_identical()
    assert msk.running


def test_a_disk_that_is_full_for_what_comes_is_told_in_both_regions_and_made_up_for(two: Regions) -> None:
    two.start()
    msk, ams = two.all
    filler = msk.volume / "filler"
    filled(filler)
    for number in range(20):
        (ams.html / f"a{number}").write_text(f"{number}" * 5000)
    for one in two.all:
        wait_for(lambda one=one: _tells_of_space(one), f"{one.region} says why")  # type: ignore[misc]
    tried = ams.metric("georoot_files_sent_total")
    time.sleep(5)
    assert ams.metric("georoot_files_sent_total") - tried <= 4 * 20, "it is not tried again all the time"
    for number in range(20):
        (msk.html / f"m{number}").touch()  # rows that its index has no room for
    time.sleep(12)  # two heartbeats, and a checkpoint of the index
    filler.unlink()
    assert 40 == len(two.wait_identical())
    assert [[], []] == [one.status()["problems"] for one in two.all]


def test_a_release_that_does_not_fit_is_shown_when_it_is_whole(two: Regions) -> None:
    two.start()
    msk, ams = two.all
    _release(ams, 1)
    two.wait_identical()
    filler = msk.volume / "filler"
    filled(filler)
    _release(ams, 2)
    (ams.html / "releases/1/page-0").unlink()
    wait_for(lambda: _tells_of_space(msk) and _tells_of_space(ams), "both say why")
    until = time.monotonic() + 15  # longer than until it is tried again
    while time.monotonic() < until:
        assert ["1" * SIZE] * 5 == _shown(msk)
        time.sleep(0.01)
    filler.unlink()
    two.wait_identical()
    assert ["2" * SIZE] * 5 == _shown(msk)
    assert [[], []] == [one.status()["problems"] for one in two.all]


SIZE = 30_000


def _release(region: Sidecar, number: int) -> None:
    """Five pages, then the symlink that leads to them, swapped."""
    release = region.html / f"releases/{number}"
    release.mkdir(parents=True)
    for page in range(5):
        (release / f"page-{page}").write_text(str(number) * SIZE)
    new = region.html / "current.new"
    new.symlink_to(f"releases/{number}")
    new.rename(region.html / "current")


def _shown(region: Sidecar) -> list[str]:
    """What who follows the symlink meets."""
    return [(region.html / f"current/page-{page}").read_text() for page in range(5)]


def _tells_of_space(one: Sidecar) -> bool:
    return any("no space left" in problem["hint"] for problem in one.status()["problems"])


def test_a_full_volume_is_a_warning_though_nobody_sends_anything(two: Regions) -> None:
    two.start()
    msk = two.all[0]
    filler = msk.volume / "filler"
    filled(filler)
    wait_for(lambda: any("no space left" in line for line in msk.status()["warnings"]), "the status says so")
    filler.unlink()
    wait_for(lambda: not msk.status()["warnings"], "all is well again")


def test_a_root_that_may_not_be_reached_for_a_moment_is_reported(two: Regions) -> None:
    two.start()
    msk, ams = two.all
    (msk.html / "before").write_text("before")
    two.wait_identical()
    msk.volume.chmod(0)
    try:
        wait_for(lambda: any("web root" in line for line in msk.status()["warnings"]), "the status says so")
        (ams.html / "during").write_text("during")
        time.sleep(12)  # longer than the time between two checkpoints
        assert msk.running
    finally:
        msk.volume.chmod(0o755)
    two.wait_identical()
    wait_for(lambda: not msk.status()["warnings"], "all is well again")
