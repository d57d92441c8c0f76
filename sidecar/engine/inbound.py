"""One link, seen from the side that receives: batches land in the order of their lanes, answered when durable."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core import paths, replaced
from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import (
    SETTLED,
    Answer,
    Batch,
    Bye,
    Check,
    Compare,
    Entry,
    Frame,
    Gone,
    Hello,
    How,
    Lane,
    Look,
    OffersEnd,
    Outcome,
    Ping,
    Renamed,
    Sent,
    Settle,
    decode,
    encode,
)
from sidecar.core.lanes import LaneOrder
from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, Staged
from sidecar.engine.answering import Answerer
from sidecar.engine.comparing import OtherWay, Way, both
from sidecar.engine.enclosed import encloses, may_bring
from sidecar.engine.heartbeat import SILENCE, check_heard, until_silent
from sidecar.engine.identity import Identity
from sidecar.engine.landed import Landed, did_not_fit
from sidecar.engine.landing import Landing
from sidecar.engine.whole import landed
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.fs.faults import NoSpace, ReadOnly
from sidecar.index.faults import IndexBusy, IndexFull
from sidecar.link.channel import MAX_FRAME, Channel
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
UNWRITTEN: Final = (IndexFull, IndexBusy, DiskFull, NoSpace, ReadOnly)
"""What a note of what a peer says may fail with; it is made with a later frame."""


class Inbound:
    """Receives from one node over one control channel; lives as long as the connection.

    Args:
        region: the region whose key opened the channel.
        landing: where batches land, shared by all links of this node.
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
        self._orders: dict[Lane, LaneOrder[Batch]] = {lane: LaneOrder() for lane in Lane}
        self._unmade: set[RelPath] = set()
        self._queues: dict[Lane, asyncio.Queue[Batch]] = {lane: asyncio.Queue() for lane in Lane}
        self._sent: dict[tuple[Lane, int], asyncio.Future[int]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._staging: set[str] = set()
        self._unanswered: dict[tuple[Lane, int], tuple[int, int]] = {}
        """what each batch counts that was not answered: entries, and bytes"""
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
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._beat())
                group.create_task(self._answerer.run())
                for lane in Lane:
                    group.create_task(self._work(lane))
        finally:
            for task in self._settling:
                task.cancel()
            self._landing.abandon(self._region, self._staging)

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
                self._arrived(frame, size)
            case Renamed():
                self._renamed(frame)
            case Sent():
                self._sent_to_the_end(frame)
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

    def _arrived(self, frame: Batch, size: int) -> None:
        self._check(frame)
        self._remember(frame.cursor)
        if self._orders[frame.lane].has(frame.number):
            return
        if frame.id in self._staging:
            raise ProtocolViolation(f"{self._region} named a batch that is under way: {frame.id!r}")
        if frame.id:
            self._staging.add(frame.id)
            self._expect_large(frame)
        # one without entries takes memory too
        self._unanswered[frame.lane, frame.number] = max(1, len(frame.entries)), size
        entries, sizes = (sum(each) for each in zip(*self._unanswered.values(), strict=True))
        if len(self._staging) > MAX_STAGING or entries > MAX_UNANSWERED or sizes > MAX_UNANSWERED_BYTES:
            raise ProtocolViolation(f"{self._region} sends more than it waits for answers to")
        for number, batch in self._orders[frame.lane].arrived(frame.number, frame):
            self._sent.setdefault((batch.lane, number), asyncio.get_running_loop().create_future())
            self._queues[frame.lane].put_nowait(batch)

    def _expect_large(self, frame: Batch) -> None:
        for entry in frame.entries if frame.lane is Lane.LARGE else ():
            best = versions.winner(entry.version)
            if entry.how is How.STAGED and best is not None and len(frame.entries) == 1:
                self._landing.partials.announced(self._region, frame.id, RelPath(entry.path), best.size)

    def _sent_to_the_end(self, frame: Sent) -> None:
        key = (frame.lane, frame.number)
        if key not in self._sent:
            order = self._orders[frame.lane]
            if order.has(frame.number) and frame.number not in order.waiting:
                return  # it is over
            self._sent[key] = asyncio.get_running_loop().create_future()
        if not self._sent[key].done():
            self._sent[key].set_result(frame.status)

    def _check(self, batch: Batch) -> None:
        for entry in batch.entries:
            paths.checked(entry.path)
            if entry.name:
                paths.checked(entry.name)
        if batch.id and not self._landing.owns(batch.id):
            raise ProtocolViolation(f"{self._region} named a batch that is no batch name: {batch.id[:80]!r}")
        if not all(may_bring(batch.id, entry) for entry in batch.entries):
            raise ProtocolViolation(f"{self._region} announced files and no batch that they come in, or two ways")

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

    # -- landing

    async def _work(self, lane: Lane) -> None:
        while True:
            batch = await self._queues[lane].get()
            ended = self._sent[lane, batch.number]
            if encloses(batch):
                answers, full = await self._land_enclosed(batch)
            else:
                staged = await self._landing.staged(self._region, batch, ended)
                full = ended.done() and verdict(ended.result(), delta=False) is Verdict.DISK
                answers = await self._land(batch, staged, full)
            if full or any(answer.outcome is Outcome.FULL for answer in answers):
                self._landing.partials.make_room()
            task = asyncio.ensure_future(self._settle(batch, answers, ended))
            self._settling.add(task)
            task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # what cannot be made durable is not answered: the peer sends it again over the next connection
            log.error("a batch could not be made durable", peer=self._region, error=str(task.exception()))
            self._channel.close()

    async def _land_enclosed(self, batch: Batch) -> tuple[list[Answer], bool]:
        staged, full = self._landing.enclosed(batch)
        try:
            answers = await self._land(batch, staged, full)
        except BaseException:
            self._landing.drop(staged)
            raise
        for answer in answers:
            if answer.outcome is Outcome.APPLIED:
                staged.pop(batch.entries[answer.index].path, None)
        self._landing.drop(staged)
        return answers, full

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
        self.way.told(path, done.outcome)
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
            self._landing.forget(self._region, batch.id, again=again)
            self._staging.discard(batch.id)
        del self._sent[batch.lane, batch.number]


def _noted(note: Callable[[Hello], None], peer: Hello) -> bool:
    """Note something of a peer; on a full disk that comes with a later frame. Was it?"""
    try:
        note(peer)
    except UNWRITTEN as error:
        log.debug("not noted yet", peer=peer.region, why=str(error))
        return False
    return True


def _is_tombstone(entry: Entry) -> bool:
    best = versions.winner(entry.version)
    return best is not None and best.kind is Kind.TOMBSTONE


def _commonest(answers: list[Answer]) -> Outcome:
    counts: dict[Outcome, int] = {}
    for answer in answers:
        counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
    return max(counts, key=lambda o: counts[o], default=Outcome.KNOWN)
