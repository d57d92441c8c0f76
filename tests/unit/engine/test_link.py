"""What ends over a connection that lives comes again within seconds: a full disk there, say, may have space again."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sidecar.engine.link import Link
from sidecar.engine.options import PeerOptions
from sidecar.engine.report import Reporter
from sidecar.errors import Retryable
from sidecar.link.keys import InstalledKeys
from sidecar.link.master import LinkState
from sidecar.link.sshd import Sshd
from tests.unit.engine.conftest import Starter

LONGEST = 13.0


@pytest.fixture
def link(start: Starter) -> Link:
    node = start()
    node.scanned.set()
    node.going.set()
    node.joining.decided.set()
    return Link(node, PeerOptions("ams", "127.0.0.1", 1, False, 0), InstalledKeys("host", "client", "known", "may"), {})


def test_rsyncs_that_a_peer_refuses_again_and_again(link: Link) -> None:
    assert LONGEST > max(link.delivery._small._delays(attempt) for attempt in range(100))


def test_a_control_channel_that_is_cut_again_and_again(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    link.master._up.set()

    async def cut(_link: Link) -> None:
        raise Retryable("the disk there is full")

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 50:
            raise asyncio.CancelledError

    monkeypatch.setattr(Link, "_once", cut)
    patched: Any = type("Asyncio", (), {"sleep": staticmethod(sleep)})
    monkeypatch.setattr("sidecar.engine.link.asyncio", patched)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(link._talk())
    assert slept[0] < 1 and max(slept) < LONGEST


def test_why_what_is_large_does_not_go_is_told_while_what_is_small_does(link: Link) -> None:
    there: Any = SimpleNamespace(links={"ams": link})
    warnings = Reporter(link._node, there, cast(Sshd, None), "beside")._of_the_peers
    refused = link.delivery._bulk._master
    refused._set(LinkState.DOWN, "Connection refused; look at the firewall")
    assert [] == list(warnings()), "nothing goes at all: that is told of the peer"
    link.master._set(LinkState.UP, "")
    assert ["the connection of large files to ams: Connection refused; look at the firewall"] == list(warnings())
    refused._set(LinkState.UP, "")
    assert [] == list(warnings())
