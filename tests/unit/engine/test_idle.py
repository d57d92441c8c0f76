"""A node with nothing to do does next to nothing: nothing is written, and what has nothing to see to is not woken."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core import frames
from sidecar.core.entry import Kind
from sidecar.core.frames import PROTOCOL, Batch, Hello, Lane, Outcome, Ping, Settle
from sidecar.core.paths import RelPath
from sidecar.engine import heartbeat
from sidecar.engine.identity import CONTACT, contact_lag_us
from sidecar.engine.link import Link
from sidecar.engine.node import Node
from sidecar.engine.replica import Changed
from sidecar.errors import Retryable
from sidecar.index.faults import IndexDamaged
from sidecar.link.master import CHECK_INTERVAL
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import receiver, sender
from tests.unit.engine.test_faults import until
from tests.unit.index.conformance import row

AMS = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0.1.0", "3.5.0", 10, 11, 0, 0, 0, 0, 0, False)


class Silent:
    """A channel over which a peer said hello, and nothing more until `says`."""

    def __init__(self, *said: frames.Frame) -> None:
        self.heard: list[frames.Frame] = []
        self._says: asyncio.Queue[bytes | None] = asyncio.Queue()
        for frame in said:
            self.says(frame)

    def says(self, frame: frames.Frame) -> None:
        self._says.put_nowait(frames.encode(frame))

    async def read(self) -> bytes | None:
        return await self._says.get()

    def write(self, frame: bytes) -> None:
        self.heard.append(frames.decode(frame))

    def pings(self) -> list[Ping]:
        return [frame for frame in self.heard if isinstance(frame, Ping)]

    def close(self) -> None:
        self._says.put_nowait(None)


def test_that_a_peer_lives_is_stored_when_it_says_something_new_or_a_minute_has_gone(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, now = start(), [1_000_000_000]
    minute = node.me.contact_us = 60_000_000
    node.me.now_us = lambda: now[0]
    node.me.met(AMS)
    told: list[tuple[int, int]] = []

    def heard(_region: str, _node: str, seq: int, now_us: int) -> None:
        told.append((seq, now_us - 1_000_000_000))

    monkeypatch.setattr(node.index, "heard", heard)
    for seq, later in [(11, 0), (11, 5), (12, 5), (12, minute), (12, 5), (12, -2 * minute)]:
        now[0] += later
        node.me.heard_of(AMS, seq)
    assert [(11, 0), (12, 10), (12, 10 + minute), (12, 15 - minute)] == told
    node.me.met(AMS)
    node.me.heard_of(AMS, 12)
    assert 5 == len(told), "a node that is met anew may have been forgotten"


def test_how_far_the_time_of_a_contact_lags_is_little_beside_what_depends_on_it() -> None:
    assert round(CONTACT * 1e6) == contact_lag_us(30 * 86400.0, 90 * 86400.0)
    assert 600_000 == contact_lag_us(60.0, 90 * 86400.0) == contact_lag_us(86400.0, 60.0)


def sleeping(node: Node, monkeypatch: pytest.MonkeyPatch, *, writes: int, ends: int) -> list[float]:
    """Seconds that housekeeping sleeps, which take none: at one of these a row is written, at a later one it ends."""
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == writes:
            node.index.put(row(b"page"))
        if len(slept) == ends:
            raise asyncio.CancelledError

    monkeypatch.setattr("sidecar.engine.housekeeping.tick", sleep)
    return slept


def test_a_log_to_which_nothing_was_written_is_not_moved(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node, moved = start(), list[int]()
    slept = sleeping(node, monkeypatch, writes=5, ends=9)
    monkeypatch.setattr(node.index, "checkpoint", lambda: moved.append(len(slept)))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(node.housekeeping.checkpoints())
    assert [1, 5] == moved


def test_what_rests_gives_back_at_first_and_then_now_and_then(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node, given = start(), list[int]()
    slept = sleeping(node, monkeypatch, writes=4, ends=20)
    monkeypatch.setattr(node.index, "release", lambda: given.append(len(slept)))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(node.housekeeping.memory())
    assert [2, 5, 17] == given


def test_damage_that_comes_later_ends_the_run_at_once(start: Starter) -> None:
    node = start()
    Path(node.root.path, "page").write_text("mine")
    node.intake.absorb([RelPath(b"page")])

    async def met() -> None:
        looking = asyncio.ensure_future(node.housekeeping.index_is_sound())
        await asyncio.sleep(0)
        assert not looking.done()
        with closing(sqlite3.connect(Path(node.options.state, "index.db"), isolation_level=None)) as other:
            other.execute("UPDATE rows SET version = x'c1'")
        with pytest.raises(IndexDamaged):
            node.index.since(0, 9)
        async with asyncio.timeout(10):
            await looking

    with pytest.raises(IndexDamaged):
        asyncio.run(met())


def test_a_sender_without_work_pings_at_each_beat_alone_and_says_at_once_what_was_settled(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.outbound.BUSY_BEAT", 0.01)
    monkeypatch.setattr("sidecar.engine.outbound.until_tick", lambda every, now: every)  # no tick comes meanwhile
    channel: Any = Silent(AMS)
    node = start()

    async def ran() -> None:
        link: Any = sender(node, channel)
        running = asyncio.ensure_future(link.run())
        await until(lambda: link.box is not None and link.box.idle and channel.pings())
        await asyncio.sleep(0.1)
        before = len(channel.pings())
        await asyncio.sleep(0.3)
        assert before == len(channel.pings()), "nothing was to be said"
        link._sending._delivery = SimpleNamespace(ready=lambda: True)
        link.changed(Changed(node.index.put(row(b"d", kind=Kind.DIR)), local=True), "")
        await until(lambda: [one for one in channel.heard if isinstance(one, Batch)])
        channel.says(Settle(Lane.SMALL, 1, Outcome.KNOWN, ()))
        await until(lambda: len(channel.pings()) > before)
        running.cancel()

    asyncio.run(ran())


def test_a_receiver_answers_each_ping_and_says_nothing_else(start: Starter) -> None:
    channel: Any = Silent(AMS)
    node = start()

    async def ran() -> None:
        running = asyncio.ensure_future(receiver(node, channel).run())
        for number in range(3):
            channel.says(Ping(11, 0, 10 + number))
        await until(lambda: len(channel.pings()) == 3)
        await asyncio.sleep(0.1)
        running.cancel()

    asyncio.run(ran())
    assert 3 == len(channel.pings())


@pytest.mark.parametrize("end", [sender, receiver])
def test_silence_is_told_in_time_by_whoever_has_nothing_to_do(
    start: Starter, monkeypatch: pytest.MonkeyPatch, end: Callable[..., Any]
) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE", 0.3)
    channel: Any = Silent(AMS)
    began = time.monotonic()
    with pytest.RaisesGroup(pytest.RaisesExc(Retryable, match="has been silent")):
        asyncio.run(asyncio.wait_for(end(start(), channel).run(), 15))
    assert time.monotonic() - began < heartbeat.HEARTBEAT, "not at the next beat"


def test_a_connection_over_which_the_peer_was_just_heard_is_not_asked_whether_it_lives(start: Starter) -> None:
    link: Any = Link.__new__(Link)
    link.outbound = None
    assert not link._heard_lately()
    link.outbound = sender(start())
    assert link._heard_lately()
    link.outbound.heard_at -= CHECK_INTERVAL
    assert not link._heard_lately()
