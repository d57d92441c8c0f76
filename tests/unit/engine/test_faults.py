"""A full disk, a busy index or a disk that fails for a moment ends nothing: it is said, and tried again."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.entry import Dot, Flag, Head, Kind, Stat, Version
from sidecar.core.frames import Batch, Entry, Frame, Gone, Lane, Outcome, Ping, Settle, decode, encode
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import DiskFull, Keep
from sidecar.engine.node import Node
from sidecar.engine.restore import Restorer, Wanted
from sidecar.errors import EnvironmentFault
from sidecar.fs import faults, stage
from sidecar.fs.tree import Tree
from sidecar.fs.watch import Watcher
from sidecar.index.faults import IndexBusy, IndexFull, IndexUnread
from tests.unit.engine.conftest import Starter
from tests.unit.engine.test_hostile import HELLO, ended, inbound, settled_by

PAGE = RelPath(b"page")
FULL: list[Exception] = [IndexFull("full"), IndexBusy("busy"), faults.NoSpace(b"page"), faults.ReadOnly(b"page")]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.patience.AGAIN", 0.01)
    monkeypatch.setattr("sidecar.engine.rootwatch.LOOK", 0.01)


class Broken:
    """Fails while it is broken."""

    def __init__(self, works: Callable[..., Any], error: Exception) -> None:
        self._works, self._error = works, error
        self.broken = True
        self.failed = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.broken:
            self.failed += 1
            raise self._error
        return self._works(*args, **kwargs)


async def until(true: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not true():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


def problems(node: Node) -> list[str]:
    return [waits.problem for waits in node.patience if waits.problem]


async def outlived(node: Node, work: Awaitable[None], broken: Broken, done: Callable[[], object]) -> None:
    """`work` goes on through the fault, says so meanwhile, and does its work when it is over."""
    task = asyncio.ensure_future(work)
    try:
        await until(lambda: broken.failed > 2 or task.done())
        assert not task.done()
        assert problems(node)
        broken.broken = False
        await until(done)
        await until(lambda: not problems(node))  # it says so until the whole work is done
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        node.events.stop()


@pytest.mark.parametrize("error", FULL[:2])
def test_what_was_found_becomes_ours_when_the_index_can_be_written(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    node = start()
    Path(node.root.path, "page").write_text("found")

    async def lived() -> None:
        await node.first_scan()
        assert [PAGE] == [row.path for row in node.index.flagged(Flag.FOUND)]
        lost: list[bool] = []
        node.listeners.on_rows_lost(lambda: lost.append(True))
        broken = Broken(node.index.put, error)
        monkeypatch.setattr(node.index, "put", broken)
        node.me.found_done = False
        await outlived(node, node.find(), broken, lambda: node.me.found_done)
        assert lost
        assert not node.index.flagged(Flag.FOUND)

    asyncio.run(lived())


@pytest.mark.parametrize("error", FULL[:2])
def test_a_scan_forgets_what_is_excluded_when_the_index_can_be_written(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    node = start()
    Path(node.root.path, "page").write_text("mine")
    node.intake.absorb([PAGE])
    monkeypatch.setattr(node.scans.scanner, "_excluded", lambda path, is_dir: path == PAGE)
    broken = Broken(node.index.remove, error)
    monkeypatch.setattr(node.index, "remove", broken)
    asyncio.run(outlived(node, node.scan(), broken, lambda: node.index.get(PAGE) is None))


@pytest.mark.parametrize("error", FULL[:2])
def test_a_first_scan_waits_for_the_index(start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    node = start()
    Path(node.root.path, "page").write_text("mine")
    broken = Broken(node.index.put, error)
    monkeypatch.setattr(node.index, "put", broken)
    asyncio.run(outlived(node, node.scan(), broken, node.scanned.is_set))
    assert node.index.get(PAGE) is not None


@pytest.mark.parametrize("error", FULL)
def test_what_a_kill_interrupted_waits_for_space_at_the_start(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    node = start()
    (Path(node.root.path) / "page").write_text("first")
    node.intake.absorb([PAGE])
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None
    wanted = Wanted(RelPath(b"other"), row.stat, row.hash)
    restorer = Restorer(node.replica, node.absorber)
    with pytest.raises(KeyboardInterrupt), node.landing.by_hand(wanted.path, restorer.head(wanted)):
        raise KeyboardInterrupt
    assert node.index.intents()
    broken = Broken(node._recovery._keep_what_came_out, error)
    monkeypatch.setattr(node._recovery, "_keep_what_came_out", broken)
    asyncio.run(outlived(node, node.scan(), broken, node.scanned.is_set))
    assert [] == node.index.intents()


@pytest.mark.parametrize("error", FULL)
def test_changes_wait_until_what_failed_before_can_be_finished(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("sidecar.engine.intake.INDEX_AGAIN", 0.0)
    node = start()
    Path(node.root.path, "page").write_text("mine")
    node.landing.unfinished = True
    broken = Broken(lambda: None, error)
    monkeypatch.setattr(node.landing, "_recover", broken)
    node.intake.absorb([PAGE])
    assert str(error) in node.intake.problem
    assert node.index.get(PAGE) is None and PAGE in node.dirty.later
    broken.broken = False
    node.intake.absorb([PAGE])
    assert node.index.get(PAGE) is not None and not node.intake.problem


def test_changes_wait_for_an_index_that_cannot_be_read(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has gone is looked up outside of a transaction: that ended the node."""
    monkeypatch.setattr("sidecar.engine.intake.INDEX_AGAIN", 0.01)
    monkeypatch.setattr("sidecar.engine.dirty.LOOK_AGAIN", 0.01)
    node = start()
    Path(node.root.path, "page").write_text("mine")
    node.intake.absorb([PAGE])
    Path(node.root.path, "page").unlink()

    async def lived() -> None:
        broken = Broken(node.index.get, IndexUnread("its disk fails"))
        monkeypatch.setattr(node.index, "get", broken)
        node.dirty.mark(PAGE)
        task = asyncio.ensure_future(node.watching.run())
        await until(lambda: broken.failed > 2 or task.done())
        assert not task.done()
        assert "its disk fails" in node.intake.problem and not node.watching.busy
        broken.broken = False
        await until(lambda: node.replica.row(PAGE).stat is None)
        await asyncio.wait_for(node.watching.caught_up(), 10)
        assert not node.intake.problem
        task.cancel()

    asyncio.run(lived())


