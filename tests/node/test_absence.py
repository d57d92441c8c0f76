"""Whole sidecars that remember deletions for a second: of both that are there, and of one that is away for long."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for

SHORT = {"GEOROOT_COMPARE_INTERVAL": "200ms", "GEOROOT_TOMBSTONE_KEEP": "1s", "GEOROOT_SPARES": "1"}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env |= SHORT
        yield made


def tombstones(one: Sidecar) -> int:
    return int(one.status()["store"]["tombstones"])


def test_deletions_are_forgotten_when_all_have_them_and_do_not_come_undone(pair: Regions) -> None:
    msk, ams = pair.all
    msk.env["GEOROOT_FORGET_AFTER"] = "2s"
    for name in ("page", "other", "gone"):
        (msk.html / name).write_text(name)
    pair.start()
    pair.wait_identical()
    (msk.html / "gone").unlink()
    wait_for(lambda: "gone" not in ams.tree(), "it is deleted in both")
    time.sleep(1.1)  # then it is old
    for one in pair.all:
        (one.html / f"of-{one.region}").write_text("each hears of the other, and that it is there")
    wait_for(lambda: all(0 == tombstones(one) for one in pair.all), "nobody remembers it any more")
    there = set(pair.wait_identical())
    assert {"page", "other", "of-msk", "of-ams"} == there
    assert all(one.status()["store"]["complete_since"] > 0 for one in pair.all)
    assert [[], []] == [one.status()["holds"] for one in pair.all]

    ams.stop()
    (ams.html / "new").write_text("written there meanwhile")
    (msk.html / "page").unlink()
    wait_for(lambda: msk.metric("georoot_forgotten_nodes") == 1, "ams is forgotten")
    assert any("ams/ams is forgotten" in line for line in msk.status()["warnings"])
    wait_for(lambda: 0 == tombstones(msk), "and so is what was deleted")
    ams.start()
    wait_for(lambda: [hold["id"] for hold in ams.status().get("holds", ())] == ["forgotten"], "ams asks")
    wait_for(lambda: "new" in msk.tree(), "what is new there comes at once")
    assert there - {"page"} | {"new"} == set(msk.tree())
    assert (1, 0) == (ams.metric("georoot_holds", hold="forgotten"), msk.metric("georoot_forgotten_nodes"))
    refused = ams.command("approve", "forgotten")
    assert 1 == refused.code and "--trash or --offer" in refused.err
    ran = ams.command("approve", "forgotten", "--trash")
    assert (0, "approved: forgotten\n") == (ran.code, ran.out), ran.err
    assert there - {"page"} | {"new"} == set(pair.wait_identical())
    assert [] == ams.status()["holds"]
    assert "page" in ams.command("trash").out
