"""One link, seen from the side that sends: what the peer lacks is known here, goes out (`sending`), and is answered."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sidecar.core import version as versions
from sidecar.core.ageing import Agreement
from sidecar.core.compare import Comparing
from sidecar.core.entry import APART, Row, marked
from sidecar.core.frames import (
    Answer,
    Batch,
    Bye,
    Checked,
    Compared,
    Frame,
    Hello,
    Outcome,
    Ping,
    Seen,
    Settle,
    decode,
    encode,
)
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine import enclosed
from sidecar.engine.asking import Asking
from sidecar.engine.comparing import Comparer, OtherWay, Way, both
from sidecar.engine.heartbeat import HEARTBEAT, SILENCE, check_heard, until_silent
from sidecar.engine.identity import Identity
from sidecar.engine.replica import Changed
from sidecar.engine.sending import Sending
from sidecar.engine.ticks import until_tick
from sidecar.errors import Retryable
from sidecar.link.channel import Channel
from sidecar.metrics import Metrics

PAGE: Final = 2000
"""Rows read from the index at a time."""
MAX_PROBLEMS: Final = 10_000
"""Paths of which it is remembered why the peer has not got them, a hundred times what a status lists."""
MAX_HINT: Final = 1000
"""Characters of why."""
BUSY_BEAT: Final = 1.0
"""Seconds between two looks at what waits for the peer, while something does."""


class Sender(Protocol):
    """Makes what sends."""

    def __call__(
        self, cursor: int, say: Callable[[Frame], None], drained: Callable[[], Awaitable[None]], cut: Callable[[], None]
    ) -> Sending:
        """Of the seq up to which the peer has settled everything, what says a frame, what returns when most of what was
        said has left, and what cuts the link."""


class Outbound:
    """Sends to one peer over one open control channel; lives as long as the connection.

    Args:
        me: who this node is.
        region: the peer's region.
        channel: the control channel, freshly opened.
        sending: makes what sends.
        met: called with this when the peer has said hello.
        comparing: when the indexes are compared, and what came of it.
        other_way: the link from the peer to this node.
        agreed: as `Comparer`'s.
        stale: called with the rows, as (path, seq), that the peer lacks and may have deleted long ago.
        compress: is content deflated too?
    """

    def __init__(
        self,
        me: Identity,
        region: str,
        channel: Channel,
        metrics: Metrics,
        *,
        sending: Sender,
        met: Callable[["Outbound"], None],
        comparing: Comparing,
        other_way: OtherWay,
        agreed: Callable[[Agreement, int], None],
        stale: Callable[[list[tuple[RelPath, int]]], None],
        compress: bool = False,
    ) -> None:
        self._me = me
        self._region = region
        self._channel = channel
        self._metrics = metrics
        self._new_sending = sending
        self._met = met
        self._comparing = comparing
        self._other_way = other_way
        self._agreed = agreed
        self._stale = stale
        self._compress = compress
        self._sending: Sending | None = None
        self._stirred = asyncio.Event()
        self._closed = False
        self.cursor = -1
        """when there is no `box`: the seq up to which the peer had confirmed everything, -1: it said nothing yet"""
        self.remembered = -1
        """the cursor that the peer says it has stored; -1: it said none yet"""
        self.peer: Hello | None = None
        self.heard_at = time.monotonic()
        self.problems: dict[RelPath, str] = {}
        """what the peer held, refused or could not do, with the beginning of its hint; `MAX_PROBLEMS` of it; after
        hello its link's, which outlive the connection"""
        self.way = Way()
        self.asking = Asking(self._say)
        self.checking = Asking(self._say)
        """the same for what takes long"""

    @property
    def box(self) -> Outbox | None:
        """What the peer needs; None before its hello."""
        return self._sending.box if self._sending is not None else None

    # -- what the node tells it

    def changed(self, changed: Changed, source: str) -> None:
        """A row changed here; `source` is the region that sent it, "" for a local write."""
        sending = self._sending
        if sending is None:
            return
        self._stirred.set()
        if changed.local:
            sending.box.change(changed.row, changed.came_from, changed.content)
            sending.wake()
        elif source == self._region and changed.heard == changed.row.version:
            sending.box.known(changed.row)
            self.problems.pop(changed.row.path, None)
        else:
            sending.learned(changed.row)

    def teller(self, old: RelPath, new: RelPath) -> Callable[[Frame], None] | None:
        """What says a frame to the peer, if it may hear ahead of all else that a directory was renamed."""
        knows = self.peer is not None and self.peer.renames and not self._closed
        return self._say if knows and self.box is not None and self.box.rests(old, new) else None

    def wake(self) -> None:
        """Something that it waited for may have come: a spare, the end of the first scan."""
        if self._sending is not None:
            self._sending.wake()

    # -- the connection

    async def run(self) -> None:
        """Say hello, then send until the link is cut.

        Raises:
            Retryable: the link was cut or the peer closed it. ProtocolViolation: it said something that is not ours.
        """
        self._say(self._me.hello())
        async with asyncio.timeout(SILENCE):
            raw = await self._channel.read()
        if self._closed:  # its hello was under way
            raise Retryable(f"the link to {self._region} was cut")
        self.peer = self._me.greeted(decode(raw) if raw is not None else None, self._region)
        self._me.check_rollback(self.peer)
        if self.peer.inflates:
            self._channel.deflate()
        cursor = self.peer.cursor if self.peer.seen_epoch == self._me.epoch else 0
        sending = self.begin(cursor)
        self._met(self)
        comparer = self._comparing_with(self.peer, sending)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(sending))
                group.create_task(self._load(sending, cursor))
                group.create_task(sending.run())
                group.create_task(self._beat(sending))
                group.create_task(comparer.run())
        finally:
            self.cursor, self._sending, self.way.box = sending.box.cursor, None, None
            self.asking.end()
            self.checking.end()

    def begin(self, cursor: int) -> Sending:
        """The peer has said hello, and that it has settled everything up to `cursor`."""
        self.cursor = cursor
        self._sending = self._new_sending(cursor, self._say, self._drained, self._channel.close)
        self._sending.encloses = self.peer is not None and self.peer.encloses
        self.way.box = self._sending.box
        return self._sending

    def tell(self, cursor: int) -> None:
        """Say up to where the peer has settled everything: what it remembers, and says in the next hello."""
        self._say(Ping(self._me.index.max_seq(), cursor, self._me.now_us()))

    @property
    def told(self) -> bool:
        """Has the peer stored how far it is? One that waits for `sidecar join` stores nothing."""
        if self.box is None or self.peer is None:
            return False
        return self.peer.joins or self.remembered >= self.box.cursor

    def close(self, reason: str) -> None:
        """Say bye and cut the link; nothing more is sent over it, nor is anything begun if the hello is yet to come."""
        self._closed = True
        if self._sending is not None:
            self._sending.stop()
        self._say(Bye(reason))
        self._channel.close()

    def confirmed(self, seq: int) -> bool:
        """Has the peer confirmed everything up to `seq`?"""
        return self.box is not None and (self.box.idle or self.box.cursor >= seq)

    @property
    def idle(self) -> bool:
        """Has the peer confirmed everything?"""
        return self.box is not None and self.box.idle

    def _say(self, frame: Frame) -> None:
        self._metrics.frame_sent(frame)
        if isinstance(frame, Batch) and not self._compress and enclosed.encloses(frame):
            self._channel.write_as_is(encode(frame))
        else:
            self._channel.write(encode(frame))

    async def _drained(self) -> None:
        await self._channel.drain()

    async def _listen(self, sending: Sending) -> None:
        while (raw := await self._channel.read()) is not None:
            self.heard_at = time.monotonic()
            frame = decode(raw)
            self._metrics.frame_received(frame)
            match frame:
                case Settle():
                    self._settled(sending, frame)
                case Ping(_, cursor, now_us):
                    self._me.peer_clock(self._region, now_us)
                    self.remembered = max(self.remembered, cursor)
                case Compared() | Seen():
                    self.asking.answered(frame)
                case Checked():
                    self.checking.answered(frame)
                case Bye(reason):
                    raise Retryable(f"{self._region} closed the link: {reason}")
                case _:
                    raise Retryable(f"{self._region} sent a {type(frame).__name__} where an answer was due")
        raise Retryable(f"the link to {self._region} was cut")

    def _settled(self, sending: Sending, frame: Settle) -> None:
        flown = sending.answered(frame)
        named = {answer.index: answer for answer in frame.answers}
        stale: list[tuple[RelPath, int]] = []
        for index, item in enumerate(flown):
            answer = named.get(index, Answer(index, frame.rest))
            self._told(item.path, answer)
            if answer.outcome is Outcome.STALE:
                stale.append((item.path, item.seq))
        if stale:
            self._stale(stale)

    def _told(self, path: RelPath, answer: Answer) -> None:
        """What became of a path at the peer."""
        self.problems.pop(path, None)
        if answer.hint and len(self.problems) < MAX_PROBLEMS:
            self.problems[path] = answer.hint[:MAX_HINT]
        self.way.told(path, answer.outcome)

    def _comparing_with(self, peer: Hello, sending: Sending) -> Comparer:
        def offer(row: Row) -> bool:
            anew = sendable(row) and row.path not in sending.box.seqs
            if anew:
                sending.box.offer(row)
                sending.wake()
                self._stirred.set()
            return anew

        return Comparer(
            self._me,
            peer,
            sending.box,
            self._comparing,
            self._metrics,
            ways=self.ways,
            asking=self.asking,
            offer=offer,
            agreed=self._agreed,
        )

    def ways(self) -> list[Way]:
        """Both directions between this node and the peer, or the one that there is."""
        return both(self.way, self._other_way, self.peer)

    async def _load(self, sending: Sending, cursor: int) -> None:
        top, at = self._me.index.max_seq(), cursor
        while at < top:
            rows = self._me.index.since(at, PAGE)
            if not rows:
                break
            for row in rows:
                if row.seq <= top and sendable(row):
                    sending.box.offer(row)
            at = rows[-1].seq
            sending.wake()
            await asyncio.sleep(0)
        sending.box.offers_loaded(top)
        sending.wake()

    async def _beat(self, sending: Sending) -> None:
        said, due = -1, 0.0
        while True:
            now = time.monotonic()
            check_heard(self._region, self.heard_at, now)
            sending.check_answered(now)
            if now >= due or sending.box.cursor != said:
                said, due = sending.box.cursor, now + until_tick(HEARTBEAT, now)
                self.tell(said)
            sending.wake()
            if sending.box.idle:
                await self._stirred_or(min(due - now, until_silent(self.heard_at, now)))
            else:
                await asyncio.sleep(BUSY_BEAT)

    async def _stirred_or(self, seconds: float) -> None:
        """Wait until there is something to send, or so long: nothing else is to be seen to while there is nothing."""
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()


def sendable(row: Row) -> bool:
    """Of what was only found, or is held, nobody hears."""
    return versions.winner(row.version) is not None and not marked(row.flags, APART)
