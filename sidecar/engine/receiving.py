"""What comes over one connection, from hello on: batch by batch in the order of its lane, answered when durable."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core import paths, replaced
from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import SETTLED, Answer, Batch, Entry, Frame, Lane, Outcome, Sent, Settle
from sidecar.core.lanes import LaneOrder
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine.comparing import Way
from sidecar.engine.enclosed import encloses, may_bring
from sidecar.engine.inbox import Inbox
from sidecar.engine.landed import Landed, did_not_fit
from sidecar.engine.landing import Landing
from sidecar.engine.whole import landed
from sidecar.errors import ProtocolViolation
from sidecar.link.channel import MAX_FRAME
from sidecar.link.rsync import Verdict, verdict
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

MAX_UNANSWERED: Final = 65_536
"""Entries of batches that were not answered: four times what a sender leaves so in all its lanes."""
MAX_UNANSWERED_BYTES: Final = 3 * MAX_FRAME
"""Bytes of their frames: a sender leaves 70 MB so if each of its paths is as long as can be."""
MAX_STAGING: Final = 256
"""Batches whose rsync has not ended: a sender has some ten of them."""
SLICE: Final = 128
"""Entries landed in one go, before others have their turn."""
SLICE_GONE: Final = 256
"""The same of a batch of deletions alone, each of which takes half the time."""


class Receiving:
    """Takes the batches of one peer.

    Args:
        region: the peer's region.
        inbox: where the files of batches arrive.
        landing: where batches land; both are shared by all links of this node.
        way: told what became of each path.
        say: sends a frame.
        cut: called when a batch could not be made durable.
    """

    def __init__(
        self,
        region: str,
        inbox: Inbox,
        landing: Landing,
        metrics: Metrics,
        *,
        way: Way,
        say: Callable[[Frame], None],
        cut: Callable[[], None],
    ) -> None:
        self._region = region
        self._inbox = inbox
        self._landing = landing
        self._metrics = metrics
        self._way = way
        self._say = say
        self._cut = cut
        self._orders: dict[Lane, LaneOrder[Batch]] = {lane: LaneOrder() for lane in Lane}
        self._unmade: set[RelPath] = set()
        self._queues: dict[Lane, asyncio.Queue[Batch]] = {lane: asyncio.Queue() for lane in Lane}
        self._ended: dict[tuple[Lane, int], asyncio.Future[int]] = {}
        """the status of each batch's rsync, done when it has ended"""
        self._settling: set[asyncio.Task[None]] = set()
        self._staging: set[str] = set()
        self._unanswered: dict[tuple[Lane, int], tuple[int, int]] = {}
        """what each batch counts that was not answered: entries, and bytes"""

    async def run(self) -> None:
        """Land what arrives until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in Lane:
                    group.create_task(self._work(lane))
        finally:
            for task in self._settling:
                task.cancel()
            self._inbox.abandon(self._region, self._staging)

    # -- what the peer says

    def arrived(self, batch: Batch, size: int) -> None:
        """A batch came, in a frame of `size` bytes: it lands when its turn in its lane comes.

        Raises:
            ProtocolViolation: no node sends such a one, or so many.
        """
        self._check(batch)
        order = self._orders[batch.lane]
        if order.has(batch.number):
            return
        if batch.id in self._staging:
            raise ProtocolViolation(f"{self._region} named a batch that is under way: {batch.id!r}")
        if batch.id:
            self._staging.add(batch.id)
            self._inbox.expect(self._region, batch)
        # one without entries takes memory too
        self._unanswered[batch.lane, batch.number] = max(1, len(batch.entries)), size
        entries, sizes = (sum(each) for each in zip(*self._unanswered.values(), strict=True))
        if len(self._staging) > MAX_STAGING or entries > MAX_UNANSWERED or sizes > MAX_UNANSWERED_BYTES:
            raise ProtocolViolation(f"{self._region} sends more than it waits for answers to")
        for number, due in order.arrived(batch.number, batch):
            self._ended.setdefault((due.lane, number), asyncio.get_running_loop().create_future())
            self._queues[due.lane].put_nowait(due)

    def sent(self, frame: Sent) -> None:
        """The rsync of a batch has ended."""
        key = (frame.lane, frame.number)
        if key not in self._ended:
            order = self._orders[frame.lane]
            if order.has(frame.number) and frame.number not in order.waiting:
                return  # it is over
            self._ended[key] = asyncio.get_running_loop().create_future()
        if not self._ended[key].done():
            self._ended[key].set_result(frame.status)

    def _check(self, batch: Batch) -> None:
        for entry in batch.entries:
            paths.checked(entry.path)
            if entry.name:
                paths.checked(entry.name)
        if batch.id and not self._inbox.owns(batch.id):
            raise ProtocolViolation(f"{self._region} named a batch that is no batch name: {batch.id[:80]!r}")
        if not all(may_bring(batch.id, entry) for entry in batch.entries):
            raise ProtocolViolation(f"{self._region} announced files and no batch that they come in, or two ways")

    # -- landing

    async def _work(self, lane: Lane) -> None:
        while True:
            await self._next(lane)  # a variable of this loop would keep the last batch in memory until another comes

    async def _next(self, lane: Lane) -> None:
        batch = await self._queues[lane].get()
        ended = self._ended[lane, batch.number]
        if encloses(batch):
            answers, full = await self._land_enclosed(batch)
        else:
            staged = await self._inbox.staged(self._region, batch, ended)
            full = ended.done() and verdict(ended.result(), delta=False) is Verdict.DISK
            answers = await self._land(batch, staged, full)
        if full or any(answer.outcome is Outcome.FULL for answer in answers):
            self._inbox.make_room()
        task = asyncio.ensure_future(self._settle(batch, answers, ended))
        self._settling.add(task)
        task.add_done_callback(self._settled)

    async def _land_enclosed(self, batch: Batch) -> tuple[list[Answer], bool]:
        with self._inbox.enclosed(batch) as (staged, full):
            return await self._land(batch, staged, full), full

    async def _land(self, batch: Batch, staged: dict[bytes, Staged], full: bool) -> list[Answer]:
        if self._landing.joining.waits:
            return self._landing.joining.put_off(self._region, batch)
        order = self._orders[batch.lane]
        answers: list[Answer] = []
        tombstones = {e.path: e for e in batch.entries if _is_tombstone(e) and order.holds(e.leans)}
        together = replaced.replaced(batch.entries)
        leaving = replaced.moving(tombstones, batch.entries, together)
        lander = self._landing.lander(self._region, self._unmade)
        size = SLICE_GONE if len(tombstones) == len(batch.entries) else SLICE
        for indexes in replaced.slices(len(batch.entries), size, together):
            part = batch.entries[indexes.start : indexes.stop]
            if all(map(lander.knows, part)):
                known = Landed(Outcome.KNOWN)
                answers += [self._answer(index, batch.entries[index].path, known, full) for index in indexes]
                await asyncio.sleep(0)
                continue
            # what cannot be written cuts the link: what is in flight leans on it, and all comes again in order
            async with self._landing.copied(part, leaving):
                await self._landing.in_order([entry.path for entry in part])
                with self._landing.slice(self._region, part, staged, leaving) as lander.looked:
                    for index, done in landed(lander, batch.entries, indexes, together, order.holds, staged, leaving):
                        answer = self._answer(index, batch.entries[index].path, done, full)
                        answers.append(answer)
                        if answer.outcome not in SETTLED:
                            order.broke(batch.number)
            if indexes.stop < len(batch.entries):
                await asyncio.sleep(0)
        self._metrics.batch_landed(self._region, batch.lane, answers)
        return answers

    def _answer(self, index: int, path: RelPath, done: Landed, full: bool) -> Answer:
        if done.outcome is Outcome.AGAIN:
            return Answer(index, Outcome.AGAIN)
        done = did_not_fit(done, full)
        self._landing.trouble(path, done.hint)
        self._way.told(path, done.outcome)
        return Answer(index, done.outcome, done.want, done.hint)

    async def _settle(self, batch: Batch, answers: list[Answer], ended: asyncio.Future[int]) -> None:
        await self._landing.durable()
        rest = _commonest(answers)
        named = tuple(a for a in answers if a.outcome is not rest or a.hash or a.hint)
        self._say(Settle(batch.lane, batch.number, rest, named))
        del self._unanswered[batch.lane, batch.number]
        if batch.id:
            await ended
            again = any(answer.outcome not in SETTLED | {Outcome.FULL} for answer in answers)
            self._inbox.forget(self._region, batch.id, again=again)
            self._staging.discard(batch.id)
        del self._ended[batch.lane, batch.number]

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # what cannot be made durable is not answered: the peer sends it again over the next connection
            log.error("a batch could not be made durable", peer=self._region, error=str(task.exception()))
            self._cut()


def _is_tombstone(entry: Entry) -> bool:
    best = versions.winner(entry.version)
    return best is not None and best.kind is Kind.TOMBSTONE


def _commonest(answers: list[Answer]) -> Outcome:
    counts: dict[Outcome, int] = {}
    for answer in answers:
        counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
    return max(counts, key=lambda o: counts[o], default=Outcome.KNOWN)
