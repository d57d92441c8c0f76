"""The receiving side of a simulated link: decisions of `engine.receiving` and `engine.landing`, a slice at a time."""

import dataclasses
from collections.abc import Callable
from typing import Final

from sidecar.core import replaced
from sidecar.core import version as versions
from sidecar.core.entry import Kind, Row
from sidecar.core.frames import (
    SETTLED,
    Answer,
    Batch,
    Compare,
    Entry,
    Frame,
    Gone,
    Hello,
    How,
    Lane,
    OffersEnd,
    Outcome,
    Ping,
    Renamed,
    Sent,
    Settle,
)
from sidecar.core.intent import Intent
from sidecar.core.lanes import LaneOrder
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine.comparing import Way
from sidecar.engine.land import Lander, goes_at_once
from sidecar.engine.landed import did_not_fit
from sidecar.engine.whole import landed
from sidecar.link.rsync import Verdict, verdict
from tests.support.memory_disk import digest_of
from tests.support.simchannel import Channel
from tests.support.simcompare import answer
from tests.support.simnode import SimNode

SLICE: Final = 2


@dataclasses.dataclass(slots=True)
class _Landing:
    batch: Batch
    staged: dict[bytes, Staged]
    leaving: dict[RelPath, Entry]
    together: dict[int, tuple[int, ...]]
    slices: list[range]
    lander: Lander
    answers: list[Answer]


class Receiver:
    """`engine.inbound` and `engine.receiving` without their loops."""

    def __init__(
        self, node: SimNode, peer: Hello, seconds: Callable[[], float], other_way: Callable[[], Way | None]
    ) -> None:
        self._seconds = seconds
        self._other_way = other_way
        self.way = Way()
        self._node = node
        self._hello = peer
        self._peer = peer.region
        self._remembered = False
        self._orders: dict[Lane, LaneOrder[Batch]] = {lane: LaneOrder() for lane in Lane}
        self._unmade: set[RelPath] = set()
        self._queues: dict[Lane, list[Batch]] = {lane: [] for lane in Lane}
        self._ended: dict[tuple[Lane, int], int] = {}
        self._landing: dict[Lane, _Landing] = {}
        self._cursor = 0
        self.out = Channel()

    def ways(self) -> list[Way]:
        """Both directions between the two nodes, or the one that there is."""
        other = self._other_way()
        return [self.way, other] if other is not None else [self.way]

    def take(self, frame: Frame) -> None:
        """A frame came in: the peer goes on after our hello, so it is what it said."""
        if not self._remembered:
            self._remembered = True
            self._node.me.met(self._hello)
        match frame:
            case Batch():
                self._remember(frame.cursor)
                for _, batch in self._orders[frame.lane].arrived(frame.number, frame):
                    self._queues[frame.lane].append(batch)
            case Renamed():
                self._node.renamed(self._peer, frame)
            case Sent(lane, number, status):
                self._ended[lane, number] = status
            case Gone():
                with self._node.transaction():
                    self._node.nowhere.said(frame)
            case Ping(seq, cursor, _):
                self._node.me.heard_of(self._hello, seq)
                self._remember(cursor)
            case OffersEnd(cursor):
                self._remember(cursor)
                self._node.offers_end(self._peer)
            case Compare():
                self.out.say(answer(self._node, frame, self.ways(), self._seconds()))
            case _:
                pass

    def _remember(self, cursor: int) -> None:
        if cursor > self._cursor:
            self._cursor = cursor
            self._node.me.settled_of(self._hello, cursor)

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
            together = replaced.replaced(batch.entries)
            slices = list(replaced.slices(len(batch.entries), SLICE, together))
            leaving = replaced.moving(tombstones, batch.entries, together)
            self._landing[lane] = _Landing(
                batch, staged, leaving, together, slices, self._node.lander(self._peer, self._unmade), []
            )
        landing = self._landing[lane]
        if landing.slices:
            self._slice(landing, landing.slices.pop(0))
        if not landing.slices:
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

    def _slice(self, landing: _Landing, indexes: range) -> None:
        lane, number, entries = landing.batch.lane, landing.batch.number, landing.batch.entries
        part = entries[indexes.start : indexes.stop]
        node, lane_order = self._node, self._orders[lane]
        if node.in_order:
            node.absorb_in_order(len(node.dirty))  # what landing looks at is not absorbed before what was there earlier
        node.mend()
        ahead = [e.path for e in part if not goes_at_once(node.store.get(e.path) or Row(e.path), e)]
        landing.lander.looked = node.look_first(ahead)
        full = verdict(self._ended.get((lane, number), 0), delta=False) is Verdict.DISK
        left = [RelPath(entry.name) for entry in part if entry.how is How.FROM]
        moved = [landing.leaving[path] for path in left if path in landing.leaving]
        self._intend([*part, *moved], landing.staged)
        with node.transaction(self._peer):
            for index, made in landed(
                landing.lander, entries, indexes, landing.together, lane_order.holds, landing.staged, landing.leaving
            ):
                done = did_not_fit(made, full)
                self.way.told(entries[index].path, done.outcome)
                landing.answers.append(Answer(index, done.outcome, done.want, done.hint))
                if done.outcome not in SETTLED:
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
