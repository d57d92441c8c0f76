"""What a node finds after something went wrong with its volume: nothing of it is taken for what somebody did."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.frames import PROTOCOL
from tests.node.region import free_port
from tests.node.sidecars import Regions, Sidecar, regions
from tests.support import mishaps
from tests.support.asking import WITHIN, wait_for


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
    assert "gone everywhere" not in ams.said(), "the peer was asked before anything was given up"


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


def test_what_landed_is_no_edit_where_the_log_alone_was_lost(pair: Regions, tmp_path: Path) -> None:
    """A disk that failed is repaired, on the same boot; the other region went on, and here nobody wrote."""
    msk, ams = filled(pair)
    mishaps.keep_index(ams.state, tmp_path)
    for name in ("msk/page-1", "made"):
        (msk.html / name).write_text("landed, and lost")
    pair.wait_identical()
    ams.kill()
    mishaps.keep_index(tmp_path, ams.state)
    (msk.html / "msk/page-1").write_text("written while it was down")
    (msk.html / "made").unlink()
    before = msk.tree()
    restarted(pair, ams)
    assert before == pair.wait_identical()
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]
    assert "stopped without notice" in ams.said()


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


# -- an index that is lost, damaged, or set back with its volume


def test_an_index_that_was_deleted_is_built_from_content_and_peers_and_moves_none(pair: Regions) -> None:
    msk, ams = filled(pair)
    (msk.html / "ams/page-7").unlink()
    (ams.html / "ams/page-8").write_text("edited")
    before = pair.wait_identical()
    sent = msk.metric("georoot_files_sent_total")
    ams.stop()
    mishaps.lose_index(ams.state)
    restarted(pair, ams)
    assert before == pair.wait_identical()
    assert sent == msk.metric("georoot_files_sent_total")
    assert 0 == ams.metric("georoot_files_sent_total")
    assert 1 == ams.status()["store"]["trash"], "what was in the trash is listed, though nobody knows of which path"
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]


def test_an_index_deleted_beside_content_of_last_week_brings_nothing_old_back(pair: Regions, tmp_path: Path) -> None:
    msk, ams = filled(pair)
    shutil.copytree(ams.html, tmp_path / "last week", symlinks=True)
    for number in range(3):
        (msk.html / f"msk/page-{number}").write_text("written since")
        (msk.html / f"ams/page-{number}").unlink()
    (msk.html / "new").write_text("made since")
    before = pair.wait_identical()
    ams.stop()
    mishaps.lose_index(ams.state)
    shutil.rmtree(ams.html)
    shutil.copytree(tmp_path / "last week", ams.html, symlinks=True)
    restarted(pair, ams)
    assert before == pair.wait_identical()
    assert "lost" in ams.command("trash").out, "what lay there is kept"


@pytest.mark.parametrize("how", ["garbage", "truncated", "header", "pages"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_damaged_index_is_set_aside_and_built_anew(pair: Regions, how: str, clean: bool) -> None:
    _, ams = filled(pair)
    (ams.html / "ams/page-7").unlink()
    before = pair.wait_identical()
    if clean:
        ams.stop()
    else:
        ams.kill()
    mishaps.damage(ams.state, how)
    restarted(pair, ams)
    assert before == pair.wait_identical()
    wait_for(lambda: ams.metric("georoot_index_damaged_total") == 1, "it is counted")
    assert any("the index was damaged" in line for line in ams.status()["warnings"])
    assert 1 == ams.said().count("the index is damaged and set aside")
    assert 1 == len([path for path in ams.state.iterdir() if re.fullmatch(r"index\.db\.damaged-\d+", path.name)])


def test_an_index_that_is_damaged_while_it_is_open_is_set_aside_and_built_anew(pair: Regions) -> None:
    msk, ams = filled(pair, 400)
    ams.stop()  # so that its log has brought all there is
    restarted(pair, ams)
    mishaps.spoil(ams.state, "pages")
    for number in range(20):
        (msk.html / f"msk/page-{number * 20}").write_text("written since")
        (ams.html / f"ams/page-{number * 20}").write_text("written since")
    wait_for(lambda: "the index is damaged and set aside" in ams.said(), "it is noticed", 60)
    wait_for(lambda: ams.status().get("state") == "running", "it goes on", 60)
    tree = pair.wait_identical()
    assert 802 == len(tree)


def test_a_lost_cursor_moves_no_content(pair: Regions) -> None:
    _, ams = filled(pair)
    before = pair.wait_identical()
    sent = [one.metric("georoot_files_sent_total") for one in pair.all]
    ams.stop()
    mishaps.lose_peers(ams.state)
    restarted(pair, ams)
    assert before == pair.wait_identical()
    assert [sent[0], 0] == [one.metric("georoot_files_sent_total") for one in pair.all]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("writes_more", [True, False])
def test_a_volume_that_was_set_back_catches_up(pair: Regions, tmp_path: Path, running: bool, writes_more: bool) -> None:
    msk, ams = filled(pair)
    if not running:
        ams.stop()
    mishaps.snapshot(ams.volume, tmp_path / "snapshot")
    if not running:
        restarted(pair, ams)
    for number in range(5):
        (ams.html / f"ams/since-{number}").write_text("written after the snapshot")
        (msk.html / f"msk/page-{number}").unlink()
    (ams.html / "ams/page-9").write_text("edited after the snapshot")
    before = pair.wait_identical()
    wait_for(lambda: mishaps.seen(msk.state, "ams") >= ams.status()["store"]["seq"], "msk has heard of the last row")
    ams.kill()
    mishaps.restore(ams.volume, tmp_path / "snapshot")
    if writes_more:  # more rows than the peer had seen, so that the numbers alone tell nothing
        for number in range(40):
            (ams.html / f"more-{number}").write_text("written while it was down")
    restarted(pair, ams)
    tree = pair.wait_identical()
    assert before == {path: seen for path, seen in tree.items() if not path.startswith("more-")}
    assert (40 if writes_more else 0) == len(tree) - len(before)
    assert "set back to an older state" in ams.said()


def test_a_node_that_comes_back_with_an_empty_volume_deletes_nothing(pair: Regions) -> None:
    _, ams = filled(pair)
    before = pair.wait_identical()
    ams.kill()
    shutil.rmtree(ams.volume)
    ams.html.mkdir(parents=True)
    restarted(pair, ams)
    assert before == pair.wait_identical()


def test_a_peer_of_another_protocol_is_refused_and_both_sides_say_which_they_speak(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams") as made:
        msk, ams = made.all
        later = "import sidecar.core.frames as f; f.PROTOCOL = 8; from sidecar.__main__ import main; main()"
        ams.prefix = ("sh", "-c", f'exec "$0" -c "{later}" run')
        for one in made.all:
            one.start()
        for one, other, theirs, ours in ((msk, "ams", 8, PROTOCOL), (ams, "msk", PROTOCOL, 8)):
            said = f"{other} speaks protocol {theirs}, this node {ours}: upgrade the older one"
            wait_for(lambda one=one, said=said: said in one.said(), said, 2 * WITHIN)  # type: ignore[misc]
            wait_for(lambda one=one: "speaks protocol" in one.status()["peers"][0]["problem"], "status says so")  # type: ignore[misc]
            status = one.status()
            assert (theirs, ours) == (status["peers"][0]["protocol"], status["protocol"])
            assert theirs == one.metric("georoot_peer_protocol", peer=other)


def test_a_peer_that_cannot_connect_here_says_which_protocol_it_speaks_too(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams") as made:
        msk, ams = made.all
        later = "import sidecar.core.frames as f; f.PROTOCOL = 8; from sidecar.__main__ import main; main()"
        ams.prefix = ("sh", "-c", f'exec "$0" -c "{later}" run')
        ams.env["GEOROOT_PEERS"] = f"msk=127.0.0.1:{free_port()}"
        for one in made.all:
            one.start()
        wait_for(lambda: f"ams speaks protocol 8, this node {PROTOCOL}" in msk.said(), "msk says so", 2 * WITHIN)
        wait_for(lambda: f"msk speaks protocol {PROTOCOL}, this node 8" in ams.said(), "ams says so", 2 * WITHIN)
