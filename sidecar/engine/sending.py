"""What goes over one connection, from hello on: batch by batch, whatever the order lets go, until the link is cut."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from sidecar.core import offering, order
from sidecar.core import version as versions
from sidecar.core.entry import Row
from sidecar.core.frames import Batch, Entry, Frame, How, Lane, OffersEnd, Sent, Settle
from sidecar.core.item import Item, Plan, Planned
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine import enclosed
from sidecar.engine.delivery import Delivery
from sidecar.engine.identity import Identity
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.unanswered import Unanswered
from sidecar.errors import Retryable
from sidecar.link.rsync import Verdict, verdict
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

SMALL_WINDOW: Final = 8
"""Unanswered batches of the small lane, when the next one is to go by rsync or brings no files."""
OFFER_WINDOW: Final = 4
BATCH_ENTRIES: Final = 1000
BATCH_BYTES: Final = 32 * 1024 * 1024
OFFER_ENTRIES: Final = 2000
LINGER: Final = 1.0
"""Seconds until a row that was learned from one peer is offered to the others: mostly they have heard of it by then."""


class Sending:
    """Sends what waits in `box`.

    Args:
        region: the peer's region.
        delivery: what carries files to the peer.
        delay: seconds in which changes are collected before they go (lsyncd's delay).
        recheck: called with paths that came back torn.
        nowhere: who else has not got what this node is asked for and has not got.
        say: sends a frame.
        drained: returns when most of what was said has left.
        cut: called when a batch could not be sent.
    """

    def __init__(
        self,
        me: Identity,
        region: str,
        box: Outbox,
        delivery: Delivery,
        metrics: Metrics,
        *,
        delay: float,
        recheck: Callable[[list[RelPath]], None],
        nowhere: Nowhere,
        say: Callable[[Frame], None],
        drained: Callable[[], Awaitable[None]],
        cut: Callable[[], None],
    ) -> None:
        self._me = me
        self._region = region
        self.box: Final = box
        self._delivery = delivery
        self._metrics = metrics
        self._delay = delay
        self._recheck = recheck
        self._nowhere = nowhere
        self._say = say
        self._drained = drained
        self._cut = cut
        self.encloses = False
        """does the peer take small files in their entries?"""
        self._full = False
        """is the channel filled with them?"""
        self._wake = asyncio.Event()
        self._offers_due = 0.0
        self._said_end = False
        self._stopped = False
        self._alone: set[Lane] = set()
        self._said_at: dict[tuple[Lane, int], float] = {}
        self._unanswered = Unanswered()
        self._failed: set[tuple[Lane, int]] = set()
        """the unanswered batches whose rsync ended before it had seen to all of them"""
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something that it waited for may have come: a row, an answer, a spare."""
        self._wake.set()

    def learned(self, row: Row) -> None:
        """A row came from another peer: it is offered, not at once."""
        if not self._offers_due:
            self._offers_due = time.monotonic() + LINGER
        self.box.offer(row)
        self._wake.set()

    def answered(self, frame: Settle) -> Sequence[Item]:
        """The peer's answer to a batch; returns what was in it, () if it is one that is not in flight."""
        now = time.monotonic()
        flown = self.box.flight(frame.lane, frame.number)
        carried = (frame.lane, frame.number) not in self._failed
        torn = self.box.answered(frame.lane, frame.number, frame.rest, frame.answers, now, carried=carried)
        self._failed.discard((frame.lane, frame.number))
        self._unanswered.answered(frame.lane, frame.number, now)
        took = now - self._said_at.pop((frame.lane, frame.number), now)
        self._metrics.settled(self._region, frame, len(flown), took)
        if torn:
            self._recheck([item.path for item in torn])
        self._wake.set()
        return flown

    def check_answered(self, now: float) -> None:
        """Raises Retryable: the peer lives, and has not answered a batch, or was not sent it, for longer than any work
        on it takes."""
        late = self._unanswered.late(now)
        if late is None:
            return
        what = f"batch {late.number} of the lane {late.lane.name.lower()}"
        if late.is_said:
            raise Retryable(f"{self._region} lives and has not answered {what} for {late.seconds:.0f} s")
        raise Retryable(f"{what} for {self._region} could not be made ready in {late.seconds:.0f} s: look at the disk")

    def stop(self) -> None:
        """Nothing more goes."""
        self._stopped = True

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                await self._wake.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                self._wake.clear()
                looked = await self._send_all()
                self._end_of_offers()
                self._wake_when_due(looked)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _send_all(self) -> float:
        """Returns when it looked last, in monotonic seconds."""
        now, sent = time.monotonic(), True
        while sent and not self._stopped:
            now = time.monotonic()
            sent = self._send_one(now)
            await asyncio.sleep(0)
        return now

    def _send_one(self, now: float) -> bool:
        sent = self._send_offers(now)
        plan = order.next_alone(self.box, now, self._alone)
        if plan is not None:
            self._alone.add(plan.lane)
            self._spawn(self._send_alone(plan))
            sent = True
        return self._send_small(now) or sent

    def _send_offers(self, now: float) -> bool:
        if now < self._offers_due or self.box.in_flight(Lane.OFFER) >= OFFER_WINDOW:
            return False
        plan = offering.next_offer(self.box, self._me.resolver, OFFER_ENTRIES)
        if plan is None:
            self._offers_due = 0.0
            return False
        self._say(self._batch(plan, "", [self._entry(p) for p in plan.planned]))
        return True

    def _send_small(self, now: float) -> bool:
        box = self.box
        if not box.live:
            return False
        content = order.next_content(box, now)
        in_flight = box.in_flight(Lane.SMALL)
        may_be_enclosed = content is not None and self._may_enclose(content)
        # rsync carries what it can at once; a frame is for what would wait for one
        encloses = may_be_enclosed and (in_flight > 0 or not self._delivery.at_rest())
        if in_flight >= (enclosed.WINDOW if encloses else SMALL_WINDOW):
            return False
        if content is not None and (self._full if encloses else not self._delivery.ready()):
            return False
        limits = enclosed.LIMITS if encloses else (BATCH_ENTRIES, BATCH_BYTES, None)
        plan = order.next_small(box, self._me.resolver, now, *limits)
        if plan is None:
            return False
        self._me.index.look_ahead([p.item.path for p in plan.planned])
        staged = [p.item for p in plan.planned if p.item.stage]
        if encloses and all(map(self._may_enclose, staged)):
            self._send_enclosed(plan, staged)
            return True
        names = [item.path for item in staged]
        carrier = self._delivery.take() if names else None
        entries = [self._entry(p) for p in plan.planned]
        if carrier is not None:
            # the names first: rsync's way is the longer one
            self._spawn(self._carried(plan, carrier.send(names)))
            self._delivery.sending(names, sum(item.size for item in staged))
        self._say(self._batch(plan, carrier.batch if carrier is not None else "", entries))
        return True

    # -- what waits for no rsync

    def _may_enclose(self, item: Item) -> bool:
        return self.encloses and self._delivery.encloses and item.size <= enclosed.MOST

    def _send_enclosed(self, plan: Plan, staged: list[Item]) -> None:
        entries: list[Entry] = []
        for planned in plan.planned:
            entry, item = self._entry(planned), planned.item
            if item.stage:
                content = self._delivery.enclosed(item.path, item.size)
                entry = Entry(entry.path, entry.version, entry.how, leans=entry.leans, content=content)
            entries.append(entry)
        self._delivery.sending([item.path for item in staged], sum(item.size for item in staged))
        self._full = True
        self._say(self._batch(plan, "", entries))
        self._spawn(self._drain())

    async def _drain(self) -> None:
        """More of them goes when these have mostly left: what is said later, and is short, is not to wait for long."""
        await self._drained()
        self._full = False
        self._wake.set()

    # -- what travels alone

    async def _send_alone(self, plan: Plan) -> None:
        """A large file, or bytes that come from a private copy."""
        self._unanswered.begun(plan, time.monotonic())
        try:
            await self._send_load(plan)
        finally:
            self._alone.discard(plan.lane)
            self._wake.set()

    async def _send_load(self, plan: Plan) -> None:
        planned = plan.planned[0]
        item = planned.item
        load = await self._delivery.load(item, plan.lane)
        if load is None:
            self._nothing_to_send(plan, item)
            return
        how = How.LOSER if item.want else How.STAGED
        # the path itself is the file's name in the batch, unless it lies elsewhere here
        name = load.name if load.name != item.path else b""
        entry = Entry(item.path, load.version, how, name, load.hash if item.want else b"", planned.leans)
        sending = load.carrier.send([load.name])
        self._delivery.sending([item.path], item.size)
        self._say(self._batch(plan, load.carrier.batch, [entry]))
        try:
            await self._carried(plan, sending)
        finally:
            self._delivery.done(load)

    def _nothing_to_send(self, plan: Plan, item: Item) -> None:
        """What was wanted is not here, or what was to be copied does not rest: an empty batch takes the number."""
        row = self._me.index.get(item.path)
        listed = row is not None and any(head.hash == item.want for head in versions.losers(row.version))
        if item.want and self._me.found_done:  # until then it may turn out to be what was found here
            self._say(self._nowhere.gone(item.path, item.want))
        torn = self.box.not_here(plan, listed, time.monotonic())
        self._say(self._batch(plan, "", []))
        self._recheck([one.path for one in torn])

    # -- frames

    async def _carried(self, plan: Plan, sending: Awaitable[int]) -> None:
        self._unanswered.carried(plan, time.monotonic(), ended=False)
        status = await sending
        self._unanswered.carried(plan, time.monotonic(), ended=True)
        failed = verdict(status, delta=False) not in (Verdict.SENT, Verdict.LOOK)
        if failed and self.box.flight(plan.lane, plan.number):
            self._failed.add((plan.lane, plan.number))
        self._say(Sent(plan.lane, plan.number, status))

    def _batch(self, plan: Plan, batch_id: str, entries: list[Entry]) -> Batch:
        self._metrics.batch_sent(self._region, plan.lane, len(entries))
        now = self._said_at[plan.lane, plan.number] = time.monotonic()
        self._unanswered.said(plan, now)
        return Batch(plan.lane, plan.number, batch_id, self.box.cursor, tuple(entries))

    def _entry(self, planned: Planned) -> Entry:
        item, row = planned.item, self._me.index.get(planned.item.path)
        assert row is not None, "what is to be sent has a row"
        if item.stage:
            return Entry(item.path, row.version, How.STAGED, leans=planned.leans)
        if item.came_from is not None:
            return Entry(item.path, row.version, How.FROM, item.came_from, leans=planned.leans)
        return Entry(item.path, row.version, leans=planned.leans)

    def _end_of_offers(self) -> None:
        if not self._said_end and self.box.all_offered and not self._me.index.new_index:
            self._said_end = True
            self._say(OffersEnd(self.box.cursor))

    def _wake_when_due(self, looked: float) -> None:
        # what was due at the last look and could not go waits for an answer, or a spare, which wake this too
        due = [at for at in (self.box.next_due(looked), self._offers_due) if at and at > looked]
        if due:
            wait = max(0.001, min(due) - time.monotonic())
            asyncio.get_running_loop().call_later(wait, self._wake.set)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a batch could not be sent", peer=self._region, error=repr(task.exception()))
            self._cut()
