"""What a peer answers, whatever it is, takes no memory for ever."""

import pytest

from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.frames import Answer, Lane, Outcome, Settle
from sidecar.core.offering import next_offer
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
