"""However much there is, others have their turn: what goes through many rows does it in slices."""

import asyncio
import os
import shutil
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import xxhash

from sidecar.core import found
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Head, Kind, Stat, Version
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.paths import ROOT, RelPath
from sidecar.engine import enclosed
from sidecar.engine.comparing import LOOKED_UP, Way, sums_for
from sidecar.engine.node import Node
from sidecar.engine.orders import Pending
from sidecar.engine.settling import pending
from sidecar.engine.turn import SLICE
from tests.unit.engine.conftest import Starter

DIR = RelPath(b"dir")
PAGE = RelPath(b"page")


def filled(node: Node, directories: int, files: int) -> list[RelPath]:
    """`dir` with so many directories of so many files each, taken up; all that lies beneath it."""
    root = Path(node.root.path)
    names: list[RelPath] = []
    for number in range(directories):
        inner = root / "dir" / str(number)
        inner.mkdir(parents=True)
        names += [RelPath(f"dir/{number}".encode())]
        for page in range(files):
            (inner / str(page)).write_text("x")
            names += [RelPath(f"dir/{number}/{page}".encode())]
    node.intake.absorb([DIR, *names])
    return names


def most_at_once(node: Node, work: Coroutine[Any, Any, Any]) -> int:
    """The most rows that `work` wrote without giving others their turn."""
    most = 0

    async def watched() -> None:
        nonlocal most
        loops = [asyncio.ensure_future(node.watching.run()), asyncio.ensure_future(work)]
        written = node.index.rows_written
        while not loops[1].done():
            await asyncio.sleep(0)
            most, written = max(most, node.index.rows_written - written), node.index.rows_written
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    asyncio.run(asyncio.wait_for(watched(), 60))
    return most


@pytest.mark.parametrize("restarted", [False, True])
def test_a_directory_that_has_gone_goes_in_slices(start: Starter, restarted: bool) -> None:
    node = start()
    beneath = filled(node, 3, 300)
    for number in range(1000):
        Path(node.root.path, f"other-{number}").write_text("x")
    node.intake.absorb([RelPath(f"other-{number}".encode()) for number in range(1000)])
    shutil.move(Path(node.root.path, "dir"), Path(node.root.path).parent / "elsewhere")
    if restarted:
        node = start()

    async def taken_up() -> None:
        await node.scans._scan(finding=False, rests=False)
        await node.watching.caught_up()

    assert most_at_once(node, taken_up()) <= SLICE
    assert {} == node.holds.active
    assert not any(row.stat for row in map(node.replica.row, (DIR, *beneath)))
    assert 1000 == node.index.live_count()


@pytest.mark.parametrize("instead", ["", "file", "symlink"])
def test_a_directory_that_a_power_loss_took_is_found_in_slices(start: Starter, instead: str) -> None:
    node = start()
    beneath = filled(node, 3, 300)
    there = Path(node.root.path, "dir")
    shutil.move(there, Path(node.root.path).parent / "elsewhere")
    if instead == "file":
        there.write_text("x")
    elif instead:
        there.symlink_to("nowhere")
    for number in range(1000):
        Path(node.root.path, f"other-{number}").write_text("x")
    node = start()
    node.index.start("another boot", 2)
    assert node.index.power_lost
    assert most_at_once(node, node.scans._scan(finding=True, rests=False)) <= SLICE
    rows = [node.replica.row(path) for path in (DIR, *beneath)]
    assert all(found.is_found(row) and row.version.heads for row in rows)
    assert not any(row.stat for row in rows[1:])
    assert 1000 + bool(instead) == node.index.live_count()


