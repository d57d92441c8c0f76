"""One simulated link: the decisions of `engine.outbound` and `engine.inbound`, a step at a time, over a channel that
delays, reorders and doubles frames, and an rsync that tears what it carries.
"""

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Final

from sidecar.core import order
from sidecar.core import version as versions
from sidecar.core.entry import Kind, Row, Version
from sidecar.core.frames import (
    SETTLED,
    Answer,
    Batch,
    Entry,
    Frame,
    Gone,
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
from sidecar.core.intent import Intent
from sidecar.core.lanes import LaneOrder
from sidecar.core.outbox import Item, Outbox, Plan, Planned
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine.land import Lander
from sidecar.engine.outbound import sendable
from sidecar.engine.replica import Changed
from tests.support.memory_disk import digest_of
from tests.support.simnode import Full, SimNode

LARGE: Final = 12
"""Bytes from which a file goes in the large lane."""
WINDOW: Final = 3
ENTRIES: Final = 4
PAGE: Final = 3
SLICE: Final = 2
LINGER: Final = 1.0


class Channel:
    """Frames on their way, in bytes."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []

    def __len__(self) -> int:
        return len(self._frames)

    def say(self, frame: Frame) -> None:
        self._frames.append(encode(frame))

    def next(self, chance: Random | None) -> Frame:
        """The next frame; by chance a batch or an answer overtakes its like, or comes twice."""
        frames = [decode(raw) for raw in self._frames[:4]] if chance is not None else [decode(self._frames[0])]
        at = 0
        if chance is not None and isinstance(frames[0], Batch | Settle) and chance.random() < 0.3:
            at = chance.choice([i for i, frame in enumerate(frames) if isinstance(frame, type(frames[0]))])
        twice = chance is not None and isinstance(frames[at], Batch | Settle) and chance.random() < 0.1
        if not twice:
            del self._frames[at]
        return frames[at]


@dataclasses.dataclass(slots=True)
class Carrying:
    """An rsync under way: (file of the sender, its bytes if they come from elsewhere, name in the batch)."""

    lane: Lane
    number: int
    batch: str
    files: list[tuple[RelPath, bytes | None, bytes]]


class Sender:
    """`engine.outbound.Outbound` without its loops."""

    def __init__(self, node: SimNode, peer: str, cursor: int, seconds: Callable[[], float], batch_name: str) -> None:
        self._node = node
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
        self.content_sent = 0

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

    def pump(self) -> bool:
        """One thing that can be done now; False: nothing. Rows are read in between, as there, not before."""
        self._pumped += 1
        steps = [self._load, self._send_load, self._send_alone, self._send_offers, self._send_small]
        return any(step() for step in (steps if self._pumped % 2 else reversed(steps)))

    def beat(self) -> None:
        """Say the cursor if it moved, and the end of the offers, when nothing else is on its way."""
        if len(self.out):
            return
        if not self._said_end and self.box.all_offered:
            self._said_end = True
            self.out.say(OffersEnd(self.box.cursor))
        if self.box.cursor != self._said:
            self._said = self.box.cursor
            self.out.say(Ping(self._node.store.max_seq(), self._said, self._node.now_us()))

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
        if item.want and not listed:
            self.out.say(Gone(item.path, item.want))
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
        if inode is None or inode.kind is not Kind.FILE:
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
        plan = order.next_offer(self.box, ENTRIES)
        if plan is None:
            self._offers_due = 0.0
            return False
        self._say_batch(plan, "", [Entry(p.item.path, self._version(p.item.path)) for p in plan.planned])
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
        """One rsync copies one file, or ends; a `fault` below 1 tears it (0.5) or loses it (0)."""
        if not self.carrying:
            return False
        rsync = self.carrying[0]
        if not rsync.files:
            del self.carrying[0]
            if self._alone.get(rsync.lane) is not None and self._alone[rsync.lane].number == rsync.number:
                del self._alone[rsync.lane]
            self.out.say(Sent(rsync.lane, rsync.number, 0))
            return True
        path, content, name = rsync.files.pop(0)
        inode = self._node.disk.files.get(path)
        if content is None and inode is not None and inode.kind is Kind.FILE:
            content = inode.content
        if content is not None and fault > 0:
            self.content_sent += 1
            torn = content[: len(content) // 2] if fault < 1 else content
            receiver.disk.inbox[rsync.batch, name] = receiver.disk.make(Kind.FILE, torn)
        return True

    def settled(self, frame: Frame) -> None:
        """The peer's answers."""
        assert isinstance(frame, Settle)
        torn = self.box.answered(frame.lane, frame.number, frame.rest, frame.answers, self._seconds())
        self._node.dirty.update(dict.fromkeys(item.path for item in torn))


@dataclasses.dataclass(slots=True)
class _Landing:
    batch: Batch
    staged: dict[bytes, Staged]
    tombstones: dict[RelPath, Entry]
    lander: Lander
    answers: list[Answer]


class Receiver:
    """`engine.inbound.Inbound` without its loops."""

    def __init__(self, node: SimNode, peer: str) -> None:
        self._node = node
        self._peer = peer
        self._orders: dict[Lane, LaneOrder[Batch]] = {lane: LaneOrder() for lane in Lane}
        self._queues: dict[Lane, list[Batch]] = {lane: [] for lane in Lane}
        self._ended: set[tuple[Lane, int]] = set()
        self._landing: dict[Lane, _Landing] = {}
        self._cursor = 0
        self.out = Channel()

    def take(self, frame: Frame) -> None:
        """A frame came in."""
        match frame:
            case Batch():
                self._remember(frame.cursor)
                for _, batch in self._orders[frame.lane].arrived(frame.number, frame):
                    self._queues[frame.lane].append(batch)
            case Sent(lane, number, _):
                self._ended.add((lane, number))
            case Ping(_, cursor, _) | OffersEnd(cursor):
                self._remember(cursor)
            case _:
                pass

    def _remember(self, cursor: int) -> None:
        if cursor > self._cursor:
            self._cursor = cursor
            self._node.cursors[self._peer] = cursor

    def work(self) -> bool:
        """Land a slice of one lane's first batch; False: nothing can be landed now."""
        return any(self._work(lane) for lane in Lane)

    def _work(self, lane: Lane) -> bool:
        if lane not in self._landing:
            if not self._queues[lane]:
                return False
            batch = self._queues[lane][0]
            staged = self._staged(batch)
            if staged is None:
                return False
            del self._queues[lane][0]
            holds = self._orders[lane].holds
            tombstones = {e.path: e for e in batch.entries if _is_tombstone(e) and holds(e.leans)}
            self._landing[lane] = _Landing(batch, staged, tombstones, self._node.lander(), [])
        landing = self._landing[lane]
        start = len(landing.answers)
        part = landing.batch.entries[start : start + SLICE]
        self._slice(landing, part, start)
        if len(landing.answers) == len(landing.batch.entries):
            del self._landing[lane]
            self._settle(landing)
        return True

    def _staged(self, batch: Batch) -> dict[bytes, Staged] | None:
        there: dict[bytes, Staged] = {}
        complete = True
        for entry in batch.entries:
            wanted = announced(entry)
            if wanted is None:
                continue
            name = entry.name or entry.path
            inode = self._node.disk.inbox.get((batch.id, name))
            if inode is None or not self.counts(digest_of(inode.content), wanted):
                complete = False
                continue
            there[name] = Staged(batch.id, name, wanted, inode.ino)
        return there if complete or (batch.lane, batch.number) in self._ended else None

    @staticmethod
    def counts(digest: bytes, wanted: bytes) -> bool:
        """A staged file counts when its hash is the announced one."""
        return digest == wanted

    def _slice(self, landing: _Landing, part: tuple[Entry, ...], start: int) -> None:
        lane, number = landing.batch.lane, landing.batch.number
        node, lane_order = self._node, self._orders[lane]
        if node.in_order:
            node.absorb_in_order(len(node.dirty))  # what landing looks at is not absorbed before what was there earlier
        node.mend()
        node.look_first([entry.path for entry in part])
        left = [RelPath(entry.name) for entry in part if entry.how is How.FROM]
        moved = [landing.tombstones[path] for path in left if path in landing.tombstones]
        self._intend([*part, *moved], landing.staged)
        with node.transaction(self._peer):
            for index, entry in enumerate(part, start):
                if lane_order.holds(entry.leans):
                    landed = landing.lander.land(
                        entry, landing.staged.get(entry.name or entry.path), landing.tombstones
                    )
                    answer = Answer(index, landed.outcome, landed.want, landed.hint)
                else:
                    answer = Answer(index, Outcome.AGAIN)
                landing.answers.append(answer)
                if answer.outcome not in SETTLED:
                    lane_order.broke(number)
        for entry in [*part, *moved]:
            node.intents.pop(entry.path, None)

    def _intend(self, entries: list[Entry], staged: dict[bytes, Staged]) -> None:
        """What is about to be renamed, committed before the first rename."""
        self._node.intents.update((entry.path, self._intent(entry, staged)) for entry in entries)

    def _intent(self, entry: Entry, staged: dict[bytes, Staged]) -> Intent:
        row = self._node.store.get(entry.path) or Row(entry.path)
        merged = versions.merge(row.version, entry.version)
        file = staged.get(entry.name or entry.path)
        if file is None:
            return Intent(entry.path, merged)
        return Intent(entry.path, merged, file.ino, f"{file.batch}/".encode() + file.name)

    def _settle(self, landing: _Landing) -> None:
        outcomes = [answer.outcome for answer in landing.answers]
        rest = max(outcomes, key=outcomes.count, default=Outcome.KNOWN)
        named = tuple(a for a in landing.answers if a.outcome is not rest or a.hash or a.hint)
        self.out.say(Settle(landing.batch.lane, landing.batch.number, rest, named))


def announced(entry: Entry) -> bytes | None:
    """The hash of the file that an entry brings."""
    if entry.how is How.LOSER:
        return entry.hash
    best = versions.winner(entry.version)
    return best.hash if entry.how is How.STAGED and best is not None else None


def _is_tombstone(entry: Entry) -> bool:
    best = versions.winner(entry.version)
    return best is not None and best.kind is Kind.TOMBSTONE


class Link:
    """The connection from one node to another: up or down."""

    def __init__(self, one: SimNode, other: SimNode, seconds: Callable[[], float]) -> None:
        self.one = one
        self.other = other
        self._seconds = seconds
        self._connections = 0
        self.sender: Sender | None = None
        self.receiver: Receiver | None = None
        self.failed: Callable[[], None] = self.cut
        """called when the index of the receiving node was full: what it told its links of is undone"""
        self.fault = 1.0
        """what happens to the next file that is carried: 1 nothing, 0.5 torn, 0 lost"""

    def connect(self) -> None:
        """Open it, if it is down: the receiver says what it settled."""
        if self.sender is None:
            self._connections += 1
            cursor = self.other.cursors.get(self.one.name, 0)
            name = f"{self.one.name}.{self._connections}"
            self.sender = Sender(self.one, self.other.name, cursor, self._seconds, name)
            self.receiver = Receiver(self.other, self.one.name)

    def cut(self) -> None:
        """All that is on the way is lost."""
        self.sender = self.receiver = None

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
                    receiver.take(sender.out.next(chance))
            case 3:
                moved = self._work(receiver)
            case _:
                moved = len(receiver.out) > 0
                if moved:
                    sender.settled(receiver.out.next(chance))
        return moved

    def _work(self, receiver: Receiver) -> bool:
        try:
            return receiver.work()
        except Full:
            self.failed()
            return True

    @property
    def idle(self) -> bool:
        """Is everything settled and nothing on its way?"""
        sender, receiver = self.sender, self.receiver
        if sender is None or receiver is None:
            return False
        return sender.box.idle and not (len(sender.out) or len(receiver.out) or sender.carrying)
