"""What one peer still needs: everything unsettled at it during one connection, and the answers that settle it."""

import heapq
from collections.abc import Iterable
from typing import Final

from sidecar.core import move, paths
from sidecar.core import version as versions
from sidecar.core.entry import Kind, Row
from sidecar.core.frames import SETTLED, Answer, Lane, Outcome
from sidecar.core.graves import Graves
from sidecar.core.item import Item, Plan, Planned, keep_together
from sidecar.core.paths import RelPath
from sidecar.core.retry import put_off
from sidecar.core.rounds import ROUND_OF, Round, Rounds
from sidecar.core.shrink import shrink

FEW: Final = 1000
"""Of more unsettled paths nobody asks whether a rename has to do with one: a millisecond."""
NOT_HERE: Final = "not here yet"
"""why something that was to go is asked for again later"""


class Outbox:
    """Everything unsettled at one peer during one connection; which batch may go next say `core.order` and
    `core.offering`.

    Args:
        cursor: the seq up to which the peer says it settled everything.
        large: files of at least this many bytes go in the large lane.
    """

    def __init__(self, cursor: int, large: int) -> None:
        self._large = large
        self._base = cursor
        self._top = cursor
        self._flights: dict[tuple[Lane, int], tuple[Item, ...]] = {}
        self._numbers = dict.fromkeys(Lane, 1)
        self._oldest: list[tuple[int, RelPath]] = []
        self.loaded = False
        """is everything above the cursor of hello in here? Before that nothing goes: the order is not known yet"""
        self.seqs: dict[RelPath, int] = {}
        """every unsettled path, with the seq of its row"""
        self.live: dict[RelPath, Item] = {}
        """what waits to be sent, in the order in which it was made"""
        self.rounds = Rounds()
        """what waits to be offered, and what was"""
        self.ahead: dict[RelPath, tuple[int, Kind]] = {}
        """what is in flight in the small lane: the highest number that holds it, and what it is there"""
        self.large_ahead: set[RelPath] = set()
        """what is in flight in the large lane"""
        self.graves = Graves()
        """the unsettled paths that are deletions"""
        self._symlinks: set[RelPath] = set()

    # -- what comes in

    def change(self, row: Row, came_from: RelPath | None = None, content: bool = True) -> None:
        """A write of this node: it goes live. `content`: the bytes of a file changed too, not only mode or mtime."""
        before = self._take_pending(row.path)
        item = self._item(row)
        item.came_from = came_from
        item.stage = item.kind is Kind.FILE and came_from is None and (content or (before is not None and before.stage))
        self.live[row.path] = item
        self._note(row)
        self._keep_round(item)

    def offer(self, row: Row) -> None:
        """A row that the peer may know: it is told the version and asks for what it lacks."""
        if row.path in self.live:
            self.change(row)
            # the peer lacks it: who waits for what is offered waits for it too
            self.rounds.mark(row.path, self._turn_of(self.live[row.path]))
            return
        self._take_pending(row.path)
        item = self._item(row)
        self.rounds.put(item, self._turn_of(item))
        self._note(row)

    def known(self, row: Row) -> None:
        """The peer itself sent this version: nothing is to be done for it, unless it may lack a losing head's bytes."""
        if versions.losers(row.version):
            self.offer(row)
            return
        self._take_pending(row.path)
        self._top = max(self._top, row.seq)
        self._done(row.path)

    def offers_loaded(self, top: int) -> None:
        """Everything above the cursor of hello, up to seq `top`, has been given to `offer`."""
        self.loaded = True
        self._top = max(self._top, top)

    def promote(self, path: RelPath) -> Item | None:
        """Send a waiting offer live, because something that goes now needs it; None if it does not wait. A file goes
        without its content: the peer, which may have it, asks for what it lacks."""
        item = self.rounds.take(path)
        if item is not None:
            self.live[path] = item
            self._keep_round(item)
        return item

    def over_graves(self, item: Item) -> bool:
        """May the peer have a directory there, of which deletions beneath are unsettled? It would live on for what is
        still in it: they go with the item, before it."""
        return item.kind not in (Kind.DIR, Kind.TOMBSTONE) and self.graves.were_in(item.path)

    def replacing(self, dead: RelPath) -> Item | None:
        """What is about to take the place of a directory above a deletion: symlinks wait for that, not for what was
        beneath it."""
        for above in paths.ancestors(dead):
            item = self.live.get(above)
            if item is not None and item.kind not in (Kind.DIR, Kind.TOMBSTONE):
                return item
        return None

    def _item(self, row: Row) -> Item:
        best = versions.winner(row.version)
        assert best is not None, "a row without a version is never sent"
        return Item(row.path, row.seq, best.kind, best.size, best.target)

    def _note(self, row: Row) -> None:
        self._top = max(self._top, row.seq)
        self.seqs[row.path] = row.seq
        self.graves.discard(row.path)
        self._symlinks.discard(row.path)
        best = versions.winner(row.version)
        if best is not None and best.kind is Kind.TOMBSTONE:
            self._bury(row.path)
        elif best is not None and best.kind is Kind.SYMLINK:
            self._symlinks.add(row.path)
        heapq.heappush(self._oldest, (row.seq, row.path))

    def _take_pending(self, path: RelPath) -> Item | None:
        offered = self.rounds.take(path)
        return self.live.pop(path, None) or offered

    def _bury(self, path: RelPath) -> None:
        self.graves.add(path)
        for above in paths.ancestors(path):
            if above in self.live:
                self._keep_round(self.live[above])
                continue
            item = self.rounds.get(above)
            if item is not None and self.over_graves(item):
                self.rounds.defer(item)

    def _done(self, path: RelPath) -> None:
        was_unsettled = self.seqs.pop(path, None) is not None
        self.graves.discard(path)
        self._symlinks.discard(path)
        self.rounds.unmark(path)
        if was_unsettled and not self.seqs:
            self._shrink()

    def _shrink(self) -> None:
        shrink(self.seqs, self.live, self.ahead, self.large_ahead, self._symlinks)
        self.rounds.shrink()
        self.graves.shrink()

    def _turn_of(self, item: Item) -> Round:
        return Round.TOMBSTONES if self.over_graves(item) else ROUND_OF[item.kind]

    def _keep_round(self, item: Item) -> None:
        """What was offered counts in the round of what it is now: a file that was deleted since holds up no symlink. In
        none counts a directory that stays while somebody has a file in it open."""
        if item.path not in self.rounds:
            return
        if item.kind is Kind.TOMBSTONE and self.graves.holds_busy(item.path):
            self.rounds.unmark(item.path)
        else:
            self.rounds.mark(item.path, self._turn_of(item))

    # -- what can be said of it

    @property
    def cursor(self) -> int:
        """The seq up to which everything is settled at the peer."""
        if not self.loaded:
            return self._base
        while self._oldest and self.seqs.get(self._oldest[0][1]) != self._oldest[0][0]:
            heapq.heappop(self._oldest)
        return self._oldest[0][0] - 1 if self._oldest else self._top

    @property
    def all_offered(self) -> bool:
        """Has everything that was offered been settled?"""
        return self.loaded and self.rounds.settled

    @property
    def idle(self) -> bool:
        """Is everything settled?"""
        return self.loaded and not self.seqs

    def awaits_symlinks(self) -> bool:
        """Is a symlink unsettled that the peer could take? Deletions are not offered before it is there, but for one
        that takes the place of a directory, with its dead."""
        links = (path for path in self._symlinks if self.rounds.of(path) is not Round.TOMBSTONES)
        return any(path not in self.live or not self.live[path].busy for path in links)

    def rests(self, old: RelPath, new: RelPath) -> bool:
        """May the peer hear ahead of all else that a directory was renamed? All that it has to do with is settled, and
        so is every symlink: one may have led there until a moment before."""
        few = self.loaded and not self._symlinks and len(self.seqs) <= FEW
        return few and not any(move.concerns(path, old, new) for path in self.seqs)

    def in_flight(self, lane: Lane) -> int:
        """How many batches of `lane` are unanswered."""
        return sum(1 for flown, _ in self._flights if flown is lane)

    def flight(self, lane: Lane, number: int) -> tuple[Item, ...]:
        """What is in flight under this number, in the order of its entries; () for one that was answered."""
        return self._flights.get((lane, number), ())

    def flown_offers(self) -> list[tuple[int, Item]]:
        """What is offered and in flight, as it is now, each with the number of its batch."""
        flown = [(number, items) for (lane, number), items in self._flights.items() if lane is Lane.OFFER]
        return [(number, item) for number, items in flown for item in items if self.seqs.get(item.path) == item.seq]

    def next_number(self, lane: Lane) -> int:
        """The number that the next batch of `lane` gets."""
        return self._numbers[lane]

    def next_due(self, after: float = 0.0) -> float | None:
        """When the earliest item may go that was put off until later than `after` (monotonic seconds), if one was."""
        return min((item.not_before for item in self.live.values() if item.not_before > after), default=None)

    def is_large(self, item: Item) -> bool:
        """Does its content go in the large lane?"""
        return item.kind is Kind.FILE and item.stage and item.size >= self._large

    def going_alone(self) -> list[Item]:
        """What goes live by itself: large files, and what is `alone`. Asked before each batch, of each that waits."""
        large = self._large
        return [
            item
            for item in self.live.values()
            if (item.size >= large and self.is_large(item))
            or ((item.want or item.tries or item.failures) and item.alone)
        ]

    # -- sending and its answers

    def launch(self, lane: Lane, planned: Iterable[Planned]) -> Plan:
        """What is `planned` goes: it gets the next number of its lane and is in flight until it is answered."""
        number = self._numbers[lane]
        self._numbers[lane] = number + 1
        plan = Plan(lane, number, tuple(planned))
        self._flights[lane, number] = tuple(p.item for p in plan.planned)
        for entry in plan.planned:
            path = entry.item.path
            if lane is Lane.OFFER:
                self._take_pending(path)
                continue
            self.live.pop(path, None)
            if lane is Lane.SMALL:
                self.ahead[path] = (number, entry.item.kind)
            else:
                self.large_ahead.add(path)
        return plan

    def answered(
        self, lane: Lane, number: int, rest: Outcome, answers: Iterable[Answer], now: float, *, carried: bool = True
    ) -> list[Item]:
        """The peer's answers to a batch; an answer to something that is not in flight is ignored. `carried`: its rsync
        has seen to every file of it, so what came torn was being written.

        Returns the items that came back torn: they must be looked at again here.
        """
        named = {answer.index: answer for answer in answers}
        torn: list[Item] = []
        for index, item in enumerate(self._flights.pop((lane, number), ())):
            answer = named.get(index, Answer(index, rest))
            self._landed(lane, number, item)
            if item.path in self.live or self.seqs.get(item.path, item.seq) != item.seq:
                continue  # a newer version is under way
            if answer.outcome in SETTLED:
                self._done(item.path)
            elif (item.path in self.seqs or item.want or answer.hash) and self._again(item, answer, now, carried):
                # even if the peer has sent us this version meanwhile: it lacks the bytes of a losing head
                torn.append(item)
        if not carried:
            keep_together(torn)
        return torn

    def gone(self, path: RelPath) -> None:
        """The peer was told that the bytes it wanted are gone: the path is settled without them."""
        if self.live.pop(path, None) is not None:
            self._done(path)

    def not_here(self, plan: Plan, listed: bool, now: float) -> list[Item]:
        """What was to go alone cannot be sent: the bytes that the peer wants are gone (`listed`: the row still lists
        their head, so they are on their way to us), or a copy could not be made. Returns what is to be looked at."""
        item = plan.planned[0].item
        outcome = Outcome.TORN
        if item.want:
            outcome = Outcome.BUSY if listed else Outcome.KNOWN
        return self.answered(plan.lane, plan.number, outcome, (Answer(0, outcome, hint=NOT_HERE),), now)

    def _landed(self, lane: Lane, number: int, item: Item) -> None:
        if lane is Lane.LARGE:
            self.large_ahead.discard(item.path)
        elif lane is Lane.SMALL and self.ahead.get(item.path, (0,))[0] == number:
            del self.ahead[item.path]

    def _again(self, item: Item, answer: Answer, now: float, carried: bool) -> bool:
        """It goes once more; did what came arrive torn?"""
        is_torn = put_off(item, answer, now, carried=carried)
        self.graves.set_busy(item.path, busy=item.busy)
        if item.busy:
            self.rounds.unmark(item.path)  # nothing waits for it: neither a round, nor who waits for all offers
        self.live[item.path] = item
        if item.path not in self.seqs:
            self.seqs[item.path] = item.seq
            heapq.heappush(self._oldest, (item.seq, item.path))
        self._keep_round(item)
        return is_torn

    def unsettled_above(self, path: RelPath) -> list[RelPath]:
        """The directories above `path` that the peer may lack."""
        return [above for above in paths.ancestors(path) if above in self.seqs]
