"""What goes over a connection, by what is in the outbox; whoever carries files is a fake."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.entry import Row
from sidecar.core.frames import Answer, Batch, Frame, Gone, How, Lane, OffersEnd, Outcome, Sent, Settle
from sidecar.core.item import PRIVATE_AFTER, Item
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine import enclosed
from sidecar.engine.delivery import Load
from sidecar.engine.node import Node
from sidecar.engine.sending import Sending
from sidecar.errors import Retryable
from sidecar.fs.root import WebRoot
from tests.unit.engine.conftest import Starter

PAGE = RelPath(b"page")


class Carried:
    """An rsync that ends as soon as nothing holds it: with this status, or by an error."""

    batch = "b"

    def __init__(self, status: int, error: Exception | None, held: asyncio.Event) -> None:
        self._status = status
        self._error = error
        self._held = held

    def send(self, names: Sequence[bytes]) -> Awaitable[int]:
        async def sent() -> int:
            await self._held.wait()
            if self._error is not None:
                raise self._error
            return self._status

        return sent()


class Carriers:
    """A `Delivery` with such ones; it has nothing that travels alone but what `load` is."""

    def __init__(self, root: WebRoot) -> None:
        self._root = root
        self.status = 0
        self.error: Exception | None = None
        self.held = asyncio.Event()
        self.held.set()
        self.alone: Load | None = None
        self.stalls = False
        self.encloses = self.rests = False
        self.handed: list[RelPath] = []

    def ready(self) -> bool:
        return True

    def at_rest(self) -> bool:
        return self.rests

    def take(self) -> Carried:
        return Carried(self.status, self.error, self.held)

    def enclosed(self, path: RelPath, size: int) -> bytes:
        return enclosed.read(self._root, path, size)

    def sending(self, paths: Sequence[RelPath], size: int) -> None:
        self.handed += paths

    async def load(self, item: Item, lane: Lane) -> Load | None:
        if self.stalls:
            await asyncio.get_running_loop().create_future()
        return self.alone


class Connection:
    """`Sending` from a node whose web root holds a page, over a connection that just began."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.carriers = Carriers(node.root)
        self.said: list[Frame] = []
        self.torn: list[RelPath] = []
        self.cuts = 0
        self.channel_drained = asyncio.Event()
        self.channel_drained.set()
        Path(node.root.path, "page").write_text("page")
        node.intake.absorb([PAGE])
        carriers: Any = self.carriers
        self.sending = Sending(
            node.me,
            "ams",
            Outbox(node.index.max_seq(), 1 << 20),
            carriers,
            node.metrics,
            delay=0.0,
            recheck=self.torn.extend,
            nowhere=node.landing.nowhere,
            say=self.said.append,
            drained=self._drained,
            cut=self._cut,
        )
        self.sending.box.offers_loaded(node.index.max_seq())

    async def _drained(self) -> None:
        await self.channel_drained.wait()

    def _cut(self) -> None:
        self.cuts += 1

    def row(self, path: RelPath) -> Row:
        row = self.node.index.get(path)
        assert row is not None
        return row

    def batches(self) -> list[Batch]:
        return [frame for frame in self.said if isinstance(frame, Batch)]

    async def until(self, done: Callable[[], object]) -> None:
        """It runs, and is woken, until this is so."""
        running = asyncio.ensure_future(self.sending.run())
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline and not running.done()
            self.sending.wake()
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def turns(self, count: int) -> None:
        """It runs, and is woken so often."""
        woken = iter(range(count))
        await self.until(lambda: not self.sending._wake.is_set() and next(woken, None) is None)

    def ends(self) -> list[Frame]:
        return [frame for frame in self.said if isinstance(frame, OffersEnd)]


@pytest.fixture
def connection(start: Starter) -> Connection:
    return Connection(start())


async def test_a_change_goes_with_its_bytes_and_what_rsync_said_follows(connection: Connection) -> None:
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(lambda: any(isinstance(frame, Sent) for frame in connection.said))
    (batch,) = connection.batches()
    assert [(PAGE, How.STAGED)] == [(entry.path, entry.how) for entry in batch.entries]
    assert ("b", [PAGE]) == (batch.id, connection.carriers.handed)


async def test_what_another_peer_sent_is_offered_not_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.sending.LINGER", 0.05)
    began = time.monotonic()
    connection.sending.learned(connection.row(PAGE))
    await connection.until(connection.batches)
    assert time.monotonic() - began >= 0.05
    assert [(Lane.OFFER, "")] == [(batch.lane, batch.id) for batch in connection.batches()]


async def test_nothing_goes_when_it_was_stopped(connection: Connection) -> None:
    connection.sending.stop()
    connection.sending.box.change(connection.row(PAGE))
    await connection.turns(3)
    assert [] == connection.batches()