def test_what_has_no_watch_waits_for_an_index_that_cannot_be_read(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(start().root.path, "page").write_text("mine")
    node = start()
    node.scanned.set()
    node.polling.interval = 0.01  # type: ignore[misc]
    monkeypatch.setattr(Watcher, "unwatched", [ROOT])
    broken = Broken(node.index.children_after, IndexUnread("its disk fails"))
    monkeypatch.setattr(node.index, "children_after", broken)

    async def polled() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(node.watching.run())
            group.create_task(node.polling.run())

    def is_taken_up() -> bool:
        return node.index.get(PAGE) is not None and not problems(node)

    asyncio.run(outlived(node, polled(), broken, is_taken_up))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_root_that_cannot_be_looked_at_is_reported_and_one_that_is_gone_is_the_end(
    start: Starter, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    node = start()
    stat, failing = os.stat, [True]

    def failed(path: Any, **how: Any) -> os.stat_result:
        if path == node.root.path and failing:
            raise OSError(number, os.strerror(number))
        return stat(path, **how)

    async def lived() -> None:
        monkeypatch.setattr("sidecar.fs.root.os.stat", failed)
        looks = asyncio.ensure_future(node.rootwatch.run())
        await until(lambda: problems(node) or looks.done())
        assert os.strerror(number) in problems(node)[0]
        failing.clear()
        await until(lambda: not problems(node))
        assert not looks.done()
        os.rename(node.root.path, node.root.path + "-moved")
        with pytest.raises(EnvironmentFault, match="moved, deleted or replaced"):
            await asyncio.wait_for(looks, 10)

    asyncio.run(lived())


def test_all_trash_that_is_due_goes_at_once_but_for_what_cannot(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    trash = Path(node.options.state, "trash")
    (trash / "1").mkdir()
    stat = Stat(Kind.FILE, 1, 1, 0o600, 1, 1)
    with node.index.transaction():
        for number in range(1200):
            name = f"1/{number}"
            (trash / name).write_text("x")
            node.index.add_trash(RelPath(name.encode()), PAGE, stat, b"", Keep.DELETED, "", 1 + number)
    really = stage.drop

    def refused(tree: Tree, path: RelPath) -> None:
        if path in {b"1/0", b"1/700"}:
            raise faults.Denied(path, errno.EACCES)
        really(tree, path)

    monkeypatch.setattr("sidecar.engine.housekeeping.stage.drop", refused)
    asyncio.run(asyncio.wait_for(node.housekeeping.expire(), 30))
    assert ["0", "700"] == sorted(entry.name for entry in (trash / "1").iterdir())
    assert 2 == node.index.trash_count()


def test_a_checkpoint_that_may_not_open_the_index_just_now_comes_again(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    monkeypatch.setattr("sidecar.engine.housekeeping.CHECKPOINT", 0.01)
    broken = Broken(node.index.checkpoint, PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(node.index, "checkpoint", broken)

    async def lived() -> None:
        task = asyncio.ensure_future(node.housekeeping.checkpoints())
        await until(lambda: broken.failed > 2 or task.done())
        assert not task.done()
        task.cancel()

    asyncio.run(lived())


def test_the_links_hear_of_a_row_that_was_taken_back_when_a_peer_lacks_bytes(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, lost = start(), list[bool]()
    node.listeners.on_rows_lost(lambda: lost.append(True))
    monkeypatch.setattr("sidecar.engine.nowhere.Nowhere.said", Broken(lambda: None, IndexFull("full")))
    with pytest.raises(IndexFull):
        node.landing.gone(Gone(PAGE, bytes(16), ()))
    assert [True] == lost


def said_over(node: Node, *said: Frame) -> list[Frame]:
    """What the node says over a link on which this was said, until the peer cuts it."""
    link = inbound(node, [encode(frame) for frame in (HELLO, *said)])
    channel: Any = link._channel
    batches = sum(isinstance(frame, Batch) for frame in said)

    def answered() -> list[Frame]:
        return [decode(raw) for raw in channel.answered]

    settled_by(link, lambda: batches == sum(isinstance(frame, Settle) for frame in answered()))
    error = ended(link)
    assert "the link from ams was cut" == str(error), "it lived until the peer was done"
    return answered()


@pytest.mark.parametrize("error", FULL[:2])
def test_what_cannot_be_written_cuts_the_link_and_lands_over_the_next(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Answered by itself, what comes after it would land: a link to a release, a file in a directory."""
    node = start()
    heads = {b"": Head(Dot(3, 9), Kind.DIR, mode=0o700), b"/e": Head(Dot(4, 9), Kind.DIR, mode=0o755)}
    above, within = (Entry(RelPath(b"d" + leaf), Version(((9, 4),), (head,))) for leaf, head in heads.items())
    batches = [Batch(Lane.SMALL, n, "", 0, (entry,)) for n, entry in ((1, above), (2, within))]
    broken = Broken(node.index.intend, error)
    monkeypatch.setattr(node.index, "intend", broken)
    link = inbound(node, [encode(HELLO), *map(encode, batches)])
    settled_by(link, lambda: broken.failed)
    assert error is ended(link)
    assert [] == list(Path(node.root.path).iterdir())
    assert str(error) == node.landing.problem
    broken.broken = False
    frames = said_over(node, *batches)
    assert [Outcome.APPLIED] * 2 == [frame.rest for frame in frames if isinstance(frame, Settle)]
    assert "" == node.landing.problem
    assert 0o700 == (Path(node.root.path) / "d").stat().st_mode & 0o777


def test_what_lies_in_a_directory_that_did_not_fit_waits_for_it(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made here, it would be a later write than what its writer has put in its place meanwhile: a symlink, say."""
    node, unmade = start(), set[RelPath]()
    heads = {b"": Head(Dot(3, 9), Kind.DIR, mode=0o700), b"/e": Head(Dot(4, 9), Kind.DIR, mode=0o755)}
    above, within = (Entry(RelPath(b"d" + leaf), Version(((9, 4),), (head,))) for leaf, head in heads.items())
    broken = Broken(node.disk.put, DiskFull("no space left", "free space"))
    monkeypatch.setattr(node.disk, "put", broken)

    def landed(entry: Entry) -> Outcome:
        with node.landing.slice("ams", (entry,), {}, {}):
            return node.landing.lander("ams", unmade).land(entry, None, {}).outcome

    assert Outcome.FULL is landed(above)
    broken.broken = False
    assert Outcome.AGAIN is landed(within)
    assert [] == list(Path(node.root.path).iterdir())
    assert [Outcome.APPLIED] * 2 == [landed(above), landed(within)]
    assert {9} == {head.dot.run for row in node.index.beneath(ROOT) for head in row.version.heads}


def test_the_links_hear_of_rows_that_were_taken_back_while_a_failed_transaction_was_finished(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would send rows that there are not: what is finished is told of like any other."""
    node, lost = start(), list[bool]()
    node.listeners.on_rows_lost(lambda: lost.append(True))
    node.landing.unfinished = True
    monkeypatch.setattr(node.landing, "_recover", Broken(lambda: None, IndexFull("full")))
    with pytest.raises(IndexFull):
        node.landing.mend()
    assert [True] == lost and node.landing.unfinished and "full" == node.landing.problem
    monkeypatch.setattr(node.landing, "_recover", lambda: None)
    node.landing.mend()
    assert "" == node.landing.problem, "what was wrong is over"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EDQUOT])
def test_what_a_batch_leaves_may_stay_until_the_disk_lets_it_go(
    start: Starter, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    node = start()
    left = Path(node.options.inbox) / "ams" / "ams.1"
    left.mkdir(parents=True)

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, "not now")

    with monkeypatch.context() as broken:
        broken.setattr("os.rmdir", refused)
        node.inbox.forget("ams", "ams.1")
    assert left.exists()
    node.inbox.forget("ams", "ams.1")
    assert not left.exists()


@pytest.mark.parametrize("error", FULL[:2])
@pytest.mark.parametrize("name", ["meet", "heard", "set_cursor"])
def test_what_a_peer_says_of_itself_is_noted_when_the_index_can_be_written(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str
) -> None:
    node = start()
    broken = Broken(getattr(node.index, name), error)
    monkeypatch.setattr(node.index, name, broken)
    pings = [frame for frame in said_over(node, Ping(11, 7, 1), Ping(12, 7, 1)) if isinstance(frame, Ping)]
    assert broken.failed
    assert [0 if name != "heard" else 7] * 2 == [ping.cursor for ping in pings], "what is not stored is not said"
    broken.broken = False
    pings = [frame for frame in said_over(node, Ping(11, 7, 1)) if isinstance(frame, Ping)]
    assert [7] == [ping.cursor for ping in pings]
    peer = node.index.peer("ams", "ams-0")
    assert peer is not None and (11, 7) == (peer.seq, peer.cursor)
