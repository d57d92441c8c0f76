"""What a peer answers, whatever it is, takes no memory for ever."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.frames import Answer, Lane, Outcome, Settle
from sidecar.core.offering import next_offer
from sidecar.core.order import next_small
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.outbound import MAX_HINT
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import sender


def test_why_a_peer_has_not_got_paths_is_remembered_of_so_many_and_so_long(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.outbound.MAX_PROBLEMS", 10)
    node = start()
    link = sender(node)
    box = link.box = Outbox(0, 1 << 20)
    for number in range(25):
        head = Head(Dot(number + 1, 9), Kind.DIR, mode=0o755)
        box.offer(Row(RelPath(b"d%d" % number), Version(((9, number + 1),), (head,)), None, b"", number + 1))
    box.offers_loaded(25)
    plan = next_offer(box, node.resolver, 100)
    assert plan is not None
    answers = tuple(Answer(index, Outcome.REFUSED, hint="x" * 5000) for index in range(25))
    link._settled(Settle(Lane.OFFER, plan.number, Outcome.KNOWN, answers))
    assert [MAX_HINT] * 10 == [len(hint) for hint in link.problems.values()]


@pytest.mark.parametrize(("status", "torn"), [(0, True), (23, True), (12, False), (-9, False), (1, False)])
def test_what_came_back_torn_counts_as_that_only_if_its_rsync_saw_to_every_file(
    start: Starter, status: int, torn: bool
) -> None:
    wire: Any = SimpleNamespace(write=lambda _: None)
    node = start()
    link = sender(node, wire)
    box = link.box = Outbox(0, 1 << 20)
    box.offers_loaded(0)
    head = Head(Dot(1, 9), Kind.FILE, 4, 1, 0o644, b"h" * 16)
    box.change(Row(RelPath(b"page"), Version(((9, 1),), (head,)), None, b"", 1))
    plan = next_small(box, node.resolver, 0.0, 10, 1 << 20)
    assert plan is not None

    async def ended() -> int:
        return status

    asyncio.run(link._carried(plan, ended()))
    link._settled(Settle(Lane.SMALL, plan.number, Outcome.TORN, ()))
    item = box.live[RelPath(b"page")]
    assert (torn, not torn) == (item.tries == 1, item.failures == 1)
