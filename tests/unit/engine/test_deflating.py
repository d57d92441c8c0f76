"""Frames are deflated to a node that says in its hello that it inflates them, and to no other."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sidecar.core import frames
from sidecar.core.frames import PROTOCOL, Hello
from sidecar.engine.node import Node
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.link.channel import Channel
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import receiver, sender

OLDER = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0.1.0", "3.5.0", 10, 11, 0, 0, 0, 0, 0, False)
HELLOS = {"inflates": msgspec.structs.replace(OLDER, inflates=True), "older": OLDER}


class Wire:
    """A channel over which a peer says hello and nothing more; what is done with it, in order."""

    def __init__(self, hello: Hello) -> None:
        self._said = [frames.encode(hello)]
        self.done: list[Any] = []

    async def read(self) -> bytes | None:
        return self._said.pop() if self._said else None

    def write(self, frame: bytes) -> None:
        self.done.append(frames.decode(frame))

    def deflate(self) -> None:
        self.done.append("deflates")

    def close(self) -> None:
        self._said = []


@pytest.mark.parametrize("hello", HELLOS.values(), ids=HELLOS)
@pytest.mark.parametrize("side", [sender, receiver], ids=["sender", "receiver"])
def test_what_comes_after_the_hellos_is_deflated_if_the_peer_inflates(
    start: Starter, side: Callable[[Node, Any], Any], hello: Hello
) -> None:
    wire = Wire(hello)
    with pytest.raises(BaseExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(side(start(), wire).run(), 60))
    assert ended.group_contains(Retryable, match="was cut")
    assert isinstance(wire.done[0], Hello)
    assert wire.done[0].inflates
    assert hello.inflates is (wire.done[1:2] == ["deflates"])
    assert hello.inflates is ("deflates" in wire.done)


def test_a_deflated_frame_that_no_node_writes_cuts_the_link(start: Starter) -> None:
    async def heard(node: Node) -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(*await asyncio.open_unix_connection(sock=ours))
        _, peer = await asyncio.open_unix_connection(sock=theirs)
        hello = frames.encode(OLDER)
        peer.write(len(hello).to_bytes(4, "big") + hello)
        peer.write((9 | 1 << 31).to_bytes(4, "big") + b"\xff" * 9)
        try:
            await asyncio.wait_for(receiver(node, channel).run(), 60)
        finally:
            channel.close()
            peer.close()

    with pytest.raises(BaseExceptionGroup) as ended:
        asyncio.run(heard(start()))
    assert ended.group_contains(ProtocolViolation, match="does not inflate")
