"""A deploy goes on while a node looks: in which order do rows come?"""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sidecar.core import compare, paths
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Kind, Stat
from sidecar.core.frames import Renamed
from sidecar.core.paths import RelPath
from sidecar.engine.hashing import LARGE
from sidecar.engine.node import Node
from sidecar.engine.turn import Turn, on_one_way
from sidecar.fs.events import Reason
from sidecar.fs.root import WebRoot
from sidecar.index.faults import IndexFull
from sidecar.index.store import Index
from sidecar.metrics import Metrics
from tests.unit.engine.conftest import options

CURRENT = RelPath(b"current")


class Author:
    """Works on the web root of a node that has not seen it yet."""

    def __init__(self, html: Path) -> None:
        self.html = html

    def release(self, number: int) -> None:
        """Fill a release, and lead `current` to it."""
        page = self.html / "releases" / str(number) / "page"
        page.parent.mkdir(parents=True)
        page.write_text(str(number))
        os.symlink(f"releases/{number}", self.html / "current.new")
        (self.html / "current.new").rename(self.html / "current")

    def remove(self, number: int) -> None:
        shutil.rmtree(self.html / "releases" / str(number))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    (tmp_path / "html").mkdir()
    made = options(tmp_path)
    root = WebRoot(made.root, made.state, made.inbox)
    index = Index.open(Path(made.state) / "index.db", lambda: 1001)
    index.start_run("boot", 1)
    node = Node(made, root, index, Metrics(), "3.5.0")
    await node.recover()
    list(node.watcher.cover())
    yield node
    node.watcher.close()
    index.close()
    root.close()


@pytest.fixture
def author(node: Node) -> Author:
    return Author(Path(node.root.path))


async def turn(node: Node) -> None:
    await node.events.read_all()
    await node.watching._turn()


def meanwhile(node: Node, monkeypatch: pytest.MonkeyPatch, work: list[Callable[[], None]]) -> None:
    """Each time that the node has looked, and is about to read events or to absorb symlinks, some work is done."""
    absorb = node.watching._absorb_links

    async def late(looked: dict[RelPath, object]) -> list[RelPath]:
        if work:
            work.pop(0)()
        return await absorb(looked)  # type: ignore[arg-type]

    monkeypatch.setattr(node.watching, "_absorb_links", late)


def shown(node: Node) -> set[str]:
    """The paths beneath releases/ that the index has, and where `current` leads."""
    rows = [row for row in node.index.since(0, 1000) if row.stat is not None and row.stat.kind is Kind.FILE]
    current = node.index.get(CURRENT)
    best = versions.winner(current.version) if current is not None else None
    return {row.path.decode() for row in rows} | ({best.target.decode()} if best is not None else set())


async def test_a_release_goes_when_current_has_left_it(node: Node, author: Author) -> None:
    author.release(1)
    await turn(node)
    assert {"releases/1/page", "releases/1"} == shown(node)
    author.release(2)
    author.remove(1)
    await turn(node)
    await turn(node)
    assert {"releases/2/page", "releases/2"} == shown(node)


