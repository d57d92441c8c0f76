"""Small files in the frame of their batch: when they go so, and what becomes of them at the other end."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.frames import Answer, Batch, Entry, How, Lane, Outcome, Sent, Settle, decode, encode
from sidecar.core.paths import RelPath
from sidecar.engine import enclosed
from sidecar.engine.node import Node
from sidecar.engine.sending import SMALL_WINDOW
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.fs import faults, stage
from tests.unit.engine.conftest import Starter
from tests.unit.engine.test_hostile import HELLO, ended, heard, inbound, settled_by
from tests.unit.engine.test_sending import PAGE, Connection

OTHER = RelPath(b"other")


@pytest.fixture
def connection(start: Starter) -> Connection:
    """To a node that takes small files in their entries."""
    made = Connection(start())
    made.sending.encloses = made.carriers.encloses = True
    return made


def put(connection: Connection, path: RelPath, size: int) -> None:
    Path(connection.node.root.path, path.decode()).write_bytes(bytes(size))


def write(connection: Connection, path: RelPath, size: int) -> None:
    put(connection, path, size)
    connection.node.intake.absorb([path])
    connection.sending.box.change(connection.row(path))


def sent(connection: Connection) -> list[list[tuple[bytes, int | None]]]:
    """Of each batch what it brings, and how much of it itself."""
    return [
        [(entry.path, None if entry.content is None else len(entry.content)) for entry in batch.entries]
        for batch in connection.batches()
    ]


# -- the sender


async def test_a_small_file_goes_with_its_entry_and_no_rsync_is_asked(connection: Connection) -> None:
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(connection.batches)
    (batch,) = connection.batches()
    assert ("", [(PAGE, How.STAGED, b"page")]) == (batch.id, [(e.path, e.how, e.content) for e in batch.entries])
    assert [PAGE] == connection.carriers.handed, "it is counted"
    await connection.turns(3)
    assert not any(isinstance(frame, Sent) for frame in connection.said)


@pytest.mark.parametrize("unlike", ["an older node", "a limited line", "every warm rsync there"])
async def test_to_an_older_node_over_a_limited_line_and_when_no_rsync_is_awaited_it_goes_by_rsync(
    connection: Connection, unlike: str
) -> None:
    connection.sending.encloses = unlike != "an older node"
    connection.carriers.rests = unlike == "every warm rsync there"
    connection.carriers.encloses = unlike != "a limited line"
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(connection.batches)
    assert [("b", [(PAGE, None)])] == [(connection.batches()[0].id, sent(connection)[0])]


async def test_a_longer_one_goes_by_rsync_and_nothing_goes_before_it_that_came_after_it(connection: Connection) -> None:
    for path, size in ((PAGE, enclosed.MOST), (RelPath(b"long"), enclosed.MOST + 1), (OTHER, 3)):
        write(connection, path, size)
    await connection.until(lambda: len(connection.batches()) == 2)
    assert [[(PAGE, enclosed.MOST)], [(b"long", None), (OTHER, None)]] == sent(connection)


async def test_a_short_one_does_not_wait_for_an_rsync_to_be_ready(connection: Connection) -> None:
    connection.carriers.ready = lambda: False  # type: ignore[method-assign]
    write(connection, OTHER, 3)
    write(connection, PAGE, enclosed.MOST + 1)
    await connection.until(connection.batches)
    await connection.turns(3)
    assert [[(OTHER, 3)]] == sent(connection)


async def test_what_the_channel_has_not_taken_yet_holds_up_the_next(connection: Connection) -> None:
    connection.channel_drained.clear()
    write(connection, PAGE, 1)
    waited: list[list[list[tuple[bytes, int | None]]]] = []

    def went_on() -> bool:
        if len(connection.batches()) == 1 and not waited:
            write(connection, OTHER, 2)
            waited.append([])
        elif waited and len(waited) < 5:
            waited.append(sent(connection))
        elif waited:
            connection.channel_drained.set()
        return len(connection.batches()) == 2

    await connection.until(went_on)
    assert [[], *[[[(PAGE, 1)]]] * 4] == waited
    assert [(OTHER, 2)] == sent(connection)[1]


async def test_of_a_file_that_has_grown_or_gone_no_more_than_was_announced_goes(connection: Connection) -> None:
    write(connection, PAGE, 3)
    write(connection, OTHER, 3)
    put(connection, PAGE, enclosed.MOST + 1)
    os.unlink(os.path.join(connection.node.root.path, "other"))
    await connection.until(connection.batches)
    assert [[(PAGE, 3), (OTHER, 0)]] == sent(connection)


@pytest.mark.parametrize(("content", "most"), [(True, enclosed.WINDOW), (False, SMALL_WINDOW)])
async def test_more_of_them_go_unanswered_than_of_others(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, content: bool, most: int
) -> None:
    """An answer waits for the disk: a thousand files at a time were all that a busy one took in a second."""
    monkeypatch.setattr(enclosed, "LIMITS", (1, enclosed.TOGETHER, enclosed.MOST))
    monkeypatch.setattr("sidecar.engine.sending.BATCH_ENTRIES", 1)
    row = connection.row(PAGE)
    monkeypatch.setattr(connection.node.index, "get", lambda _: row)
    for number in range(enclosed.WINDOW + 5):
        named = msgspec.structs.replace(row, path=RelPath(b"%d" % number))
        connection.sending.box.change(named, content=content)
    await connection.until(lambda: len(connection.batches()) >= most)
    await connection.turns(3)
    assert most == len(connection.batches())


# -- the receiver


def entry(path: RelPath, content: bytes, announced: bytes | None = None, at: int = 3, **fields: Any) -> Entry:
    announced = content if announced is None else announced
    digest = xxhash.xxh3_128_digest(announced)
    head = Head(Dot(at, 9), Kind.FILE, len(announced), 7, 0o644, digest)
    plain = Entry(path, Version(((9, at),), (head,)), How.STAGED, content=content)
    return msgspec.structs.replace(plain, **fields)


def answers(node: Node, *entries: Entry, batch_id: str = "") -> Settle:
    link = inbound(node, [encode(HELLO), encode(Batch(Lane.SMALL, 1, batch_id, 0, entries))])
    channel: Any = link._channel
    settled_by(link, lambda: any(isinstance(decode(raw), Settle) for raw in channel.answered))
    assert isinstance(error := ended(link), Retryable), error
    (settle,) = [frame for raw in channel.answered if isinstance(frame := decode(raw), Settle)]
    return settle


def left(node: Node) -> list[str]:
    return os.listdir(Path(node.options.inbox, ".enclosed"))


def test_what_comes_so_lands_as_any_other_and_leaves_nothing(start: Starter) -> None:
    node = start()
    Path(node.root.path, "other").write_text("replaced")
    settle = answers(node, entry(PAGE, b"a page"), entry(OTHER, b"", at=node.me.now_us() + 1_000_000))
    assert (Outcome.APPLIED, ()) == (settle.rest, settle.answers)
    page = Path(node.root.path, "page")
    assert (b"a page", 7, 0o644) == (page.read_bytes(), page.stat().st_mtime_ns, page.stat().st_mode & 0o777)
    assert (b"", []) == (Path(node.root.path, "other").read_bytes(), left(node))
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None and page.stat().st_ino == row.stat.ino


def test_what_has_another_hash_than_was_announced_is_torn_and_leaves_nothing(start: Starter) -> None:
    node = start()
    settle = answers(node, entry(PAGE, b"a pag", b"a page"), entry(OTHER, b"other"))
    assert (Outcome.TORN, Outcome.APPLIED) == tuple(outcomes(settle, 2))
    assert (["other"], []) == (os.listdir(node.root.path), left(node))


def test_what_is_known_already_or_comes_twice_leaves_nothing(start: Starter) -> None:
    node = start()
    settle = answers(node, entry(PAGE, b"a page"), entry(PAGE, b"a page"))
    assert [Outcome.APPLIED, Outcome.KNOWN] == outcomes(settle, 2)
    assert [] == left(node)


def test_an_edit_that_was_undone_is_applied_without_its_bytes_and_leaves_nothing(start: Starter) -> None:
    node = start()
    Path(node.root.path, "page").write_text("a page")
    node.intake.absorb([PAGE])
    settle = answers(node, entry(PAGE, b"a page", at=node.me.now_us() + 1_000_000))
    assert ([Outcome.APPLIED], []) == (outcomes(settle, 1), left(node))


def test_the_loser_of_a_conflict_that_is_kept_already_leaves_nothing(start: Starter) -> None:
    node = start()
    for path in (PAGE, OTHER):
        Path(node.root.path, path.decode()).write_text("later")
    node.intake.absorb([PAGE, OTHER])
    settle = answers(node, entry(PAGE, b"lost"), entry(OTHER, b"lost"))
    assert ([Outcome.APPLIED] * 2, []) == (outcomes(settle, 2), left(node))


@pytest.mark.parametrize("error", [faults.NoSpace(b"page"), faults.ReadOnly(b"page")])
def test_what_the_volume_has_no_room_for_is_asked_for_later(
    start: Starter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    node, works, made = start(), stage.stage_bytes, list[bytes]()

    def fails(*arguments: Any) -> tuple[bytes, int]:
        if made:
            raise error
        made.append(b"one")
        return works(*arguments)

    monkeypatch.setattr(stage, "stage_bytes", fails)
    settle = answers(node, entry(OTHER, b"other"), entry(PAGE, b"a page"))
    assert [Outcome.APPLIED, Outcome.FULL] == outcomes(settle, 2)
    assert [] == left(node)


def test_a_disk_that_takes_a_part_of_a_file_keeps_none_of_it(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node, writes = start(), iter((3, OSError(28, "no space")))

    def write(_fd: int, _content: bytes) -> int:
        done = next(writes)
        if isinstance(done, OSError):
            raise done
        return done

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        with pytest.raises(faults.NoSpace):
            stage.stage_bytes(node.root, b"a page", xxhash.xxh3_128_digest(b"a page"))
    assert [] == left(node)


def test_a_link_that_is_cut_while_they_land_leaves_nothing(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()

    async def cut(*_: object) -> list[Answer]:
        assert [True] == [bool(left(node))]
        raise Retryable("cut")

    monkeypatch.setattr("sidecar.engine.receiving.Receiving._land", cut)
    _, error = heard(node, Batch(Lane.SMALL, 1, "", 0, (entry(PAGE, b"a page"),)))
    assert isinstance(error, Retryable)
    assert [] == left(node)


WRONG: dict[str, Callable[[], tuple[str, Entry]]] = {
    "in a batch of rsync's too": lambda: ("ams-0.x", entry(PAGE, b"a page")),
    "no file that is staged": lambda: ("", entry(PAGE, b"a page", how=How.NONE)),
    "a losing head's": lambda: ("", entry(PAGE, b"a page", how=How.LOSER)),
    "under another name": lambda: ("", entry(PAGE, b"a page", name=b"other")),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_content_that_no_node_sends_so_cuts_the_link(start: Starter, wrong: Callable[[], tuple[str, Entry]]) -> None:
    batch_id, one = wrong()
    _, error = heard(start(), Batch(Lane.SMALL, 1, batch_id, 0, (one,)))
    assert isinstance(error, ProtocolViolation)


def outcomes(settle: Settle, count: int) -> list[Outcome]:
    named = {answer.index: answer.outcome for answer in settle.answers}
    return [named.get(index, settle.rest) for index in range(count)]


async def test_the_largest_that_is_sent_so_is_understood(connection: Connection) -> None:
    write(connection, PAGE, enclosed.MOST)
    await connection.until(connection.batches)
    (batch,) = connection.batches()
    assert batch == decode(encode(batch))
