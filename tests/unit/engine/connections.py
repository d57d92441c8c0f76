"""The two ends of a connection to ams, over a channel of a test's own."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from sidecar.core.compare import Comparing
from sidecar.core.frames import Frame
from sidecar.core.outbox import Outbox
from sidecar.engine.inbound import Inbound
from sidecar.engine.node import Node
from sidecar.engine.outbound import Outbound
from sidecar.engine.sending import Sending

NOTHING: Any = None


UNOPENED: Any = SimpleNamespace(close=lambda: None)
"""a channel over which nothing is said"""


def sender(node: Node, channel: Any = UNOPENED, comparing: Comparing | None = None) -> Outbound:
    def sending(
        cursor: int, say: Callable[[Frame], None], drained: Callable[[], Awaitable[None]], cut: Callable[[], None]
    ) -> Sending:
        return Sending(
            node.me,
            "ams",
            Outbox(cursor, 1 << 20),
            NOTHING,
            node.metrics,
            delay=0.0,
            recheck=lambda _: None,
            nowhere=NOTHING,
            say=say,
            drained=drained,
            cut=cut,
        )

    return Outbound(
        node.me,
        "ams",
        channel,
        node.metrics,
        sending=sending,
        met=lambda _: None,
        comparing=comparing or Comparing(60.0, 60.0),
        other_way=lambda _: None,
        agreed=lambda *_: None,
        stale=lambda _: None,
    )


def receiver(node: Node, channel: Any) -> Inbound:
    return Inbound(
        node.me,
        "ams",
        channel,
        node.inbox,
        node.landing,
        node.metrics,
        met=lambda _: None,
        offers_end=lambda _: None,
        other_way=lambda _: None,
        answerer=node.answerer,
        renamed=lambda frame: node.renamed("ams", frame),
    )
