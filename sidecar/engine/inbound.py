"""One link, seen from the side that receives: what the peer says is answered, and its batches land (`receiving`)."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core import paths
from sidecar.core.frames import (
    Batch,
    Bye,
    Check,
    Compare,
    Frame,
    Gone,
    Hello,
    Look,
    OffersEnd,
    Ping,
    Renamed,
    Sent,
    decode,
    encode,
)
from sidecar.core.ports import DiskFull
from sidecar.engine.answering import Answerer
from sidecar.engine.comparing import OtherWay, Way, both
from sidecar.engine.heartbeat import SILENCE, check_heard, until_silent
from sidecar.engine.identity import Identity
from sidecar.engine.inbox import Inbox
from sidecar.engine.landing import Landing
from sidecar.engine.receiving import Receiving
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.fs.faults import NoSpace, ReadOnly
from sidecar.index.faults import IndexBusy, IndexFull
from sidecar.link.channel import Channel
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

UNWRITTEN: Final = (IndexFull, IndexBusy, DiskFull, NoSpace, ReadOnly)
"""What a note of what a peer says may fail with; it is made with a later frame."""


class Inbound:
    """Receives from one node over one control channel; lives as long as the connection.

    Args:
        region: the region whose key opened the channel.
        inbox, landing: where batches arrive, and land; both are shared by all links of this node.
        met: called with this when the peer has said hello.
        offers_end: called with the region when the peer has offered everything.
        other_way: the link from this node to the peer.
        answerer: makes what answers the peer's questions, of the directions between the two, and of what says a frame.
        renamed: called with a directory that was renamed there.
    """

    def __init__(
        self,
        me: Identity,
        region: str,
        channel: Channel,
        inbox: Inbox,
        landing: Landing,
        metrics: Metrics,
        *,
        met: Callable[["Inbound"], None],
        offers_end: Callable[[str], None],
        other_way: OtherWay,
        answerer: Callable[[Callable[[], list[Way]], Callable[[Frame], None]], Answerer],
        renamed: Callable[[Renamed], None],
    ) -> None:
        self._me = me
        self._region = region
        self._channel = channel
        self._landing = landing
        self._metrics = metrics
        self._met = met
        self._offers_end = offers_end
        self._renamed = renamed
        self.way = Way()
        self._answerer = answerer(lambda: both(self.way, other_way, self.peer), self._say)
        self._receiving = Receiving(region, inbox, landing, metrics, way=self.way, say=self._say, cut=channel.close)
        self._cursor = 0
        self._closing = False
        self._remembered = False
        self.peer: Hello | None = None
        self.heard_at = time.monotonic()

    async def run(self) -> None:
        """Say hello, then land what comes until the link is cut.

        Raises:
            Retryable: the link was cut. ProtocolViolation: the peer said something that is not ours.
        """
        async with asyncio.timeout(SILENCE):
            raw = await self._channel.read()
        hello = decode(raw) if raw is not None else None
        try:
            self.peer = self._me.greeted(hello, self._region)
        except Retryable:
            if isinstance(hello, Hello):  # so that the other side can say as well which protocols there are
                self._say(self._me.hello())
            raise
        self._met(self)
        # told before it is remembered: a node whose volume was set back learns that from what we saw of it before
        self._say(self._me.hello(self.peer))
        if self.peer.inflates:
            self._channel.deflate()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._beat())
            group.create_task(self._answerer.run())
            group.create_task(self._receiving.run())

    def close(self, reason: str) -> None:
        """Say bye and cut the link; what it has still said is not heard any more."""
        self._closing = True
        self._say(Bye(reason))
        self._channel.close()

    def _say(self, frame: Frame) -> None:
        self._metrics.frame_sent(frame)
        self._channel.write(encode(frame))

    async def _listen(self) -> None:
        while (raw := await self._channel.read()) is not None and not self._closing:
            self.heard_at = time.monotonic()
            frame = decode(raw)
            self._metrics.frame_received(frame)
            self._remember_peer()
            self._take(frame, len(raw))
        raise Retryable(f"the link from {self._region} was cut")

    def _remember_peer(self) -> None:
        """It goes on after our hello, so it is what it said."""
        if not self._remembered and self.peer is not None:
            self._remembered = _noted(self._me.met, self.peer)

    def _take(self, frame: Frame, size: int) -> None:
        match frame:
            case Batch():
                self._receiving.arrived(frame, size)
                self._remember(frame.cursor)
            case Renamed():
                self._renamed(frame)
            case Sent():
                self._receiving.sent(frame)
            case Ping(seq, cursor, now_us):
                assert self.peer is not None
                self._me.peer_clock(self._region, now_us)
                if self._remembered:
                    _noted(lambda peer: self._me.heard_of(peer, seq), self.peer)
                self._remember(cursor)
                self._beat_back()
            case OffersEnd(cursor):
                self._remember(cursor)
                self._offers_end(self._region)
            case Compare() | Look() | Check():
                self._answerer.asked(frame)
            case Gone():
                paths.checked(frame.path)
                self._landing.gone(frame)
            case Bye(reason):
                raise Retryable(f"{self._region} closed the link: {reason}")
            case _:
                raise ProtocolViolation(f"{self._region} sent a {type(frame).__name__} on a link that it opened")

    def _remember(self, cursor: int) -> None:
        """What the sender says is settled: stored, so that after a cut it need not be offered again."""
        assert self.peer is not None
        if cursor <= self._cursor or self._landing.joining.waits or not self._remembered:
            return
        if _noted(lambda peer: self._me.settled_of(peer, cursor), self.peer):
            self._cursor = cursor

    async def _beat(self) -> None:
        # it pings, and each is answered: that both live is seen without a word of our own
        while True:
            await asyncio.sleep(until_silent(self.heard_at, time.monotonic()))
            check_heard(self._region, self.heard_at, time.monotonic())

    def _beat_back(self) -> None:
        """Say what we remember: a sender that is about to end waits for that."""
        self._say(Ping(self._me.index.max_seq(), self._cursor, self._me.now_us()))


def _noted(note: Callable[[Hello], None], peer: Hello) -> bool:
    """Note something of a peer; on a full disk that comes with a later frame. Was it?"""
    try:
        note(peer)
    except UNWRITTEN as error:
        log.debug("not noted yet", peer=peer.region, why=str(error))
        return False
    return True
