"""One simulated link: the decisions of `engine.sending` and `engine.receiving`, a step at a time, over a channel that
delays, reorders and doubles frames, and an rsync that tears what it carries.
"""

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Final

from sidecar.core import offering, order
from sidecar.core import version as versions
from sidecar.core.ageing import Agreement, NodeName
from sidecar.core.compare import Comparing
from sidecar.core.entry import Kind, Version
from sidecar.core.frames import (
    Batch,
    Compare,
    Compared,
    Entry,
    Frame,
    Hello,
    How,
    Lane,
    OffersEnd,
    Outcome,
    Ping,
    Sent,
    Settle,
    decode,
    encode,
)
from sidecar.core.item import Item, Plan, Planned
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.comparing import Way
from sidecar.engine.heartbeat import HEARTBEAT
from sidecar.engine.outbound import sendable
from sidecar.engine.replica import Changed
from sidecar.errors import Retryable
from tests.support.memory_disk import digest_of
from tests.support.simchannel import Channel
from tests.support.simcompare import INTERVAL, Comparer
from tests.support.siminbound import Receiver
from tests.support.simnode import Full, SimNode

LARGE: Final = 12
"""Bytes from which a file goes in the large lane."""
WINDOW: Final = 3
ENTRIES: Final = 4
PAGE: Final = 3
LINGER: Final = 1.0
NO_SPACE: Final = 11
"""How rsync ends when a file does not fit at the receiver."""
ENDS: Final = -1.0
"""The fault of a file at which rsync fails: it brings neither that nor what comes after it."""
FAILED: Final = 12
"""How rsync ends then."""


@dataclasses.dataclass(slots=True)
class Carrying:
    """An rsync under way: (file of the sender, its bytes if they come from elsewhere, name in the batch)."""

    lane: Lane
    number: int
    batch: str
    files: list[tuple[RelPath, bytes | None, bytes]]
    status: int = 0