def test_what_is_excluded_by_now_is_forgotten_in_slices(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(start(), 3, 300)
    node = start()
    monkeypatch.setattr(node.scans.scanner, "_excluded", lambda path, is_dir: path == DIR)
    assert most_at_once(node, node.scans._scan(finding=False, rests=False)) <= SLICE
    assert not list(node.index.beneath(ROOT))


def test_what_a_peer_leaves_out_is_looked_up_in_slices(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    paths = filled(node, 3, 200)
    index, asked = node.index, [0]
    everything = index.sums()
    whole = asyncio.run(sums_for(index, [Way(left_out={*paths, DIR})], 0))
    look = index.summands

    def noted(some: list[RelPath], since_us: int = 0) -> list[int]:
        asked.append(len(some))
        return look(some, since_us)

    monkeypatch.setattr(index, "summands", noted)
    assert whole == asyncio.run(sums_for(index, [Way(left_out={*paths, DIR})], 0)) != everything
    assert bytes(len(everything)) == whole
    assert len(paths) + 1 == sum(asked) and max(asked) <= LOOKED_UP


def test_after_a_power_loss_all_rows_are_gone_through_in_slices(start: Starter) -> None:
    filled(start(), 6, 300)
    node = start()
    node.index.start("another boot", 2)
    assert node.index.power_lost
    files = sum(row.stat is not None and row.stat.kind is Kind.FILE for row in node.index.beneath(DIR))
    turns = 0

    async def counted(work: Coroutine[Any, Any, None]) -> None:
        nonlocal turns
        task = asyncio.ensure_future(work)
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        await task

    for work in (node.finds.doubt(), node.finds._leave()):
        turns = 0
        asyncio.run(counted(work))
        assert turns > files // 500


def test_what_a_region_has_yet_to_confirm_is_counted_in_slices(start: Starter) -> None:
    node = start()
    paths = filled(node, 6, 300)
    away = SimpleNamespace(problem="away")
    link = SimpleNamespace(peer=SimpleNamespace(region="ams"), outbound=None, master=away, problem="", cursor=0)
    links: Any = SimpleNamespace(links={"ams": link})
    turns = 0

    async def counted() -> Pending:
        nonlocal turns
        task = asyncio.ensure_future(pending(node, links))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return task.result()

    (one,) = asyncio.run(counted()).regions
    assert len(paths) + 1 == one.send
    assert turns > len(paths) // 500


def test_what_lands_is_looked_at_once_before(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another time it is by the step that puts or takes it: 15 µs each, of some 150 a file."""
    node, looks = start(), list[RelPath]()
    Path(node.root.path, "page").write_text("old")
    node.intake.absorb([PAGE])
    dead = Head(Dot(versions.newest(node.replica.row(PAGE).version) + 1, 4242), Kind.TOMBSTONE)
    head = Head(Dot(5, 4242), Kind.FILE, 3, 7, 0o644, xxhash.xxh3_128_digest(b"new"))
    new = Entry(RelPath(b"new"), Version(((4242, 5),), (head,)), How.STAGED, content=b"new")
    entries = (new, Entry(PAGE, versions.write(node.replica.row(PAGE).version, dead)))
    staged, _ = enclosed.staged(node.root, entries)
    look = node.disk.look

    def looked(path: RelPath) -> Stat | None:
        looks.append(path)
        return look(path)

    monkeypatch.setattr(node.disk, "look", looked)
    lander = node.landing.lander("ams")
    with node.landing.slice("ams", entries, staged, {}) as lander.looked:
        made = [lander.land(entry, staged.get(entry.path), {}) for entry in entries]
    assert [Outcome.APPLIED, Outcome.APPLIED] == [one.outcome for one in made]
    assert [b"new"] == looks
    assert ["new"] == os.listdir(node.root.path)


@pytest.mark.parametrize("was_there", [True, False])
def test_a_write_that_comes_between_the_look_and_the_landing_of_a_file_is_kept(start: Starter, was_there: bool) -> None:
    node = start()
    page, local = Path(node.root.path, "page"), b"written after the look at all that is to land"
    if was_there:
        page.write_text("old")
        node.intake.absorb([PAGE])
    before = node.replica.row(PAGE).version
    at = node.me.now_us() + 60_000_000
    head = Head(Dot(at, 4242), Kind.FILE, 3, 7, 0o644, xxhash.xxh3_128_digest(b"new"))
    entry = Entry(PAGE, versions.write(before, head), How.STAGED, content=b"new")
    staged, _ = enclosed.staged(node.root, (entry,))
    lander = node.landing.lander("ams")
    with node.landing.slice("ams", (entry,), staged, {}) as lander.looked:
        page.write_bytes(local)
        made = lander.land(entry, staged[PAGE], {})
    assert (Outcome.APPLIED, b"new") == (made.outcome, page.read_bytes())
    assert 2 == len(node.replica.row(PAGE).version.heads)
    assert node.index.has_conflict(xxhash.xxh3_128_digest(local))


def test_a_file_that_is_taken_up_is_looked_at_once_before_it_is_hashed(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, looks = start(), list[RelPath]()
    look = node.disk.look

    def looked(path: RelPath) -> Stat | None:
        looks.append(path)
        return look(path)

    monkeypatch.setattr(node.disk, "look", looked)
    for text in ("new", "newer"):
        Path(node.root.path, "page").write_text(text)
        node.intake.absorb([PAGE])
        row = node.replica.row(PAGE)
        assert ([PAGE], xxhash.xxh3_128_digest(text.encode())) == (looks, row.hash)
        looks.clear()


def test_a_write_that_comes_before_a_deletion_lands_survives_it(start: Starter) -> None:
    node = start()
    page = Path(node.root.path, "page")
    page.write_text("old")
    node.intake.absorb([PAGE])
    before = node.replica.row(PAGE).version
    dead = Head(Dot(versions.newest(before) + 1, 4242), Kind.TOMBSTONE)
    entry = Entry(PAGE, versions.write(before, dead))
    with node.landing.slice("ams", (entry,), {}, {}):
        page.write_text("written after the look at all that is to land")
        made = node.landing.lander("ams").land(entry, None, {})
    assert Outcome.APPLIED == made.outcome
    assert "written after the look at all that is to land" == page.read_text()
    best = versions.winner(node.replica.row(PAGE).version)
    assert best is not None and best.kind is Kind.FILE
