"""A directory that cannot be listed is told, and nothing in it is gone; when it can be, it is scanned."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from sidecar.engine.node import Node
from tests.support.privileges import held_to_permissions
from tests.unit.engine.conftest import Starter
from tests.unit.engine.test_waiting import asked, both, connected, link_to, running

SHUT: Final = RelPath(b"shut")
MODES: Final = pytest.mark.parametrize("mode", [0o000, 0o300, 0o600], ids=["closed", "unreadable", "impassable"])


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    with held_to_permissions():
        yield


@pytest.fixture
def node(start: Starter) -> Node:
    return running(start)


@pytest.fixture
def shut(node: Node) -> Iterator[Path]:
    """A directory with a page in it, to be shut."""
    made = Path(node.root.path, "shut")
    (made / "deep").mkdir(parents=True)
    (made / "page").write_text("page")
    (made / "deep" / "page").write_text("deep")
    yield made
    if made.is_dir():
        made.chmod(0o755)


def unlisted(node: Node) -> list[RelPath]:
    return sorted(node.unlisted.paths)


def edited(directory: Path) -> None:
    """One page in it goes, one comes."""
    (directory / "page").unlink()
    (directory / "new").write_text("new")


def live(node: Node) -> set[bytes]:
    return {row.path for row in node.index.beneath(ROOT, live_only=True)}


async def scanned(node: Node) -> None:
    """One scan, and what it marked looked at."""
    node.scanned.set()
    turning = asyncio.ensure_future(node.watching.run())
    try:
        await asyncio.wait_for(node.scans._scan(finding=False, rests=False), 30)
        await node.watching.caught_up()
    finally:
        turning.cancel()


@MODES
async def test_a_scan_tells_of_it_and_loses_nothing(node: Node, shut: Path, mode: int) -> None:
    await scanned(node)
    known = live(node)
    assert {b"shut", b"shut/page", b"shut/deep", b"shut/deep/page"} == known
    os.chmod(shut, mode)
    await scanned(node)
    assert [SHUT] == unlisted(node)
    ((_, why),) = [one for one in node.intake.unreadable() if one[0] == SHUT]
    assert "cannot be listed" in why.why and "Permission denied" in why.why and "chown" in why.hint
    assert known == live(node), "what cannot be seen is not gone"
    os.chmod(shut, 0o700)
    edited(shut)
    await scanned(node)
    assert [] == unlisted(node)
    assert (known - {b"shut/page"}) | {b"shut/new"} == live(node)


@both
@MODES
def test_its_content_is_not_in_the_other_regions(node: Node, shut: Path, mode: int, sync: bool) -> None:
    link = link_to(node)
    connected(link)
    shut.chmod(mode)
    node.dirty.mark(SHUT)
    (behind,) = asked(node, link, 3.0, sync=sync)
    assert behind.held and "paths are not sent, shut among them: cannot be listed" in behind.why
    assert f"let UID {os.geteuid()} read and enter it" in behind.why
    assert [SHUT] == unlisted(node), "the status lists it"


@MODES
async def test_when_it_can_be_listed_it_is_scanned(node: Node, shut: Path, mode: int) -> None:
    os.chmod(shut, mode)
    await scanned(node)
    node.unlisted.look_again()
    node.unlisted.looked_at(SHUT, node.root.lstat(SHUT))
    assert not node.scans._due.is_set()
    os.chmod(shut, 0o700)
    node.unlisted.look_again()
    assert node.scans._due.is_set(), "a poll is enough"
    node.scans._due.clear()
    node.unlisted.looked_at(SHUT, node.root.lstat(SHUT))
    assert node.scans._due.is_set(), "so is its event"
    assert [SHUT] == unlisted(node), "`wait` waits for that scan"
    await scanned(node)
    assert [] == unlisted(node)
    assert {b"shut", b"shut/page", b"shut/deep", b"shut/deep/page"} == live(node)
    assert {b"shut", b"shut/deep"} < node.watcher.watched()


def test_an_empty_one_that_cannot_be_entered_calls_for_no_scan(node: Node) -> None:
    """Its names, of which there are none, could be read: every poll called for one more scan of everything."""
    empty = Path(node.root.path, "shut")
    empty.mkdir()
    empty.chmod(0o600)
    try:
        node.unlisted.looked_at(SHUT, node.root.lstat(SHUT))
        assert [SHUT] == unlisted(node)
        node.unlisted.look_again()
        assert not node.scans._due.is_set()
    finally:
        empty.chmod(0o755)


def test_one_that_shuts_while_it_is_scanned_stays_told(node: Node, shut: Path) -> None:
    unlisted_ = node.unlisted
    shut.chmod(0)
    unlisted_.looked_at(SHUT, node.root.lstat(SHUT))
    unlisted_.scan_begins()
    unlisted_.scan_ended({})  # it was open when the scan came by
    assert [SHUT] == unlisted(node)


def test_one_that_was_met_while_a_scan_ran_waits_for_the_next(node: Node, shut: Path) -> None:
    unlisted_ = node.unlisted
    unlisted_.scan_begins()
    shut.chmod(0)
    unlisted_.looked_at(SHUT, node.root.lstat(SHUT))
    shut.chmod(0o755)
    unlisted_.scan_ended({})
    assert [SHUT] == unlisted(node)


@pytest.mark.parametrize("becomes", ["nothing", "file", "elsewhere"])
def test_one_that_leaves_is_told_no_longer(node: Node, shut: Path, becomes: str) -> None:
    (shut / "deep").chmod(0)
    node.unlisted.looked_at(RelPath(b"shut/deep"), node.root.lstat(RelPath(b"shut/deep")))
    assert [b"shut/deep"] == unlisted(node)
    if becomes == "elsewhere":
        shut.rename(shut.with_name("moved"))
        (shut.with_name("moved") / "deep").chmod(0o755)
    else:
        (shut / "deep").chmod(0o755)
        shutil.rmtree(shut)
    if becomes == "file":
        shut.write_text("a file")
    node.unlisted.looked_at(SHUT, node.root.lstat(SHUT))
    assert [] == unlisted(node)


async def test_a_new_one_is_told_by_its_event(node: Node) -> None:
    made = Path(node.root.path, "new")
    list(node.watcher.cover())

    node.events.start()
    turning = asyncio.ensure_future(node.watching.run())
    try:
        os.mkdir(made, 0)
        await asyncio.wait_for(node.watching.caught_up(), 30)
    finally:
        turning.cancel()
        node.events.stop()
    assert [b"new"] == unlisted(node)
    row = node.index.get(RelPath(b"new"))
    assert row is not None and row.stat is not None and row.stat.kind is Kind.DIR, "the directory itself is sent"
    os.chmod(made, 0o700)
