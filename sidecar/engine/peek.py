"""How far the peers are, asked over channels of their own: hello both ways, and nothing more."""

import asyncio

from sidecar.core.frames import decode, encode
from sidecar.engine.heartbeat import SILENCE
from sidecar.engine.identity import Identity, check_hello
from sidecar.engine.link import Link
from sidecar.engine.links import Links
from sidecar.link.channel import Channel, open_control


async def ask_all(me: Identity, links: Links, within: float) -> None:
    """Note with every link how far its peer is, where nothing is sent in this run; for so many seconds at most."""
    asking = [asyncio.ensure_future(_ask(me, link)) for link in links.links.values()]
    if asking:
        _, late = await asyncio.wait(asking, timeout=within)
        for one in late:
            one.cancel()


async def _ask(me: Identity, link: Link) -> None:
    await link.master.wait_up()
    with link.reported():
        channel = await open_control(link.master)
        try:
            link.cursor = await _settled_at(me, link.peer.region, channel)
        finally:
            channel.close()


async def _settled_at(me: Identity, region: str, channel: Channel) -> int:
    """The seq of this node up to which the peer has settled everything. The peer remembers nothing of it.

    Raises:
        Retryable: it did not say so. ProtocolViolation: it is another region. TimeoutError: it is silent.
    """
    channel.write(encode(me.hello()))
    async with asyncio.timeout(SILENCE):
        raw = await channel.read()
    peer = check_hello(decode(raw) if raw is not None else None, region)
    return peer.cursor if peer.seen_epoch == me.epoch else 0
