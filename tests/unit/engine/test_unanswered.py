"""A peer that lives and does not answer: the connection begins anew; one that is slow and works keeps it."""

import asyncio
import time
from typing import Any

import pytest

from sidecar.core import frames
from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.frames import PROTOCOL, Batch, Hello, Lane, Outcome, Ping, Settle
from sidecar.core.item import Item, Plan, Planned
from sidecar.core.paths import RelPath
from sidecar.engine.node import Node
from sidecar.engine.unanswered import PATIENCE, Late, Unanswered
from sidecar.errors import Retryable
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import sender

MIB = 1 << 20
AMS = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0.1.0", "3.5.0", 10, 11, 0, 0, 0, 0, 0, False)


def plan(number: int = 1, *, lane: Lane = Lane.SMALL, size: int = 0, count: int = 1) -> Plan:
    items = (Item(RelPath(b"p%d" % each), each + 1, Kind.FILE, size) for each in range(count))
    return Plan(lane, number, tuple(map(Planned, items)))


def test_a_batch_waits_for_as_long_as_the_most_that_is_in_it_may_take() -> None:
    unanswered = Unanswered()
    unanswered.said(plan(size=3 * MIB, count=20), 1000.0)
    longest = PATIENCE + 20 + 60
    assert None is unanswered.late(1000.0 + longest)
    assert Late(Lane.SMALL, 1, longest + 1, is_said=True) == unanswered.late(1001.0 + longest)
    unanswered.answered(Lane.SMALL, 1, 1002.0 + longest)
    assert None is unanswered.late(1e9)


def test_a_batch_waits_from_when_the_one_before_it_was_answered() -> None:
    unanswered = Unanswered()
    for number in (1, 2, 3):
        unanswered.said(plan(number), 0.0)
    unanswered.answered(Lane.SMALL, 1, 10_000.0)
    assert None is unanswered.late(10_000.0 + PATIENCE)
    unanswered.answered(Lane.SMALL, 3, 10_500.0)
    assert None is unanswered.late(10_500.0 + PATIENCE)
    late = unanswered.late(10_600.0 + PATIENCE)
    assert late is not None
    assert (Lane.SMALL, 2) == (late.lane, late.number)


def test_a_lane_that_moves_hides_none_that_does_not() -> None:
    unanswered = Unanswered()
    unanswered.said(plan(lane=Lane.OFFER), 0.0)
    for number in range(1, 100):
        unanswered.said(plan(number), number * 100.0)
        unanswered.answered(Lane.SMALL, number, number * 100.0 + 1)
    late = unanswered.late(9900.0)
    assert late is not None
    assert (Lane.OFFER, 1) == (late.lane, late.number)


def test_while_its_rsync_is_under_way_a_batch_is_not_late() -> None:
    """Who ends an rsync that stands still is whoever started it."""
    unanswered, large = Unanswered(), plan(lane=Lane.LARGE, size=5 * MIB)
    unanswered.said(large, 0.0)
    unanswered.carried(large, 1.0, ended=False)
    assert None is unanswered.late(1e9)
    unanswered.carried(large, 1e9, ended=True)
    assert None is unanswered.late(1e9 + PATIENCE)
    assert None is not unanswered.late(1e9 + PATIENCE + 10)


def test_a_batch_that_is_not_said_yet_is_late_too_and_waits_for_its_answer_from_when_it_is() -> None:
    unanswered, large = Unanswered(), plan(lane=Lane.LARGE)
    unanswered.begun(large, 0.0)
    assert None is unanswered.late(PATIENCE)
    assert Late(Lane.LARGE, 1, PATIENCE + 2, is_said=False) == unanswered.late(PATIENCE + 2)
    unanswered.said(large, PATIENCE)
    assert None is unanswered.late(PATIENCE * 2)
    assert Late(Lane.LARGE, 1, PATIENCE + 2, is_said=True) == unanswered.late(PATIENCE * 2 + 2)


class Peer:
    """It greets, and says that it lives; a batch it answers or not, and later than it might."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._said = [frames.encode(AMS)]

    async def read(self) -> bytes:
        if not self._said:
            await asyncio.sleep(0.01)
        return self._said.pop(0) if self._said else frames.encode(Ping(1, 0, 1))

    def write(self, frame: bytes) -> None:
        said = frames.decode(frame)
        if isinstance(said, Batch) and self._answers:
            self._said.append(frames.encode(Settle(said.lane, said.number, Outcome.KNOWN, ())))

    def close(self) -> None:
        self._said = []


def written(node: Node) -> None:
    version = Version(((9, 1),), (Head(Dot(1, 9), Kind.DIR, mode=0o755),))
    node.index.put(Row(RelPath(b"d"), version, None, b"", 1))


def test_a_peer_that_lives_and_does_not_answer_is_left_and_its_link_says_why(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.unanswered.PATIENCE", 0.0)
    monkeypatch.setattr("sidecar.engine.unanswered.OF_A_PATH", 0.1)
    node = start()
    written(node)
    peer: Any = Peer(answers=False)
    with pytest.raises(BaseExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(sender(node, peer).run(), 60))
    assert ended.group_contains(Retryable, match="ams lives and has not answered batch 1 of the lane offer for")


def test_a_peer_that_answers_is_not(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.unanswered.PATIENCE", 0.0)
    monkeypatch.setattr("sidecar.engine.unanswered.OF_A_PATH", 0.1)
    node = start()
    written(node)
    peer: Any = Peer(answers=True)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(sender(node, peer).run(), 3))


def test_what_is_due_and_cannot_go_yet_wakes_nobody(start: Starter) -> None:
    """The sender looked through all that waits a thousand times a second, until the peer had answered."""
    sending = sender(start()).begin(0)
    box = sending.box
    box.offers_loaded(0)
    version = Version(((9, 1),), (Head(Dot(1, 9), Kind.DIR, mode=0o755),))
    box.change(Row(RelPath(b"d"), version, None, b"", 1))
    looks: list[float] = []

    async def noted() -> float:
        looks.append(time.monotonic())
        box.live[RelPath(b"d")].not_before = 1.0  # due long ago, and it cannot go
        return looks[-1]

    sending._send_all = noted  # type: ignore[method-assign]

    async def pumped() -> None:
        sending.wake()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sending.run(), 0.5)

    asyncio.run(pumped())
    assert 1 == len(looks)