class Sender:
    """`engine.outbound.Outbound` and its `Sending`, without their loops."""

    def __init__(
        self,
        node: SimNode,
        peer: str,
        cursor: int,
        seconds: Callable[[], float],
        batch_name: str,
        comparing: Comparing,
        other_way: Callable[[], Way | None],
        since_us: int = 0,
        agreed: Callable[[Agreement, int], None] = lambda agreement, since_us: None,
    ) -> None:
        self._node = node
        self._said_at = -HEARTBEAT
        self._peer = peer
        self._seconds = seconds
        self._batch_name = batch_name
        self._batches = 0
        self._at = cursor
        self._top = node.store.max_seq()
        self._loaded = False
        self._offers_due = 0.0
        self._pumped = 0
        self._said_end = False
        self._said = -1
        self._alone: dict[Lane, Plan] = {}
        self.box = Outbox(cursor, LARGE)
        self.out = Channel()
        self.carrying: list[Carrying] = []
        self._failed: set[tuple[Lane, int]] = set()
        self.content_sent = 0
        self.way = Way(box=self.box)
        self._other_way = other_way
        self._comparer = Comparer(node, self.box, comparing, self.ways, seconds, self.out.say, since_us, agreed)

    def ways(self) -> list[Way]:
        """Both directions between the two nodes, or the one that there is."""
        other = self._other_way()
        return [self.way, other] if other is not None else [self.way]

    def changed(self, changed: Changed, source: str) -> None:
        """A row changed at the node."""
        if changed.local:
            self.box.change(changed.row, changed.came_from, changed.content)
        elif source == self._peer and changed.heard == changed.row.version:
            self.box.known(changed.row)
        else:
            if not self._offers_due:
                self._offers_due = self._seconds() + LINGER
            self.box.offer(changed.row)

    def teller(self, old: RelPath, new: RelPath) -> Callable[[Frame], None] | None:
        """As `engine.outbound`."""
        return self.out.say if self.box.rests(old, new) else None

    def pump(self) -> bool:
        """One thing that can be done now; False: nothing. Rows are read in between, as there, not before."""
        self._pumped += 1
        steps = [self._load, self._send_load, self._send_alone, self._send_offers, self._send_small]
        return any(step() for step in (steps if self._pumped % 2 else reversed(steps)))

    def beat(self) -> None:
        """Say the cursor if it moved, and the end of the offers, when nothing else is on its way."""
        if len(self.out):
            return
        if not self._said_end and self.box.all_offered and not self._node.store.new_index:
            self._said_end = True
            self.out.say(OffersEnd(self.box.cursor))
        if self.box.cursor != self._said or self._seconds() - self._said_at >= HEARTBEAT:
            self._said, self._said_at = self.box.cursor, self._seconds()
            self.out.say(Ping(self._node.store.max_seq(), self._said, self._node.now_us()))
        self._comparer.beat()

    def _load(self) -> bool:
        if self._loaded:
            return False
        rows = self._node.store.since(self._at, PAGE) if self._at < self._top else []
        for row in rows:
            if row.seq <= self._top and sendable(row):
                self.box.offer(row)
        if rows:
            self._at = rows[-1].seq
        if not rows or self._at >= self._top:
            self._loaded = True
            self.box.offers_loaded(self._top)
        return True

    def _send_alone(self) -> bool:
        plan = order.next_alone(self.box, self._seconds(), self._alone)
        if plan is None:
            return False
        self._alone[plan.lane] = plan
        return True

    def _send_load(self) -> bool:
        carried = {(carrying.lane, carrying.number) for carrying in self.carrying}
        waiting = [plan for plan in self._alone.values() if (plan.lane, plan.number) not in carried]
        if not waiting:
            return False
        plan = waiting[0]
        item = plan.planned[0].item
        load = self._loaded_for(item)
        if load is None:
            del self._alone[plan.lane]
            self._nothing_to_send(plan, item)
            return True
        content, version = load
        how = How.LOSER if item.want else How.STAGED
        batch = self._next_batch("alone")
        name = item.path if content is None else RelPath(b"copy")
        self.carrying.append(Carrying(plan.lane, plan.number, batch, [(item.path, content, name)]))
        written = name if name != item.path else b""
        entry = Entry(item.path, version, how, written, item.want, plan.planned[0].leans)
        self._say_batch(plan, batch, [entry])
        return True

    def _nothing_to_send(self, plan: Plan, item: Item) -> None:
        row = self._node.store.get(item.path)
        listed = row is not None and any(head.hash == item.want for head in versions.losers(row.version))
        if item.want and self._node.me.found_done:
            self.out.say(self._node.nowhere.gone(item.path, item.want))
        torn = self.box.not_here(plan, listed, self._seconds())
        self._say_batch(plan, "", [])
        self._node.dirty.update(dict.fromkeys(one.path for one in torn))

    def _loaded_for(self, item: Item) -> tuple[bytes | None, Version] | None:
        """As `engine.delivery.load`: the bytes (None: the file itself) and the version that they are of."""
        node, row = self._node, self._node.store.get(item.path)
        if item.want:
            stored = node.disk.stored(item.want)
            if row is None or (row.hash != item.want and stored is None):
                return None
            return None if row.hash == item.want else stored, row.version
        if item.private:
            return self._copied(item)
        return (None, row.version) if row is not None and row.version.heads else None

    def _copied(self, item: Item) -> tuple[bytes, Version] | None:
        """A private copy, which is what its writer left a moment ago."""
        node = self._node
        inode = node.disk.files.get(item.path)
        if inode is None or inode.kind is not Kind.FILE or inode.ino in node.disk.open:
            return None
        with node.transaction():
            node.absorber.observed(item.path, inode.stat(), digest_of(inode.content))
        row = node.store.get(item.path)
        best = versions.winner(row.version) if row is not None else None
        if row is None or best is None or best.hash != digest_of(inode.content):
            return None
        return inode.content, row.version

    def _send_offers(self) -> bool:
        if self._seconds() < self._offers_due or self.box.in_flight(Lane.OFFER) >= WINDOW:
            return False
        plan = offering.next_offer(self.box, self._node.resolver, ENTRIES)
        if plan is None:
            self._offers_due = 0.0
            return False
        self._say_batch(plan, "", [self._entry(p) for p in plan.planned])
        return True

    def _send_small(self) -> bool:
        if not self.box.live or self.box.in_flight(Lane.SMALL) >= WINDOW:
            return False
        plan = order.next_small(self.box, self._node.resolver, self._seconds(), ENTRIES, 100)
        if plan is None:
            return False
        names = [p.item.path for p in plan.planned if p.item.stage]
        batch = self._next_batch("small") if names else ""
        if names:
            files: list[tuple[RelPath, bytes | None, bytes]] = [(path, None, path) for path in names]
            self.carrying.append(Carrying(plan.lane, plan.number, batch, files))
        self._say_batch(plan, batch, [self._entry(p) for p in plan.planned])
        return True

    def _next_batch(self, kind: str) -> str:
        self._batches += 1
        return f"{kind}.{self._batch_name}.{self._batches}"

    def _say_batch(self, plan: Plan, batch: str, entries: list[Entry]) -> None:
        self.out.say(Batch(plan.lane, plan.number, batch, self.box.cursor, tuple(entries)))

    def _entry(self, planned: Planned) -> Entry:
        item, version = planned.item, self._version(planned.item.path)
        if item.stage:
            return Entry(item.path, version, How.STAGED, leans=planned.leans)
        if item.came_from is not None:
            return Entry(item.path, version, How.FROM, item.came_from, leans=planned.leans)
        return Entry(item.path, version, leans=planned.leans)

    def _version(self, path: RelPath) -> Version:
        row = self._node.store.get(path)
        assert row is not None, "what is to be sent has a row"
        return row.version

    def carry(self, receiver: SimNode, fault: float) -> bool:
        """One rsync copies one file, or ends; a `fault` below 1 tears it (0.5), loses it (0) or is `ENDS`."""
        if not self.carrying:
            return False
        rsync = self.carrying[0]
        if not rsync.files:
            del self.carrying[0]
            if self._alone.get(rsync.lane) is not None and self._alone[rsync.lane].number == rsync.number:
                del self._alone[rsync.lane]
            if rsync.status and self.box.flight(rsync.lane, rsync.number):
                self._failed.add((rsync.lane, rsync.number))
            self.out.say(Sent(rsync.lane, rsync.number, rsync.status))
            return True
        path, content, name = rsync.files.pop(0)
        inode = self._node.disk.files.get(path)
        if content is None and inode is not None and inode.kind is Kind.FILE:
            content = inode.content
        if content is not None and not receiver.disk.fits(Kind.FILE, content):
            rsync.status, rsync.files = NO_SPACE, []
        elif fault == ENDS:
            rsync.status, rsync.files = FAILED, []
        elif content is not None and fault > 0:
            self.content_sent += 1
            torn = content[: len(content) // 2] if fault < 1 else content
            receiver.disk.inbox[rsync.batch, name] = receiver.disk.make(Kind.FILE, torn)
        return True

    def settled(self, frame: Frame) -> None:
        """The peer's answers."""
        if isinstance(frame, Compared):
            self._comparer.told(frame)
            return
        assert isinstance(frame, Settle)
        named = {answer.index: answer.outcome for answer in frame.answers}
        stale: list[tuple[RelPath, int]] = []
        for index, item in enumerate(self.box.flight(frame.lane, frame.number)):
            outcome = named.get(index, frame.rest)
            self.way.told(item.path, outcome)
            if outcome is Outcome.STALE:
                stale.append((item.path, item.seq))
        if stale:
            self._node.is_stale(self._peer, stale)
        carried = (frame.lane, frame.number) not in self._failed
        self._failed.discard((frame.lane, frame.number))
        now = self._seconds()
        torn = self.box.answered(frame.lane, frame.number, frame.rest, frame.answers, now, carried=carried)
        self._node.dirty.update(dict.fromkeys(item.path for item in torn))


class Link:
    """The connection from one node to another: up or down."""

    def __init__(self, one: SimNode, other: SimNode, seconds: Callable[[], float]) -> None:
        self.one = one
        self.other = other
        self._seconds = seconds
        self._connections = 0
        self.pings = 0
        """heartbeats and comparisons that came through, which are no work"""
        self.sender: Sender | None = None
        self.receiver: Receiver | None = None
        self.failed: Callable[[], None] = self.cut
        """called when the index of the receiving node was full: what it told its links of is undone"""
        self.dead = False
        """can it not be opened?"""
        self.severed = False
        """is that so for good?"""
        self.comparing = Comparing(0.0, due=0.0)
        self.agreements: dict[NodeName, Agreement | None] = {}
        self.back: Link | None = None
        """the link the other way"""
        self._compared_rows = (0, 0)
        self._compared_since = 0.0
        self.fault = 1.0
        """what happens to the next file that is carried: 1 nothing, 0.5 torn, 0 lost, `ENDS` its rsync fails"""

    def connect(self) -> None:
        """Open it, if it is down: each says who it is, the receiver what it settled."""
        if self.sender is not None or self.dead or self.severed:
            return
        hello = self._heard(self.one.me.hello())
        self.other.met(hello)
        answer = self._heard(self.other.me.hello(hello))
        try:
            self.one.me.check_rollback(answer)
        except Retryable:
            return
        self.one.met(answer)
        self._connections += 1
        cursor = answer.cursor if answer.seen_epoch == self.one.me.epoch else 0
        name = f"{self.one.name}.{self._connections}"
        self.sender = Sender(
            self.one,
            self.other.name,
            cursor,
            self._seconds,
            name,
            self.comparing,
            self._way_back_to_sender,
            answer.complete_since,
            self._agreed,
        )
        self.agreements[self._name] = None
        self.receiver = Receiver(self.other, hello, self._seconds, self._way_back_from_receiver)

    @property
    def _name(self) -> NodeName:
        return NodeName(self.other.name, self.other.name)

    def _agreed(self, agreement: Agreement, since_us: int) -> None:
        self.agreements[self._name] = agreement
        self.one.share_complete_since(since_us)

    def connected(self) -> set[NodeName]:
        """As `engine.ageing.Counterpart`."""
        back = self.back.receiver if self.back is not None else None
        return {self._name} if self.sender is not None or back is not None else set()

    def is_on_its_way(self, path: RelPath) -> bool:
        """As `engine.ageing.Counterpart`."""
        box = self.sender.box if self.sender is not None else None
        return box is not None and (not box.loaded or path in box.seqs)

    def _way_back_to_sender(self) -> Way | None:
        back = self.back.receiver if self.back is not None else None
        return back.way if back is not None else None

    def _way_back_from_receiver(self) -> Way | None:
        back = self.back.sender if self.back is not None else None
        return back.way if back is not None else None

    @staticmethod
    def _heard(said: Hello) -> Hello:
        frame = decode(encode(said))
        assert isinstance(frame, Hello)
        return frame

    def cut(self) -> None:
        """All that is on the way is lost."""
        self.sender = self.receiver = None
        if self._name in self.agreements:
            self.agreements[self._name] = None

    def changed(self, changed: Changed, source: str) -> None:
        if self.sender is not None:
            self.sender.changed(changed, source)

    def step(self, which: int, chance: Random | None) -> bool:
        """One of the things that can happen on a link; False: nothing of this kind can."""
        sender, receiver = self.sender, self.receiver
        if sender is None or receiver is None:
            return False
        match which % 5:
            case 0:
                moved = sender.pump()
            case 1:
                fault, self.fault = self.fault, 1.0
                moved = sender.carry(self.other, fault)
            case 2:
                sender.beat()
                moved = len(sender.out) > 0
                if moved:
                    frame = sender.out.next(chance)
                    self.pings += isinstance(frame, Ping | Compare)
                    self._take(receiver, frame)
            case 3:
                moved = self._work(receiver)
            case _:
                moved = len(receiver.out) > 0
                if moved:
                    frame = receiver.out.next(chance)
                    self.pings += isinstance(frame, Compared)
                    sender.settled(frame)
        return moved

    def _take(self, receiver: Receiver, frame: Frame) -> None:
        try:
            receiver.take(frame)
        except Full:
            self.failed()

    def _work(self, receiver: Receiver) -> bool:
        try:
            return receiver.work()
        except Full:
            self.failed()
            return True

    @property
    def compared(self) -> bool:
        """Has it compared since the last row of either side changed, and without a difference, if it compares?"""
        state = self.comparing
        if not state.interval or self.severed:
            return True
        rows = self.one.store.max_seq(), self.other.store.max_seq()
        if rows != self._compared_rows or state.at is None:
            self._compared_rows, self._compared_since = rows, self._seconds()
        return state.at is not None and state.at > self._compared_since + INTERVAL and not state.buckets

    @property
    def idle(self) -> bool:
        """Is everything settled and nothing on its way?"""
        if self.severed:
            return True
        sender, receiver = self.sender, self.receiver
        if sender is None or receiver is None:
            return False
        return sender.box.idle and not (len(sender.out) or len(receiver.out) or sender.carrying)
