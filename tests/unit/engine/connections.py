"""The two ends of a connection to ams, over a channel of a test's own."""

from typing import Any

from sidecar.core.compare import Comparing
from sidecar.engine.inbound import Inbound
from sidecar.engine.node import Node
from sidecar.engine.outbound import Outbound

NOTHING: Any = None


def sender(node: Node, channel: Any = NOTHING, comparing: Comparing | None = None) -> Outbound:
    return Outbound(
        node.me,
        "ams",
        channel,
        NOTHING,
        node.metrics,
        large=1 << 20,
        delay=0.0,
        recheck=lambda _: None,
        met=lambda _: None,
        comparing=comparing or Comparing(60.0, 60.0),
        other_way=lambda _: None,
        nowhere=NOTHING,
        agreed=lambda *_: None,
        stale=lambda _: None,
    )


def receiver(node: Node, channel: Any) -> Inbound:
    return Inbound(
        node.me,
        "ams",
        channel,
        node.landing,
        node.metrics,
        met=lambda _: None,
        offers_end=lambda _: None,
        other_way=lambda _: None,
        answerer=node.answerer,
    )