async def test_the_end_of_offers_is_said_once_and_not_before_all_are_settled(connection: Connection) -> None:
    connection.node.index.found_done()
    connection.sending.box.offer(connection.row(PAGE))
    await connection.until(connection.batches)
    await connection.turns(3)
    assert [] == connection.ends()
    connection.sending.answered(Settle(Lane.OFFER, connection.batches()[0].number, Outcome.KNOWN, ()))
    await connection.until(connection.ends)
    await connection.turns(3)
    assert 1 == len(connection.ends())


async def test_bytes_that_are_wanted_and_are_not_here_are_told_and_take_their_number(connection: Connection) -> None:
    connection.node.me.found_done = True
    box, digest = connection.sending.box, bytes(16)
    box.change(connection.row(PAGE))
    await connection.until(connection.batches)
    (batch,) = connection.batches()
    connection.sending.answered(Settle(Lane.SMALL, batch.number, Outcome.APPLIED, (Answer(0, Outcome.WANT, digest),)))
    await connection.until(lambda: len(connection.batches()) == 2)
    assert [digest] == [frame.hash for frame in connection.said if isinstance(frame, Gone)]
    assert ((), batch.number + 1) == (connection.batches()[1].entries, connection.batches()[1].number)
    assert box.idle


async def test_what_arrived_torn_is_looked_at_here(connection: Connection) -> None:
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(connection.batches)
    settle = Settle(Lane.SMALL, connection.batches()[0].number, Outcome.TORN, ())
    assert [PAGE] == [item.path for item in connection.sending.answered(settle)]
    assert [PAGE] == connection.torn
    assert () == connection.sending.answered(settle), "nothing is in flight under that number"


@pytest.mark.parametrize(("status", "torn"), [(0, True), (23, True), (12, False), (-9, False), (1, False)])
async def test_what_came_back_torn_counts_as_that_only_if_its_rsync_saw_to_every_file(
    connection: Connection, status: int, torn: bool
) -> None:
    connection.carriers.status = status
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(lambda: any(isinstance(frame, Sent) for frame in connection.said))
    connection.sending.answered(Settle(Lane.SMALL, connection.batches()[0].number, Outcome.TORN, ()))
    item = connection.sending.box.live[PAGE]
    assert (torn, not torn) == (item.tries == 1, item.failures == 1)


async def test_a_batch_that_was_answered_before_its_rsync_failed_is_not_remembered(connection: Connection) -> None:
    connection.carriers.status = 12
    connection.carriers.held.clear()
    connection.sending.box.change(connection.row(PAGE))

    held = connection.carriers.held

    def answered_first() -> bool:
        if connection.batches() and not held.is_set():
            connection.sending.answered(Settle(Lane.SMALL, connection.batches()[0].number, Outcome.APPLIED, ()))
            held.set()
        return any(isinstance(frame, Sent) for frame in connection.said)

    await connection.until(answered_first)
    assert set() == connection.sending._failed


async def test_what_becomes_due_while_other_work_is_done_is_looked_at_then(connection: Connection) -> None:
    """Between the last look and the alarm it became due: nothing looked at it until something else woke the sender."""
    sending, box = connection.sending, connection.sending.box
    box.change(connection.row(PAGE))
    look = sending._send_one

    def then_busy(*now: float) -> bool:
        box.live[PAGE].not_before = time.monotonic() + 0.05
        asyncio.get_running_loop().call_soon(time.sleep, 0.1)
        sending._send_one = look  # type: ignore[method-assign]
        return look(*now)

    sending._send_one = then_busy  # type: ignore[method-assign, assignment]
    sending.wake()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sending.run(), 3)
    assert 1 == len(connection.batches())


async def test_what_cannot_be_made_ready_is_not_told_as_the_peers_silence(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.unanswered.PATIENCE", 0.0)
    monkeypatch.setattr("sidecar.engine.unanswered.OF_A_PATH", 0.0)
    connection.carriers.stalls = True
    connection.sending.box.change(connection.row(PAGE))
    item = connection.sending.box.live[PAGE]
    item.tries = PRIVATE_AFTER
    await connection.turns(3)
    assert [] == connection.batches()
    with pytest.raises(Retryable, match="batch 1 of the lane small for ams could not be made ready in"):
        connection.sending.check_answered(time.monotonic() + 1)


async def test_a_batch_that_could_not_be_sent_cuts_the_connection(connection: Connection) -> None:
    connection.carriers.error = OSError("no rsync")
    connection.sending.box.change(connection.row(PAGE))
    await connection.until(lambda: connection.cuts)
    assert 1 == connection.cuts
