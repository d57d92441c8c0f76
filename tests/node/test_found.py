"""What a node finds after something went wrong with its volume: nothing of it is taken for what somebody did."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support import mishaps
from tests.support.asking import wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        made.start()
        yield made


def filled(pair: Regions, count: int = 20) -> tuple[Sidecar, Sidecar]:
    """Both sides wrote something; all is settled, the indexes too."""
    for one in pair.all:
        for number in range(count):
            page = one.html / one.region / f"page-{number}"
            page.parent.mkdir(exist_ok=True)
            page.write_text(f"{one.region} wrote {number} " * 50)
    pair.wait_identical()
    msk, ams = pair.all
    return msk, ams


def restarted(pair: Regions, one: Sidecar) -> None:
    one.start()
    pair.wait_settled()
    wait_for(lambda: one.status()["state"] == "running", "what was found is settled")


# -- a power loss


def test_after_a_power_loss_torn_and_missing_files_come_back(pair: Regions) -> None:
    msk, ams = filled(pair)
    (msk.html / "link").symlink_to("msk/page-1")
    (msk.html / "empty").mkdir()
    before = pair.wait_identical()
    sent = msk.counted()
    ams.kill()
    torn = [ams.html / "msk/page-1", ams.html / "ams/page-1"]  # of both sides: one was settled long ago there
    missing = [ams.html / "msk/page-2", ams.html / "ams/page-2", ams.html / "link"]
    mishaps.cut_power(ams.state, torn, missing)
    mishaps.zero(ams.html / "ams/page-3")
    shutil.rmtree(ams.html / "empty")
    restarted(pair, ams)
    assert before == pair.wait_identical()
    assert 0 == ams.metric("georoot_rows_written_total", origin="local"), "nothing of it was taken for an edit"
    assert 5 >= msk.counted()["georoot_files_sent_total"] - sent["georoot_files_sent_total"]
    assert "stopped without notice" in ams.said()


def test_what_a_power_loss_tore_with_its_times_and_inode_intact_is_told_by_its_hash(pair: Regions) -> None:
    _, ams = filled(pair)
    before = pair.wait_identical()
    ams.kill()
    page = ams.html / "ams/page-3"
    mishaps.zero(page)
    mishaps.cut_power(ams.state)
    mishaps.believe(ams.state, ams.html, "ams/page-3")
    restarted(pair, ams)
    assert before == pair.wait_identical()


def test_an_edit_that_the_index_lost_in_a_power_loss_is_an_edit_beside(pair: Regions) -> None:
    msk, ams = filled(pair)
    ams.kill()
    mishaps.cut_power(ams.state)
    (ams.html / "msk/page-1").write_text("newer than all")
    (ams.html / "new").write_text("nobody had it")
    restarted(pair, ams)
    tree = pair.wait_identical()
    assert "new" in tree
    assert "newer than all" == (msk.html / "msk/page-1").read_text()
    assert ["msk/page-1"] == [line.split()[0] for line in msk.command("conflicts").out.splitlines() if "page-1" in line]


def test_what_nobody_has_any_more_after_a_power_loss_is_what_lies_there(pair: Regions) -> None:
    msk, ams = filled(pair)
    msk.stop()
    (ams.html / "alone").write_text("of ams alone " * 10)
    (ams.html / "away").write_text("of ams alone")
    (ams.html / "msk/page-1").write_text("edited by ams alone " * 10)
    (ams.html / "ams/page-1").write_text("edited, then lost")
    wait_for(lambda: ams.status()["store"]["files"] == 42 and not ams.status()["pending_local"], "it is in the index")
    ams.kill()
    torn = [ams.html / "alone", ams.html / "msk/page-1"]
    mishaps.cut_power(ams.state, torn, [ams.html / "away", ams.html / "ams/page-1"])
    ams.start()
    wait_for(lambda: ams.status().get("state") == "finding", "it waits for msk")
    assert ["msk"] == ams.status()["waits_for"]
    restarted(pair, msk)
    tree = pair.wait_identical()
    assert "away" not in tree
    assert "of ams alone of ams alone of ams alone of ams alone of ams alone " == (msk.html / "alone").read_text()
    assert (msk.html / "ams/page-1").read_text().startswith("ams wrote 1 "), "msk's own copy was older, but it is whole"
    wait_for(lambda: ams.status()["state"] == "running", "what was found is settled")


def test_two_nodes_that_lost_power_together_help_each_other(pair: Regions) -> None:
    filled(pair)
    before = pair.wait_identical()
    for one in pair.all:
        one.kill()
    for one in pair.all:
        mishaps.cut_power(one.state, [one.html / one.region / "page-1"], [one.html / one.region / "page-2"])
        one.start()
    pair.wait_settled()
    for one in pair.all:
        wait_for(lambda one=one: one.status()["state"] == "running", "what was found is settled")  # type: ignore[misc]
    assert before == pair.wait_identical()
