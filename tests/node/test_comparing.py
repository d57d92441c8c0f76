"""Whole sidecars whose indexes differ, for whatever reason: they compare, and heal."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.region import free_port
from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for
from tests.support.tree import tree_of

OFTEN = {"GEOROOT_COMPARE_INTERVAL": "1s"}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env |= OFTEN
        made.start()
        yield made


def sides(pair: Regions) -> tuple[Sidecar, Sidecar]:
    msk, ams = pair.all
    return msk, ams


def set_cursor(one: Sidecar, peer: Sidecar, cursor: int) -> None:
    """What the index of a node that is stopped says of a peer."""
    with contextlib.closing(sqlite3.connect(one.state / "index.db")) as index, index:
        changed = index.execute("UPDATE peers SET cursor = ? WHERE region = ?", (cursor, peer.region)).rowcount
    assert 1 == changed


def fill(one: Sidecar, name: str, count: int) -> None:
    for number in range(count):
        (one.html / f"{name}-{number}").write_text(f"{name} {number}")


def compared(one: Sidecar, result: str) -> float:
    return one.metric("georoot_comparisons_total", result=result)


def wait_same(*nodes: Sidecar) -> None:
    """Until each has compared anew with all its peers, and nothing differed."""
    before = [compared(one, "same") for one in nodes]
    wait_for(lambda: all(compared(o, "same") >= b + 2 for o, b in zip(nodes, before, strict=True)), "compared anew")
    assert [[0], [0]] == [[peer["differing"] for peer in one.status()["peers"]] for one in nodes]


def test_a_cursor_that_is_too_high_heals_itself_and_is_reported(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, "before", 30)
    pair.wait_identical()
    ams.stop()
    fill(msk, "missed", 30)
    (msk.html / "before-3").unlink()
    (msk.html / "before-4").write_text("edited")
    wait_for(lambda: msk.status()["peers"][0]["pending"] == 32, "msk has taken up what it wrote")
    set_cursor(ams, msk, msk.status()["store"]["seq"])
    ams.start()
    pair.wait_identical()
    assert compared(msk, "different") >= 1
    assert 32 <= msk.metric("georoot_rows_offered_anew_total", peer="ams") <= 61
    (peer,) = msk.status()["peers"]
    assert peer["offered_anew"] >= 32 and 0 <= peer["compared"] < 60
    assert 0 == ams.metric("georoot_files_sent_total")
    wait_same(msk, ams)
    assert [] == msk.status()["warnings"]


def test_a_cursor_that_was_lost_costs_no_content(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, "page", 50)
    pair.wait_identical()
    sent = msk.metric("georoot_files_sent_total")
    entries = msk.metric("georoot_entries_sent_total", lane="offer")
    ams.stop()
    set_cursor(ams, msk, 0)
    ams.start()
    wait_for(lambda: msk.metric("georoot_entries_sent_total", lane="offer") >= entries + 50, "all is offered")
    pair.wait_identical()
    wait_same(msk, ams)
    assert sent == msk.metric("georoot_files_sent_total")
    assert 0 == msk.metric("georoot_rows_offered_anew_total")


def test_what_one_side_excludes_is_no_difference(pair: Regions) -> None:
    msk, ams = sides(pair)
    ams.stop()
    ams.env["GEOROOT_EXCLUDE"] = "*.log"
    ams.start()
    pair.wait_settled()
    (msk.html / "access.log").write_text("x")
    fill(msk, "page", 5)
    wait_for(lambda: len(ams.tree()) == 5, "the pages are there")
    wait_same(msk, ams)
    assert 0 == compared(msk, "different")
    ams.stop()
    ams.start()  # what it answered before is forgotten
    pair.wait_settled()
    wait_for(lambda: compared(msk, "different") == 1, "msk asks once more")
    wait_same(msk, ams)
    assert "access.log" not in ams.tree()


def test_a_dead_link_of_three_is_healed_through_the_third_and_content_goes_once(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams", "fra") as made:
        msk, ams, fra = made.all
        dead = f"127.0.0.1:{free_port()}"
        msk.env["GEOROOT_PEERS"] = f"ams={dead},fra=127.0.0.1:{fra.ssh_port}"
        ams.env["GEOROOT_PEERS"] = f"msk={dead},fra=127.0.0.1:{fra.ssh_port}"
        for one in made.all:
            one.env |= OFTEN | {"GEOROOT_FOUND": "now"}
            one.start()
        wait_for(lambda: all(one.status().get("state") == "running" for one in made.all), "all run")
        wait_for(lambda: all(peer["state"] == "up" for peer in fra.status()["peers"]), "fra reaches both")
        fill(msk, "page", 40)
        fill(ams, "image", 40)
        wait_for(lambda: all(len(tree_of(one.html)) == 80 for one in made.all), "all is everywhere")
        assert [40, 40, 80] == [one.metric("georoot_files_sent_total") for one in made.all]
        fra.stop()
        fill(msk, "late", 10)
        fra.start()
        wait_for(lambda: all(len(tree_of(one.html)) == 90 for one in made.all), "what was late too")
        wait_for(lambda: compared(fra, "same") >= 4, "fra compares with both")
        assert [50, 40, 10] == [one.metric("georoot_files_sent_total") for one in made.all]
