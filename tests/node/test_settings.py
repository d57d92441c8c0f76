"""Whole sidecars whose settings change, each time by a restart: a pattern more and less, a peer more and less."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for
from tests.support.load import Work
from tests.support.tree import Tree

SETTINGS = {"GEOROOT_COMPARE_INTERVAL": "200ms", "GEOROOT_SPARES": "1", "GEOROOT_DRAIN": "1"}
CACHE, PAGES = 20, 100
WORK_SECONDS = 2.0
WITHIN = 60.0


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Regions]:
    """Here msk and ams know each other; fra, which never runs, is a peer of msk's for a while."""
    with regions(tmp_path, "msk", "ams", "fra") as made:
        msk, ams, _ = made.all
        for one in made.all:
            one.env |= SETTINGS
        msk.knows(ams)
        ams.knows(msk)
        yield made


def fill(one: Sidecar, directory: str, count: int) -> None:
    (one.html / directory).mkdir()
    for number in range(count):
        (one.html / directory / str(number)).write_text(f"{directory} {number}")


def settled(*those: Sidecar) -> bool:
    """Nothing to do between msk and ams; fra may be away."""
    found = [one.status() for one in those]
    return all(
        status
        and status["state"] == "running"
        and not status["pending_local"]
        and all(
            peer["state"] == "up" and peer["pending"] == 0 and peer["receiving"]
            for peer in status["peers"]
            if peer["region"] != "fra"
        )
        for status in found
    )


def wait_alike(msk: Sidecar, ams: Sidecar, *, but: tuple[str, ...] = ()) -> Tree:
    """Until both hold the same, the directories `but` and what lies in them left out; what that is."""
    found: list[Tree] = []

    def alike() -> bool:
        found[:] = [
            {path: facts for path, facts in one.tree().items() if path.split("/")[0] not in but} for one in (msk, ams)
        ]
        return settled(msk, ams) and found[0] == found[1]

    wait_for(alike, "both the same", WITHIN, every=0.05)
    return found[0]


def again(one: Sidecar, exclude: str, *peers: Sidecar) -> None:
    """A restart with other settings."""
    assert one.stop() in (0, 4)  # 4: something was for fra, which is away, or came in while it stopped
    one.env["GEOROOT_EXCLUDE"] = exclude
    one.knows(*peers)
    one.start()
    names = [peer.region for peer in peers]
    wait_for(lambda: [peer["region"] for peer in one.status().get("peers", ())] == names, "it has these peers", WITHIN)


def wait_compared(*those: Sidecar) -> None:
    """Until each has compared its index with the other's anew, and nothing differed."""

    def same() -> list[float]:
        return [one.metric("georoot_comparisons_total", result="same") for one in those]

    wait_for(lambda: settled(*those), "they are linked again", WITHIN)
    before = same()
    wait_for(lambda: all(now >= old + 2 for now, old in zip(same(), before, strict=True)), "compared anew", WITHIN)


def sent(*those: Sidecar) -> list[float]:
    return [one.metric("georoot_files_sent_total") for one in those]


@contextmanager
def load(*those: Sidecar) -> Iterator[dict[str, Work]]:
    """Random work on each side while the block lasts, and until it is done; whose models say what it must have left."""
    works = {f"of-{one.region}": Work(str(one.html / f"of-{one.region}"), {}, Random(one.region)) for one in those}
    for one in those:
        (one.html / f"of-{one.region}").mkdir()
    with ThreadPoolExecutor() as threads:
        running = [threads.submit(work.run, WORK_SECONDS) for work in works.values()]
        yield works
        assert all(one.result() for one in running)


def begin(msk: Sidecar, ams: Sidecar) -> Tree:
    """Both run and hold the same; what that is."""
    for directory, count in (("cache", CACHE), ("old", CACHE), ("page", PAGES)):
        fill(msk, directory, count)
    for one in (msk, ams):
        one.start()
    tree = wait_alike(msk, ams)
    assert 2 * CACHE + PAGES + 3 == len(tree)
    return tree


def test_a_pattern_and_a_peer_more_or_less_send_and_delete_nothing(three: Regions) -> None:
    msk, ams, fra = three.all
    tree = begin(msk, ams)
    for exclude, peers, files in (
        ("/cache/,old/", (ams, fra), PAGES),
        ("", (ams,), PAGES + 2 * CACHE),
    ):
        again(msk, exclude, *peers)
        wait_compared(msk, ams)
        assert [tree, tree] == [msk.tree(), ams.tree()]
        assert [0, 0] == sent(msk, ams), exclude
        assert [files, PAGES + 2 * CACHE] == [one.status()["store"]["files"] for one in (msk, ams)]
        assert [0, 0] == [one.status()["store"]["tombstones"] for one in (msk, ams)]
        assert [0, 0] == [one.status()["store"]["conflicts"] for one in (msk, ams)]


def test_what_is_excluded_stays_as_each_side_has_it_while_both_work_on(three: Regions) -> None:
    msk, ams, fra = three.all
    begin(msk, ams)
    with load(msk, ams) as works:
        again(msk, "/cache/,old/", ams, fra)
        wait_for(lambda: settled(msk, ams), "msk is back", WITHIN)
        (msk.html / "cache/new-in-msk").write_text("msk")
        (ams.html / "cache/new-in-ams").write_text("ams")
        (msk.html / "cache/1").write_text("edited in msk")
        (ams.html / "cache/2").write_text("edited in ams")
        (msk.html / "cache/3").unlink()
        (ams.html / "cache/4").unlink()
        shutil.rmtree(ams.html / "old")
    wait_compared(msk, ams)
    wait_alike(msk, ams, but=("cache", "old"))
    names = {str(number) for number in range(CACHE)}
    assert names - {"3"} | {"new-in-msk"} == set(os.listdir(msk.html / "cache"))
    assert names - {"4"} | {"new-in-ams"} == set(os.listdir(ams.html / "cache"))
    assert names == set(os.listdir(msk.html / "old")) and not (ams.html / "old").exists()
    assert ("edited in msk", "cache 2") == tuple((msk.html / "cache" / name).read_text() for name in "12")
    assert ("cache 1", "edited in ams") == tuple((ams.html / "cache" / name).read_text() for name in "12")

    again(msk, "old/", ams)
    tree = wait_alike(msk, ams, but=("old",))
    assert {"cache/new-in-msk", "cache/new-in-ams", "cache/1", "cache/2"} <= set(tree)
    for path, text in (("cache/1", "edited in msk"), ("cache/2", "edited in ams")):
        listed = msk.command("conflicts", "show", path).out
        assert text in (msk.html / path).read_text() or text in listed, f"{path} is lost: {listed}"
    for top, work in works.items():
        there = {path: facts for path, facts in tree.items() if path.startswith(f"{top}/")}
        assert {f"{top}/{path}": facts[0] for path, facts in work.model.items()} == {
            path: facts[0] for path, facts in there.items()
        }
        for path, facts in work.model.items():
            assert facts[0] != "file" or facts[3] == there[f"{top}/{path}"][3], path

    wait_compared(msk, ams)
    before = sent(ams)
    again(msk, "old/,/nothing-like-it", ams)
    wait_compared(msk, ams)
    assert tree == wait_alike(msk, ams, but=("old",))
    assert [0, *before] == sent(msk, ams)
