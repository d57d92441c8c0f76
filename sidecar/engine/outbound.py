"""One link, seen from the side that sends: what the peer lacks goes out, batch by batch, and its answers come back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from sidecar.core import offering, order
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
    Entry,
    Frame,
    Hello,
    How,
    Lane,
    OffersEnd,
    Outcome,
    Ping,
    Seen,
    Sent,
    Settle,
    decode,
    encode,
)
from sidecar.core.item import Item, Plan, Planned
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.asking import Asking
from sidecar.engine.comparing import Comparer, OtherWay, Way, both
from sidecar.engine.delivery import Delivery
from sidecar.engine.heartbeat import HEARTBEAT, SILENCE, check_heard
from sidecar.engine.identity import Identity
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.replica import Changed
from sidecar.engine.unanswered import Unanswered
from sidecar.errors import Retryable
from sidecar.link.channel import Channel
from sidecar.link.rsync import Verdict, verdict
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

SMALL_WINDOW: Final = 8
"""Unanswered batches of the small lane."""
OFFER_WINDOW: Final = 4
BATCH_ENTRIES: Final = 1000
BATCH_BYTES: Final = 32 * 1024 * 1024
OFFER_ENTRIES: Final = 2000
PAGE: Final = 2000
"""Rows read from the index at a time."""
MAX_PROBLEMS: Final = 10_000
"""Paths of which it is remembered why the peer has not got them, a hundred times what a status lists."""
MAX_HINT: Final = 1000
"""Characters of why."""
LINGER: Final = 1.0
"""Seconds until a row that was learned from one peer is offered to the others: mostly they have heard of it by then."""


class Outbound:
    """Sends to one peer over one open control channel; lives as long as the connection.

    Args:
        me: who this node is.
        region: the peer's region.
        channel: the control channel, freshly opened.
        delivery: what carries files to the peer.
        delay: seconds in which changes are collected before they go (lsyncd's delay).
        recheck: called with paths that came back torn.
        met: called with this when the peer has said hello.
        comparing: when the indexes are compared, and what came of it.
        other_way: the link from the peer to this node.
        nowhere: who else has not got what this node is asked for and has not got.
        agreed: as `Comparer`'s.
        stale: called with the rows, as (path, seq), that the peer lacks and may have deleted long ago.
    """

    def __init__(
        self,
        me: Identity,
        region: str,
        channel: Channel,
        delivery: Delivery,
        metrics: Metrics,
        *,
        large: int,
        delay: float,
        recheck: Callable[[list[RelPath]], None],
        met: Callable[["Outbound"], None],
        comparing: Comparing,
        other_way: OtherWay,
        nowhere: Nowhere,
        agreed: Callable[[Agreement, int], None],
        stale: Callable[[list[tuple[RelPath, int]]], None],
    ) -> None:
        self._me = me
        self._region = region
        self._channel = channel
        self._delivery = delivery
        self._metrics = metrics
        self._large = large
        self._delay = delay
        self._recheck = recheck
        self._met = met
        self._comparing = comparing
        self._other_way = other_way
        self._nowhere = nowhere
        self._agreed = agreed
        self._stale = stale
        self._wake = asyncio.Event()
        self._offers_due = 0.0
        self._said_end = False
        self._closed = False
        self._alone: set[Lane] = set()
        self._said_at: dict[tuple[Lane, int], float] = {}
        self._unanswered = Unanswered()
        self._failed: set[tuple[Lane, int]] = set()
        """the unanswered batches whose rsync ended before it had seen to all of them"""
        self._tasks: set[asyncio.Task[None]] = set()
        self.box: Outbox | None = None
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

    # -- what the node tells it

    def changed(self, changed: Changed, source: str) -> None:
        """A row changed here; `source` is the region that sent it, "" for a local write."""
        box = self.box
        if box is None:
            return
        if changed.local:
            box.change(changed.row, changed.came_from, changed.content)
        elif source == self._region and changed.heard == changed.row.version:
            box.known(changed.row)
            self.problems.pop(changed.row.path, None)
            return
        else:
            if not self._offers_due:
                self._offers_due = time.monotonic() + LINGER
            box.offer(changed.row)
        self._wake.set()

    def wake(self) -> None:
        """Something that it waited for may have come: a spare, the end of the first scan."""
        self._wake.set()

    # -- the connection

    async def run(self) -> None:
        """Say hello, then send until the link is cut.

        Raises:
            Retryable: the link was cut or the peer closed it. ProtocolViolation: it said something that is not ours.
        """
        self._say(self._me.hello())
        async with asyncio.timeout(SILENCE):
            raw = await self._channel.read()
        self.peer = self._me.greeted(decode(raw) if raw is not None else None, self._region)
        self._me.check_rollback(self.peer)
        if self.peer.inflates:
            self._channel.deflate()
        cursor = self.peer.cursor if self.peer.seen_epoch == self._me.epoch else 0
        self.box = self.way.box = Outbox(cursor, self._large)
        self.cursor = cursor
        self._met(self)
        comparer = self._comparing_with(self.peer, self.box)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._load(self.box, cursor))
                group.create_task(self._pump(self.box))
                group.create_task(self._beat(self.box))
                group.create_task(comparer.run())
        finally:
            self.cursor, self.box, self.way.box = self.box.cursor, None, None
            self.asking.end()
            self.checking.end()
            for task in self._tasks:
                task.cancel()

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
        """Say bye and cut the link; nothing more is sent over it."""
        self._closed = True
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
        self._channel.write(encode(frame))

    async def _listen(self) -> None:
        while (raw := await self._channel.read()) is not None:
            self.heard_at = time.monotonic()
            frame = decode(raw)
            self._metrics.frame_received(frame)
            match frame:
                case Settle():
                    self._settled(frame)
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

    def _settled(self, frame: Settle) -> None:
        assert self.box is not None
        now = time.monotonic()
        flown = self.box.flight(frame.lane, frame.number)
        carried = (frame.lane, frame.number) not in self._failed
        torn = self.box.answered(frame.lane, frame.number, frame.rest, frame.answers, now, carried=carried)
        self._failed.discard((frame.lane, frame.number))
        self._unanswered.answered(frame.lane, frame.number, now)
        took = now - self._said_at.pop((frame.lane, frame.number), now)
        self._metrics.settled(self._region, frame, len(flown), took)
        named = {answer.index: answer for answer in frame.answers}
        stale: list[tuple[RelPath, int]] = []
        for index, item in enumerate(flown):
            answer = named.get(index, Answer(index, frame.rest))
            self._told(item.path, answer)
            if answer.outcome is Outcome.STALE:
                stale.append((item.path, item.seq))
        if stale:
            self._stale(stale)
        if torn:
            self._recheck([item.path for item in torn])
        self._wake.set()

    def _told(self, path: RelPath, answer: Answer) -> None:
        """What became of a path at the peer."""
        self.problems.pop(path, None)
        if answer.hint and len(self.problems) < MAX_PROBLEMS:
            self.problems[path] = answer.hint[:MAX_HINT]
        self.way.told(path, answer.outcome)

    def _comparing_with(self, peer: Hello, box: Outbox) -> Comparer:
        def offer(row: Row) -> bool:
            anew = sendable(row) and row.path not in box.seqs
            if anew:
                box.offer(row)
                self._wake.set()
            return anew

        return Comparer(
            self._me,
            peer,
            box,
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

    async def _load(self, box: Outbox, cursor: int) -> None:
        top, at = self._me.index.max_seq(), cursor
        while at < top:
            rows = self._me.index.since(at, PAGE)
            if not rows:
                break
            for row in rows:
                if row.seq <= top and sendable(row):
                    box.offer(row)
            at = rows[-1].seq
            self._wake.set()
            await asyncio.sleep(0)
        box.offers_loaded(top)
        self._wake.set()

    async def _beat(self, box: Outbox) -> None:
        said, at = -1, 0.0
        while True:
            now = time.monotonic()
            check_heard(self._region, self.heard_at, now)
            self._check_answered(now)
            if now - at >= HEARTBEAT or box.cursor != said:
                said, at = box.cursor, now
                self.tell(said)
            self._wake.set()
            await asyncio.sleep(1.0)

    def _check_answered(self, now: float) -> None:
        late = self._unanswered.late(now)
        if late is not None:
            lane, number, seconds = late
            what = f"batch {number} of the lane {lane.name.lower()}"
            raise Retryable(f"{self._region} lives and has not answered {what} for {seconds:.0f} s")

    # -- sending

    async def _pump(self, box: Outbox) -> None:
        while True:
            await self._wake.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            self._wake.clear()
            await self._send_all(box)
            self._end_of_offers(box)
            self._wake_when_due(box)

    async def _send_all(self, box: Outbox) -> None:
        sent = True
        while sent and not self._closed:
            sent = self._send_one(box)
            await asyncio.sleep(0)

    def _send_one(self, box: Outbox) -> bool:
        now = time.monotonic()
        sent = self._send_offers(box, now)
        plan = order.next_alone(box, now, self._alone)
        if plan is not None:
            self._alone.add(plan.lane)
            self._spawn(self._send_alone(box, plan))
            sent = True
        return self._send_small(box, now) or sent

    def _send_offers(self, box: Outbox, now: float) -> bool:
        if now < self._offers_due or box.in_flight(Lane.OFFER) >= OFFER_WINDOW:
            return False
        plan = offering.next_offer(box, self._me.resolver, OFFER_ENTRIES)
        if plan is None:
            self._offers_due = 0.0
            return False
        self._say(self._batch(box, plan, "", [self._entry(p) for p in plan.planned]))
        return True

    def _send_small(self, box: Outbox, now: float) -> bool:
        if not box.live or box.in_flight(Lane.SMALL) >= SMALL_WINDOW:
            return False
        if not self._delivery.ready() and any(item.stage for item in box.live.values()):
            return False
        plan = order.next_small(box, self._me.resolver, now, BATCH_ENTRIES, BATCH_BYTES)
        if plan is None:
            return False
        staged = [p.item for p in plan.planned if p.item.stage]
        names = [item.path for item in staged]
        carrier = self._delivery.take() if names else None
        entries = [self._entry(p) for p in plan.planned]
        if carrier is not None:
            # the names first: rsync's way is the longer one
            self._spawn(self._carried(plan, carrier.send(names)))
            self._delivery.sending(names, sum(item.size for item in staged))
        self._say(self._batch(box, plan, carrier.batch if carrier is not None else "", entries))
        return True

    async def _send_alone(self, box: Outbox, plan: Plan) -> None:
        """A large file, or bytes that come from a private copy."""
        self._unanswered.said(plan, time.monotonic())
        try:
            await self._send_load(box, plan)
        finally:
            self._alone.discard(plan.lane)
            self._wake.set()

    async def _send_load(self, box: Outbox, plan: Plan) -> None:
        planned = plan.planned[0]
        item = planned.item
        load = await self._delivery.load(item, plan.lane)
        if load is None:
            self._nothing_to_send(box, plan, item)
            return
        how = How.LOSER if item.want else How.STAGED
        # the path itself is the file's name in the batch, unless it lies elsewhere here
        name = load.name if load.name != item.path else b""
        entry = Entry(item.path, load.version, how, name, load.hash if item.want else b"", planned.leans)
        sending = load.carrier.send([load.name])
        self._delivery.sending([item.path], item.size)
        self._say(self._batch(box, plan, load.carrier.batch, [entry]))
        try:
            await self._carried(plan, sending)
        finally:
            self._delivery.done(load)

    def _nothing_to_send(self, box: Outbox, plan: Plan, item: Item) -> None:
        """What was wanted is not here, or what was to be copied does not rest: an empty batch takes the number."""
        row = self._me.index.get(item.path)
        listed = row is not None and any(head.hash == item.want for head in versions.losers(row.version))
        if item.want and self._me.found_done:  # until then it may turn out to be what was found here
            self._say(self._nowhere.gone(item.path, item.want))
        torn = box.not_here(plan, listed, time.monotonic())
        self._say(self._batch(box, plan, "", []))
        self._recheck([one.path for one in torn])

    async def _carried(self, plan: Plan, sending: Awaitable[int]) -> None:
        self._unanswered.carried(plan, time.monotonic(), ended=False)
        status = await sending
        self._unanswered.carried(plan, time.monotonic(), ended=True)
        if verdict(status, delta=False) not in (Verdict.SENT, Verdict.LOOK):
            self._failed.add((plan.lane, plan.number))
        self._say(Sent(plan.lane, plan.number, status))

    def _batch(self, box: Outbox, plan: Plan, batch_id: str, entries: list[Entry]) -> Batch:
        self._metrics.batch_sent(self._region, plan.lane, len(entries))
        now = self._said_at[plan.lane, plan.number] = time.monotonic()
        self._unanswered.said(plan, now)
        return Batch(plan.lane, plan.number, batch_id, box.cursor, tuple(entries))

    def _entry(self, planned: Planned) -> Entry:
        item, row = planned.item, self._row(planned)
        if item.stage:
            return Entry(item.path, row.version, How.STAGED, leans=planned.leans)
        if item.came_from is not None:
            return Entry(item.path, row.version, How.FROM, item.came_from, leans=planned.leans)
        return Entry(item.path, row.version, leans=planned.leans)

    def _row(self, planned: Planned) -> Row:
        row = self._me.index.get(planned.item.path)
        assert row is not None, "what is to be sent has a row"
        return row

    def _end_of_offers(self, box: Outbox) -> None:
        if not self._said_end and box.all_offered and not self._me.index.new_index:
            self._said_end = True
            self._say(OffersEnd(box.cursor))

    def _wake_when_due(self, box: Outbox) -> None:
        # what was due before and could not go waits for an answer, or a spare, which wake this too
        now = time.monotonic()
        due = [at for at in (box.next_due(now), self._offers_due) if at and at > now]
        if due:
            wait = max(0.001, min(due) - now)
            asyncio.get_running_loop().call_later(wait, self._wake.set)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a batch could not be sent", peer=self._region, error=repr(task.exception()))
            self._channel.close()


def sendable(row: Row) -> bool:
    """Of what was only found, or is held, nobody hears."""
    return versions.winner(row.version) is not None and not marked(row.flags, APART)