async def test_what_current_led_to_waits_while_current_changes_under_our_eyes(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    await turn(node)
    author.release(2)
    author.remove(1)
    meanwhile(node, monkeypatch, [lambda: author.release(3)])
    await turn(node)
    assert {"releases/1/page", "releases/2/page", "releases/1"} == shown(node)
    await turn(node)
    await turn(node)
    assert {"releases/2/page", "releases/3/page", "releases/3"} == shown(node)


async def test_current_does_not_lead_to_what_was_not_looked_at(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    meanwhile(node, monkeypatch, [lambda: author.release(2)])
    await turn(node)
    assert {"releases/1/page"} == shown(node)
    await turn(node)
    assert {"releases/1/page", "releases/2/page", "releases/2"} == shown(node)


async def test_what_current_does_not_lead_to_waits_for_nothing(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    author.release(2)
    (author.html / "note").write_text("x")
    await turn(node)
    author.release(3)
    (author.html / "note").unlink()
    meanwhile(node, monkeypatch, [lambda: author.release(4)])
    await turn(node)
    assert "note" not in shown(node)
    assert "releases/2" in shown(node)


async def test_what_lay_in_a_directory_waits_for_the_symlink_that_took_its_place(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    await turn(node)
    store, release = author.html / "store", author.html / "releases" / "1"
    shutil.copytree(release, store)
    shutil.rmtree(release)
    release.symlink_to("../store")

    def again() -> None:
        release.unlink()
        release.symlink_to("../store/.")

    meanwhile(node, monkeypatch, [again])
    await turn(node)
    assert "releases/1/page" in shown(node)
    await turn(node)
    assert {"store/page", "releases/1"} == shown(node)


async def test_current_waits_for_the_symlinks_on_its_way_however_many_are_made(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    release = author.html / "releases" / "2"
    release.mkdir()
    (release / "page").write_text("2")
    await turn(node)
    sort, numbers = node.watching._sort, iter(range(100))

    async def sorted_meanwhile(marked: list[RelPath], told: Turn) -> None:
        await sort(marked, told)
        if CURRENT in marked:  # after each look at it, another symlink on its way
            shutil.rmtree(release) if not release.is_symlink() else release.unlink()
            release.symlink_to(f"../store/{next(numbers)}")

    monkeypatch.setattr(node.watching, "_sort", sorted_meanwhile)
    os.symlink("releases/2", author.html / "current.new")
    (author.html / "current.new").rename(author.html / "current")
    await turn(node)
    assert {"releases/1/page", "releases/2/page", "releases/1"} == shown(node)
    monkeypatch.undo()
    await turn(node)
    assert {"releases/1/page", "releases/2"} == shown(node)


def lead_current_to(author: Author, number: int) -> None:
    os.symlink(f"releases/{number}", author.html / "current.new")
    (author.html / "current.new").rename(author.html / "current")


async def test_current_does_not_lead_to_a_file_whose_close_was_told_before_it_had_ended(
    node: Node, author: Author
) -> None:
    release = author.html / "releases" / "1"
    release.mkdir(parents=True)
    with (release / "page").open("w") as page:
        page.write("1")
        await turn(node)
        node.dirty.mark(RelPath(b"releases/1/page"))  # as its close does, which the kernel tells before it ends
        await turn(node)
    assert set() == shown(node)
    assert [(RelPath(b"releases/1/page"), Reason.CLOSED)] == node.watcher.read().dirty
    lead_current_to(author, 1)
    await turn(node)
    assert {"releases/1/page", "releases/1"} == shown(node)


async def test_current_waits_for_nobody_who_has_a_file_open_there(node: Node, author: Author) -> None:
    release = author.html / "releases" / "1"
    release.mkdir(parents=True)
    with (release / "log").open("w") as file:
        file.write("1")
        await turn(node)
        lead_current_to(author, 1)
        await turn(node)
        assert {"releases/1"} == shown(node)


async def test_current_does_not_lead_to_a_large_file_that_is_being_hashed(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = author.html / "releases" / "1"
    release.mkdir(parents=True)
    (release / "film").write_bytes(bytes(LARGE))
    (author.html / "other").write_bytes(bytes(LARGE))
    going_on, hashed = threading.Event(), WebRoot.hash

    def slowly(root: WebRoot, path: RelPath, *refuse: Callable[[bool | None], None]) -> tuple[Stat, bytes]:
        if not refuse:  # off the loop
            going_on.wait(10)
        return hashed(root, path, *refuse)

    monkeypatch.setattr(WebRoot, "hash", slowly)
    author.release(0)
    await turn(node)
    assert {"releases/0/page", "releases/0"} == shown(node)
    lead_current_to(author, 1)
    (author.html / "note").write_text("x")
    await turn(node)
    assert {"note", "releases/0/page", "releases/0"} == shown(node)
    author.remove(0)  # what `current` led to waits with it
    for _ in range(2):
        await turn(node)
        assert {"note", "releases/0/page", "releases/0"} == shown(node)
    going_on.set()
    await asyncio.wait(node.watching._hashing.tasks)
    await turn(node)
    await turn(node)
    assert {"note", "other", "releases/1/film", "releases/1"} == shown(node)


async def test_a_symlink_to_the_web_root_waits_for_no_hash(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()
    monkeypatch.setattr(WebRoot, "hash", lambda *_: going_on.wait(10))
    (author.html / "film").write_bytes(bytes(LARGE))
    os.symlink(".", author.html / "current")
    async with asyncio.timeout(5):
        await turn(node)
    assert {"."} == shown(node)
    going_on.set()


async def test_a_symlink_does_not_wait_for_a_large_file_that_is_written_all_the_time(
    node: Node, author: Author
) -> None:
    release = author.html / "releases" / "1"
    release.mkdir(parents=True)
    with (release / "log").open("wb") as file:
        file.write(bytes(LARGE))
        file.flush()
        lead_current_to(author, 1)
        node.dirty.mark(RelPath(b"releases/1/log"))
        await turn(node)
        assert {"releases/1"} == shown(node)


async def turns_in_a_second(node: Node, monkeypatch: pytest.MonkeyPatch) -> int:
    count, one = 0, node.watching._turn

    async def counted() -> None:
        nonlocal count
        count += 1
        await one()

    monkeypatch.setattr(node.watching, "_turn", counted)
    await node.events.read_all()
    running = asyncio.ensure_future(node.watching.run())
    await asyncio.sleep(1)
    running.cancel()
    return count


async def test_a_symlink_whose_path_is_too_long_is_looked_at_now_and_then(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MAX_PATH", 30)
    os.symlink("x", author.html / ("l" * 40))
    os.symlink("x", author.html / "short")
    assert await turns_in_a_second(node, monkeypatch) < 10
    assert node.index.get(RelPath(b"short")) is not None


async def test_a_symlink_waits_like_all_else_while_the_index_is_full(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    await turn(node)
    author.release(2)
    author.remove(1)
    full, lost = True, 0
    begin = node.index.transaction

    def transaction() -> AbstractContextManager[None]:
        nonlocal lost
        if full:
            lost += 1
            raise IndexFull("no space")
        return begin()

    monkeypatch.setattr(Index, "transaction", lambda _: transaction())
    assert await turns_in_a_second(node, monkeypatch) < 10
    assert 1 == lost
    assert {"releases/1/page", "releases/1"} == shown(node)
    full = False
    (author.html / "note").write_text("x")  # what comes meanwhile comes with the rest
    await turn(node)
    assert {"releases/1/page", "releases/1"} == shown(node)
    node.intake._again_at = 0.0
    node.dirty.mark(*node.dirty.later)
    await turn(node)
    assert {"note", "releases/2/page", "releases/2"} == shown(node)


async def absorbed(node: Node) -> list[list[bytes]]:
    """What a turn writes in each transaction."""
    slices: list[list[bytes]] = []
    at = node.index.max_seq()

    def told() -> None:
        nonlocal at
        slices.append([row.path for row in node.index.since(at, 1000)])
        at = node.index.max_seq()

    node.watching._absorbed = told
    await turn(node)
    return [paths for paths in slices if paths]


async def test_a_renamed_directory_is_told_file_by_file_with_what_leaves(node: Node, author: Author) -> None:
    for name in ("one", "two"):
        (author.html / "old").mkdir(exist_ok=True)
        (author.html / "old" / name).write_text(name)
    await turn(node)
    (author.html / "old").rename(author.html / "new")
    assert [[b"new", b"new/one", b"old/one", b"new/two", b"old/two"], [b"old"]] == await absorbed(node)
    assert 0 == sum(row.stat is not None for row in node.index.beneath(RelPath(b"old")))


async def test_what_leaves_waits_where_a_symlink_has_changed(node: Node, author: Author) -> None:
    author.release(1)
    await turn(node)
    author.release(2)
    (author.html / "releases" / "1").rename(author.html / "put aside")
    told = await absorbed(node)
    at = {path: number for number, paths in enumerate(told) for path in paths}
    assert at[b"put aside/page"] < at[CURRENT] < at[b"releases/1/page"]


async def test_what_leaves_waits_for_a_symlink_that_is_seen_late(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.release(1)
    await turn(node)
    (author.html / "releases" / "1").rename(author.html / "put aside")
    sort, work = node.watching._sort, [lambda: author.release(2)]

    async def sorted_meanwhile(marked: list[RelPath], told: Turn) -> None:
        await sort(marked, told)
        if work:
            work.pop()()

    monkeypatch.setattr(node.watching, "_sort", sorted_meanwhile)
    told = await absorbed(node)
    at = {path: number for number, paths in enumerate(told) for path in paths}
    assert at[b"put aside/page"] < at[CURRENT] < at[b"releases/1/page"]


async def test_of_a_swap_nothing_leaves(node: Node, author: Author) -> None:
    for name in ("a", "b"):
        (author.html / name).write_text(name)
    await turn(node)
    (author.html / "a").rename(author.html / "c")
    (author.html / "b").rename(author.html / "a")
    (author.html / "c").rename(author.html / "b")
    (author.html / "gone").write_text("x")
    (author.html / "gone").unlink()
    await turn(node)
    assert {"a", "b"} == shown(node)


async def test_what_cannot_be_looked_at_by_now_is_not_told_to_have_gone(
    node: Node, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, still_gone = author.html / "page", node.watching._still_gone
    page.write_text("1")
    await turn(node)
    page.unlink()

    def late(looked: list[RelPath]) -> list[RelPath]:
        os.mkfifo(page)
        return still_gone(looked)

    monkeypatch.setattr(node.watching, "_still_gone", late)
    await turn(node)
    row = node.index.get(RelPath(b"page"))
    assert row is not None and row.stat is not None


def test_one_way_is_above_and_beneath() -> None:
    related = on_one_way(RelPath(path) for path in (b"a/b", b"c"))
    assert [True, True, True, True, True] == [related(RelPath(p)) for p in (b"a", b"a/b", b"a/b/c", b"c", b"c/d/e")]
    assert [False, False, False] == [related(RelPath(p)) for p in (b"a/bb", b"a/c", b"d")]


async def renamed_for_a_peer(node: Node, author: Author) -> None:
    """`a` with a page became `b`; the watch has not looked yet."""
    node.index.found_done()
    node.scanned.set()
    (author.html / "a").mkdir()
    (author.html / "a/page").write_text("page")
    await turn(node)
    rows = [node.index.get(RelPath(path)) for path in (b"a", b"a/page")]
    first, second = (compare.sum_of(row.path, row.version) for row in rows if row is not None)
    node.renamed("ams", Renamed(RelPath(b"a"), RelPath(b"b"), Dot(node.me.now_us(), 99), 2, first ^ second))
    await node.moving.passed([RelPath(b"a")])
    assert {"b", "b/page"} == live(node)


def live(node: Node) -> set[str]:
    return {row.path.decode() for row in node.index.since(0, 1000) if row.stat is not None}


async def test_a_rename_that_was_done_for_a_peer_once_is_no_later_one(node: Node, author: Author) -> None:
    """The watch told of two renames as of one, and never of the first."""
    await renamed_for_a_peer(node, author)
    for old, new in (("b", "c"), ("c", "a"), ("a", "b")):
        (author.html / old).rename(author.html / new)
        await turn(node)
        await turn(node)
        assert {new, f"{new}/page"} == live(node)


@pytest.mark.parametrize("another", [True, False])
async def test_one_that_is_undone_before_the_watch_looks_is_undone(node: Node, author: Author, another: bool) -> None:
    """The directory lies where the watch knows it: it tells of no rename, and of nothing in it."""
    await renamed_for_a_peer(node, author)
    (author.html / "b").rename(author.html / "a")
    if another:
        (author.html / "b").mkdir()
    await turn(node)
    await turn(node)
    assert {"a", "a/page"} | ({"b"} if another else set()) == live(node)
