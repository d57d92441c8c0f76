"""What a peer answers, whatever it is, takes no memory for ever; a link that was cut begins nothing."""

import asyncio
from typing import Any

import pytest

from sidecar.core import frames
from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.frames import PROTOCOL, Answer, Bye, Hello, Lane, Outcome, Settle
from sidecar.core.offering import next_offer
from sidecar.core.paths import RelPath
from sidecar.engine.outbound import MAX_HINT
from sidecar.errors import Retryable
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import sender

AMS = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0.1.0", "3.5.0", 10, 11, 0, 0, 0, 0, 0, False)


def test_why_a_peer_has_not_got_paths_is_remembered_of_so_many_and_so_long(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.outbound.MAX_PROBLEMS", 10)
    node = start()
    link = sender(node)
    sending = link.begin(0)
    for number in range(25):
        head = Head(Dot(number + 1, 9), Kind.DIR, mode=0o755)
        sending.box.offer(Row(RelPath(b"d%d" % number), Version(((9, number + 1),), (head,)), None, b"", number + 1))
    sending.box.offers_loaded(25)
    plan = next_offer(sending.box, node.resolver, 100)
    assert plan is not None
    answers = tuple(Answer(index, Outcome.REFUSED, hint="x" * 5000) for index in range(25))
    link._settled(sending, Settle(Lane.OFFER, plan.number, Outcome.KNOWN, answers))
    assert [MAX_HINT] * 10 == [len(hint) for hint in link.problems.values()]


def test_a_link_that_is_cut_while_the_hello_is_under_way_begins_nothing(start: Starter) -> None:
    """What is to be made anew was made of a channel that was closed, and a batch was handed to an rsync over it."""
    said: list[object] = []

    class Greeted:
        async def read(self) -> bytes:
            await asyncio.sleep(0)
            return frames.encode(AMS)

        def write(self, frame: bytes) -> None:
            said.append(frames.decode(frame))

        def close(self) -> None:
            pass

    channel: Any = Greeted()
    outbound = sender(start(), channel)

    async def cut() -> None:
        running = asyncio.ensure_future(outbound.run())
        await asyncio.sleep(0)
        outbound.close("its index could not be written")
        async with asyncio.timeout(10):
            await running

    with pytest.raises(Retryable, match="the link to ams was cut"):
        asyncio.run(cut())
    assert [Hello, Bye] == [type(frame) for frame in said]
    assert (None, None) == (outbound.peer, outbound.box)
