"""Large files are copied off the loop, before the step that places them; what was not needed does not stay."""

import asyncio
import threading
from pathlib import Path

import pytest

from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep, Out
from sidecar.engine.decisions import until
from sidecar.engine.node import Node
from sidecar.engine.restore import Restorer, Wanted
from sidecar.fs import stage
from sidecar.fs.faults import Changed
from tests.unit.engine.conftest import Starter

PAGE, NEW = RelPath(b"page"), RelPath(b"new")


@pytest.fixture
def off_loop(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each copy, whether it was made in another thread than the loop's; every file is a large one."""
    copied: list[bool] = []
    copy = stage._copy_bytes

    def noted(from_fd: int, to_fd: int) -> None:
        copied.append(threading.current_thread() is not threading.main_thread())
        copy(from_fd, to_fd)

    monkeypatch.setattr(stage, "_copy_bytes", noted)
    monkeypatch.setattr("sidecar.engine.copies.LARGE", 1)
    return copied


def written(node: Node, text: str) -> Head:
    Path(node.root.path, "page").write_text(text)
    node.intake.absorb([PAGE])
    row = node.index.get(PAGE)
    assert row is not None
    return row.version.heads[0]


def ahead(node: Node) -> list[bytes]:
    return [name for name, _ in node.root.inbox.listdir(RelPath(b".ahead")).entries]


def renamed(head: Head, how: How = How.FROM) -> Entry:
    """What a peer says of a file that it renamed to `new`."""
    fresh = Head(Dot(head.dot.counter + 1, 9), Kind.FILE, head.size, 7, 0o644, head.hash)
    return Entry(NEW, Version(((9, fresh.dot.counter),), (fresh,)), how, PAGE if how is How.FROM else b"")


async def landed(node: Node, entry: Entry) -> Outcome:
    async with node.landing.copied((entry,), {}):
        with node.landing.slice("ams", (entry,), {}, {}):
            return node.landing.lander("ams").land(entry, None, {}).outcome


def test_a_file_that_a_peer_copied_is_copied_off_the_loop(start: Starter, off_loop: list[bool]) -> None:
    node = start()
    assert Outcome.APPLIED is asyncio.run(landed(node, renamed(written(node, "mine"))))
    assert (b"mine", [True], []) == (node.root.read(NEW), off_loop, ahead(node))


def test_bytes_from_the_trash_are_copied_off_the_loop(start: Starter, off_loop: list[bool]) -> None:
    node = start()
    head = written(node, "mine")
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None
    with node.index.transaction():
        node.disk.remove(PAGE, Out(row.stat, row.hash, Keep.DELETED))
    node.intake.absorb([PAGE])
    assert Outcome.APPLIED is asyncio.run(landed(node, renamed(head, How.NONE)))
    wanted = Wanted(PAGE, row.stat, row.hash)

    async def restored() -> None:
        restorer = Restorer(node.replica, node.absorber)
        async with node.landing.copied_by_hand(wanted.hash, wanted.stat.size):
            with node.landing.by_hand(PAGE, restorer.head(wanted)):
                restorer.put(wanted)

    asyncio.run(restored())
    assert (b"mine", b"mine", []) == (node.root.read(NEW), node.root.read(PAGE), ahead(node))
    assert [True, True] == off_loop


def test_what_is_known_or_has_changed_is_not_copied_in_vain(start: Starter, off_loop: list[bool]) -> None:
    node = start()
    entry = renamed(written(node, "mine"))
    assert Outcome.APPLIED is asyncio.run(landed(node, entry))
    assert Outcome.KNOWN is asyncio.run(landed(node, entry))
    assert [True] == off_loop
    Path(node.root.path, "new").unlink()
    Path(node.root.path, "page").write_text("edited, and not looked at yet")
    assert Outcome.APPLIED is not asyncio.run(landed(start(), entry))
    assert [] == ahead(node)


def test_a_kill_after_a_copy_leaves_nothing_of_it(start: Starter, off_loop: list[bool]) -> None:
    node = start()
    entry = renamed(written(node, "mine"))
    assert asyncio.run(node.disk.copies.for_entry(entry, {}, node.replica))
    assert 1 == len(ahead(node))
    node = start()
    assert ([], 0) == (ahead(node), node.index.trash_count())


def test_a_link_that_is_cut_during_a_copy_leaves_nothing_of_it(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    first, second = renamed(written(node, "mine")), RelPath(b"other")
    Path(node.root.path, "other").write_text("another")
    node.intake.absorb([second])
    row = node.index.get(second)
    assert row is not None
    head = Head(Dot(row.version.heads[0].dot.counter + 1, 9), Kind.FILE, 7, 7, 0o644, row.hash)
    also = Entry(RelPath(b"newer"), Version(((9, head.dot.counter),), (head,)), How.FROM, second)
    monkeypatch.setattr("sidecar.engine.copies.LARGE", 1)
    go, copy = threading.Event(), stage._copy_bytes

    def slow(from_fd: int, to_fd: int) -> None:
        copy(from_fd, to_fd)
        assert len(ahead(node)) == 1 or go.wait(60)

    monkeypatch.setattr(stage, "_copy_bytes", slow)

    async def cut() -> None:
        async def land() -> None:
            async with node.landing.copied((first, also), {}):
                raise AssertionError("it is cut before")

        landing = asyncio.ensure_future(land())
        await until(lambda: len(ahead(node)) == 2, 60)
        landing.cancel()
        await asyncio.wait([landing])
        go.set()
        assert await until(lambda: not ahead(node), 60)

    asyncio.run(cut())


def test_a_copy_that_fails_in_its_thread_does_not_touch_what_the_loop_holds_open(start: Starter) -> None:
    node = start()
    Path(node.root.path, "dir").mkdir()
    with node.root.inbox.holding():
        with pytest.raises(Changed):
            stage.copy_ahead(node.root, node.root, RelPath(b"dir"))
        assert not node.root.inbox._held
    assert [] == ahead(node)
