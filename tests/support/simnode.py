"""One simulated node: a web root in memory with its local writers, rows, and the real engine over both.

What survives a kill is the disk, the rows of committed transactions, the intents and the peers' cursors; `start` makes
everything else anew, as a new process would.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from sidecar.core import ageing, found, move, observe, paths
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat, Version
from sidecar.core.found import Left
from sidecar.core.frames import Frame, Hello, Renamed
from sidecar.core.intent import Intent
from sidecar.core.links import Resolver
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import InUse, Surprise, Unreachable
from sidecar.engine import forgotten, turn
from sidecar.engine.absorb import Absorber
from sidecar.engine.ageing import Ageing
from sidecar.engine.directories import Directories
from sidecar.engine.guard import Guard
from sidecar.engine.identity import Identity
from sidecar.engine.judging import Judge
from sidecar.engine.land import Lander
from sidecar.engine.moving import Moving
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.offers import Finding
from sidecar.engine.recover import Recovery
from sidecar.engine.reject import forget_missing
from sidecar.engine.replica import Changed, Dots, Replica
from sidecar.engine.status import HoldKind
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from tests.support.memory_disk import MADE, Contents, Crash, MemoryDisk, digest_of, excluded
from tests.support.memory_index import MemoryIndex
from tests.support.simholds import Limits, Notes, SimHolds
from tests.support.simwriters import HALF, Facts, Writers

if TYPE_CHECKING:
    from tests.support.simlink import Link

MOVED_AT_ONCE: Final = 2
"""Rows of a renamed directory that are written in one go."""
EPOCH_NS: Final = 1_764_000_000_000_000_000
MODES: Final = (0o644, 0o600)


def _finished(work: Coroutine[Any, Any, object]) -> None:
    """Run what awaits nothing but its turn."""
    with suppress(StopIteration):
        while True:
            work.send(None)


class Full(Exception):
    """The rows of a slice could not be committed: the volume of the index is full."""


class Wrong(AssertionError):
    """Something that must always hold does not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """A local write as it was committed: the version before and after it."""

    path: RelPath
    before: Version
    after: Version
    found: bool = False
    """was it what the first scan of a new index met?"""
    at_ns: int = 0
    """when, in true time"""

    @property
    def dots(self) -> set[Dot]:
        """What it wrote."""
        return {head.dot for head in self.after.heads} - {head.dot for head in self.before.heads}

    def superseded(self, dot: Dot) -> bool:
        """Had this write seen that one, and does not show it any more?"""
        return versions.covers(self.after, dot) and all(head.dot != dot for head in self.after.heads)


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume as a snapshot has it: content, index, and what was intended."""

    contents: Contents
    index: MemoryIndex
    intents: dict[RelPath, Intent]


class SimNode(Writers):
    """A node called `name`.

    Args:
        peers: the names of the others.
        now_ns: true time; `skew_ns`: how far this node's clock is off.
        grain_ns: file times are multiples of it.
        draw: gives random numbers of runs and epochs.
        everybodys: what local writers put where, of all nodes.
        limits: what is held.
        told: called with every changed row and the region that sent it, "" for none.
        renewed: called when all links are to begin anew; `asks`: when the peers are to offer everything anew.
    """

    def __init__(
        self,
        name: str,
        peers: Iterable[str],
        now_ns: Callable[[], int],
        skew_ns: int,
        grain_ns: int,
        draw: Callable[[], int],
        everybodys: Facts,
        limits: Limits,
        told: Callable[["SimNode", Changed, str], None],
        renewed: Callable[["SimNode"], None],
        asks: Callable[["SimNode"], None],
    ) -> None:
        self.name = name
        self._peers = list(peers)
        self._now_ns = now_ns
        self._skew_ns = skew_ns
        self._grain_ns = grain_ns
        self._draw = draw
        self._told = told
        self._renewed = renewed
        self._asks = asks
        self._limits = limits
        self._notes = Notes()
        self.links: list[Link] = []
        """those to the others"""
        self.keeps = (0.0, 0.0)
        """after how many seconds tombstones are old, and nodes are forgotten; 0: never"""
        super().__init__(MemoryDisk(self.now_ns, grain_ns), everybodys)
        self.store = MemoryIndex(draw)
        self.intents: dict[RelPath, Intent] = {}
        self.in_order = False
        """are changes absorbed in the order that a visitor of a peer needs?"""
        self.written: list[Written] = []
        self.granted: Counter[str] = Counter()
        """how many deletions and replacements of each peer went on unasked"""
        self.halves = False
        """did a snapshot catch a file half written? Then that is what was written there"""
        self.full = False
        """will the index be full when the next slice is committed?"""
        self.unfinished = False
        self._pending: list[Written] = []
        self._source = ""
        self.start()

    # -- the volume

    def volume(self) -> Volume:
        """A snapshot of it, as it is now."""
        return Volume(self.disk.contents_now(), self.store.copy(), dict(self.intents))

    def restore(self, volume: Volume) -> None:
        """The volume is what it was at a snapshot; call `start` after it."""
        self._put_back(volume.contents)
        self.store, self.intents = volume.index.copy(), dict(volume.intents)

    def lose_power(self, torn: Mapping[RelPath, bytes | None]) -> None:
        """The machine stopped without notice: these files hold other bytes now, with the size and times that they had,
        or are missing; call `start` after it."""
        self.store.power_lost = True
        self.disk.open = set()
        self.halves = self.halves or HALF in self.disk.contents()
        for path, content in torn.items():
            inode = self.disk.files.pop(path)
            if content is not None:
                self.disk.files[path] = dataclasses.replace(inode, content=content)

    def lose_index(self, contents: Contents | None = None) -> None:
        """The index is gone, and with `contents` that is what lies beside it now; call `start` after it."""
        if contents is not None:
            self._put_back(contents)
        self.store, self.intents = MemoryIndex(self._draw), {}
        self.disk.forget_kept()

    def _put_back(self, contents: Contents) -> None:
        self.disk.put_back(contents)
        self.destroyed -= self.disk.contents()
        self.halves = self.halves or HALF in self.disk.contents()

    # -- the process

    def start(self) -> None:
        """A new run: nothing is remembered but what is stored; finish what a kill interrupted, then the first scan."""
        self.store.start(self._draw(), self.now_us())
        self.replica = Replica(self.store, self.disk, Dots(self.store.run, self.now_us), self._tell, self._racy_ns)
        self.holds = SimHolds(
            self.store,
            self._notes,
            self._limits,
            self._peers,
            lambda: self._now_ns() / 1e9,
            self.disk.trash_bytes,
            self._released,
        )
        self.absorber = Absorber(self.replica, self.holds.withheld)
        self._given: set[RelPath] = set()
        self.resolver = Resolver(self._link_at)
        index = cast(Index, self.store)
        self.me = Identity(self.name, self.name, "", "", index, self.resolver, self.now_us)
        self.me.renewed = lambda: self._renewed(self)
        self.offers = Finding(self.name, self._peers)
        self.nowhere = Nowhere(self.replica, self.name, tuple(self._peers), lambda: self._now_ns() / 1e9)
        self.dirty, self.moved = {}, []
        self.moving = Moving(
            self.replica,
            self.store,
            Judge(self.replica, disturbed=lambda old, new: False, size=MOVED_AT_ONCE),
            commits=self.transaction,
            allowed=lambda: self.me.found_done and not self.holds.active and not self.unfinished,
            tellers=self._tellers,
            look_again=lambda paths: self.dirty.update(dict.fromkeys(paths)),
            size=MOVED_AT_ONCE,
        )
        self._announcing: Coroutine[Any, Any, bool] | None = None
        for link in self.links:
            link.agreements.clear()
        keep, forget = self.keeps
        self._ageing = Ageing(
            index,
            self.links,
            self._peers,
            keep=keep,
            forget=forget,
            now_us=self.now_us,
            monotonic=lambda: self._now_ns() / 1e9,
        )
        self.recover()
        self._doubt()
        self.scan()
        if self.store.finding:
            self._find()
            self.store.ask_anew()
        self.me.found_done = not self.store.finding

    @property
    def _racy_ns(self) -> int:
        return observe.RACY_NS if self._grain_ns > 1 else 0

    def now_ns(self) -> int:
        return self._now_ns() + self._skew_ns

    def set_clock(self, ahead_s: float) -> None:
        """It goes so much ahead from now on, or back."""
        self._skew_ns += round(ahead_s * 1e9)

    def now_us(self) -> int:
        return self.now_ns() // 1000

    def lander(self, region: str, unmade: set[RelPath] | None = None) -> Lander:
        """What lands the entries of one batch of `region`; `unmade`: what the batches of one connection share."""
        return Lander(
            self.replica,
            self.absorber,
            self.resolver,
            excluded,
            Guard(self.replica, partial(self._guard, region), partial(self.holds.rejects, region), self._given),
            Directories(self.replica, self.absorber, unmade if unmade is not None else set()),
            links_outside=True,
            last=self.offers.last(region),
            waits=self.offers.wait,
            complete_since=lambda: self.store.complete_since_us,
        )

    # -- ageing

    def is_stale(self, region: str, rows: Iterable[tuple[RelPath, int]]) -> None:
        """As `engine.forgotten`: a peer lacks these rows, and may have deleted them."""
        with self.transaction():
            count = sum(forgotten.mark(self.replica, path, seq) for path, seq in rows)
        if count:
            self.holds.forgotten(region, count)

    def decide_forgotten(self, *, trash: bool) -> None:
        """As `engine.forgotten`: a person wants it deleted everywhere, or sent as new."""
        self.mend()
        there = sorted((row.path for row in self.store.flagged(Flag.FORGOTTEN)), key=paths.depth, reverse=trash)
        for path in there:
            self.look_first([path])
            with self.transaction():
                if not trash:
                    forgotten.renew(self.replica, self.absorber, path)
                for entry in forgotten.deletions(self.replica, [path]) if trash else ():
                    self._note(path, None)
                    forgotten.asked(self.lander("")).land(entry, None, {})
        self.holds.look_again()

    def share_complete_since(self, us: int) -> None:
        """As `engine.node`."""
        contacts = (peer.contact_us for peer in self.store.peers())
        self.store.set_complete_since(min(us, ageing.before_us(self.now_us(), round(self.keeps[0] * 1e6), contacts)))

    def age(self) -> None:
        """A round of it, if tombstones age at all."""
        if self.keeps[0]:
            _finished(self._ageing.round())

    def reject(self, kind: HoldKind) -> None:
        """As `engine.commands`: what the peers did is not done here, what a scan missed comes back."""
        if kind is not HoldKind.SCAN:
            self.holds.reject(kind)
            return
        gone = self.holds.gone()
        assert gone is not None, "the first scan is over when a node has started"
        _finished(forget_missing(cast(Index, self.store), self.replica, gone))
        self.holds.brought_back()
        self._renewed(self)

    def _guard(self, region: str, size: int, held: bool) -> str:
        why = self.holds.change(region, size, held)
        self.granted[region] += not why
        return why

    def _released(self, kind: HoldKind) -> None:
        """As `engine.node`: what a hold held back is looked at, or asked for, anew."""
        if kind is HoldKind.SCAN:
            self.scan()
            return
        self._ask_anew()

    def _link_at(self, path: RelPath) -> bytes | None:
        row = self.store.get(path)
        best = versions.winner(row.version) if row is not None else None
        return best.target if best is not None and best.kind is Kind.SYMLINK else None

    def _tell(self, changed: Changed) -> None:
        before = self.store.before
        was_found = bool(before.flags & Flag.FOUND)
        was_forgotten = bool(before.flags & Flag.FORGOTTEN)
        is_ours = (was_found or was_forgotten) and any(
            h.dot.run == self.replica.dots.run for h in changed.row.version.heads
        )
        if changed.local or is_ours:
            self._pending.append(
                Written(changed.row.path, before.version, changed.row.version, was_found, self._now_ns())
            )
            self._must_be_ours(changed.row, self._pending[-1], anybodys=was_found or was_forgotten)
        self._told(self, changed, self._source)

    def _must_be_ours(self, row: Row, written: Written, *, anybodys: bool) -> None:
        """No echo: what a version of ours says was written here, by a local writer; what was found, is sent as new, or
        wins because what a peer did was rejected, by anybody's."""
        rejected = any(hold.rejected for hold in self.holds.active.values())
        facts = self.everybodys if anybodys or rejected else self.facts
        for head in row.version.heads:
            if head.dot not in written.dots or head.dot.run != self.replica.dots.run or head.kind is Kind.DIR:
                continue
            if head.hash == digest_of(HALF) and not self.halves:
                raise Wrong(f"{self.name} made a version of {row.path!r} while it was being written")
            if fact_of(head) not in facts.get(row.path, set()):
                raise Wrong(f"{self.name} made a version of {row.path!r} that nobody wrote there: {head}")

    @contextmanager
    def transaction(self, source: str = "") -> Iterator[None]:
        """Rows, and what the index lists of kept bytes: all or nothing."""
        rows, kept = self.store.snapshot(), self.disk.kept_rows.copy()
        self._source = source
        try:
            yield
            self.disk.burn_out()
            self._fill_up(source)
        except (Crash, Full):
            self.store.restore(rows)
            self.disk.kept_rows = kept
            self._pending.clear()
            raise
        finally:
            self._source = ""
        self.written += self._pending
        self._pending.clear()

    def _fill_up(self, source: str) -> None:
        if self.full and source:
            self.full, self.unfinished = False, True
            raise Full

    def absorb(self, picked: Iterable[RelPath]) -> None:
        """Look at these paths now; those that are being written come back. Not while a rename is being settled."""
        if self._renaming():
            return
        self.mend()
        picked, gone = list(picked), self._gone_before()
        for path in picked:
            self.dirty.pop(path, None)
        with self.transaction():
            troubles = self.absorber.absorb(picked, gone=gone)
        self.dirty.update(dict.fromkeys(path for path, trouble in troubles.items() if isinstance(trouble, InUse)))

    def _renaming(self) -> bool:
        """Go a step on with directories that were renamed, as `engine.watching` does before it looks at anything."""
        while self.moved and self._announcing is None and not self.unfinished and self.moving.settling is None:
            old, new = self.moved.pop(0)
            links = (path in self.disk.files and self.disk.files[path].kind is Kind.SYMLINK for path in self.dirty)
            if not any(links):
                self._announcing = self.moving.announce(old, new)
                while self._announce() and self.moving.settling is None:
                    pass
        return self._announcing is not None and self._announce()

    def _announce(self) -> bool:
        """A step of it; False: it is over."""
        assert self._announcing is not None, "it was begun"
        try:
            self._announcing.send(None)
        except StopIteration:
            self._announcing = None
        except BaseException:
            self._announcing = None
            raise
        return self._announcing is not None

    def _tellers(self, old: RelPath, new: RelPath) -> list[Callable[[Frame], None]]:
        tellers = (link.sender.teller(old, new) for link in self.links if link.sender is not None)
        return [partial(self._promised, say) for say in tellers if say is not None]

    def _promised(self, say: Callable[[Frame], None], frame: Frame) -> None:
        """What a peer hears has taken place: its rows follow."""
        say(frame)
        assert isinstance(frame, Renamed)
        under_way = self.moving.settling
        assert under_way is not None
        for step in under_way.steps:
            path = step.row.path if step.leaves else move.under(step.row.path, frame.old, frame.new)
            before = self.replica.row(path)
            after = move.written(step, before, under_way.move)
            assert after is not None, "its dot is new"
            self.written.append(Written(path, before.version, after.version, at_ns=self._now_ns()))

    def renamed(self, region: str, frame: Renamed) -> None:
        """A directory was renamed at a peer."""
        self.mend()
        before = self.disk.renamed
        try:
            _finished(self.moving.take(region, frame, self.lander(region).refused))
        finally:
            if self.disk.renamed > before:
                self._went_along(frame.old, frame.new)

    def _went_along(self, old: RelPath, new: RelPath) -> None:
        """What a local writer did beneath `old` before the rename: what he made an event names by its new path, to all
        else the look leads that follows the rename."""
        for path in [path for path in self.dirty if paths.beneath(path, old)]:
            now = move.under(path, old, new)
            self._note(now, self._fact(now))
            if self.replica.row(now).stat is None:
                self.dirty[now] = None

    def _gone_before(self) -> frozenset[RelPath]:
        """As `engine.watching`: visitors of peers follow symlinks in histories of deploys alone."""
        there = self.disk.files
        links = [path for path in self.dirty if path in there and there[path].kind is Kind.SYMLINK]
        gone = (path for path in self.dirty if path not in there)
        return turn.left_before(gone, links if self.in_order else ())

    def look_first(self, picked: Iterable[RelPath]) -> set[RelPath]:
        """Local changes of what is about to be landed on are committed before the intents: these are made from rows."""
        looked = set[RelPath]()
        with self.transaction():
            for path in picked:
                with suppress(InUse, Surprise, Unreachable):
                    self.absorber.refresh(path)
                    looked.add(path)
        return looked

    def absorb_in_order(self, limit: int) -> None:
        """Symlinks after all else that is there, deletions after these; `limit` paths at most before those."""
        while self._renaming():
            pass
        there = {path: self.disk.files[path].kind for path in self.dirty if path in self.disk.files}
        marked = [path for path, kind in there.items() if kind is not Kind.SYMLINK]
        self.absorb(marked[:limit])
        if limit >= len(marked):
            self.absorb([path for path, kind in there.items() if kind is Kind.SYMLINK])
            self.absorb([path for path in self.dirty if path not in there])

    def scan(self) -> None:
        """Mark whatever differs from its row, as a scan of the whole root does: directories, files, symlinks, gone; of
        a directory that is gone, it alone."""
        turns = (Kind.DIR, Kind.FILE, Kind.SYMLINK)
        for path, inode in sorted(self.disk.files.items(), key=lambda item: turns.index(item[1].kind)):
            change = observe.compare(self.store.get(path), inode.stat())
            if change is not observe.Change.NONE and not excluded(path, False):
                self.dirty[path] = None
        rows = [row for row in self.store.rows() if row.stat is not None]
        gone = [r.path for r in rows if r.path not in self.disk.files and self.disk.is_dir(paths.parent(r.path))]
        count = sum(r.path in gone or any(paths.beneath(r.path, path) for path in gone) for r in rows)
        if not self.holds.scan(gone, count):
            self.dirty.update(dict.fromkeys(gone))

    def _doubt(self) -> None:
        """As `engine.finds`: after a power loss the bytes of what was changed last are compared."""
        if not self.store.power_lost:
            return
        newest = max((row.stat.ctime_ns for row in self.store.rows() if row.stat is not None), default=0)
        for row in self.store.rows():
            if found.doubted(row, newest):
                flags = row.flags | Flag.RACY
                self.store.put_stat(Row(row.path, row.version, row.stat, row.hash, row.seq, flags))

    def _find(self) -> None:
        """What the scan of a new index met, in its order: found, not written."""
        picked, self.dirty = list(self.dirty), {}
        self.absorber.finding, self.absorber.power_lost = True, self.store.power_lost
        with self.transaction():
            self.dirty = dict.fromkeys(self.absorber.absorb(picked))
        self.absorber.finding = self.absorber.power_lost = False

    def met(self, hello: Hello) -> None:
        """A peer said hello."""
        self.offers.new[hello.region] = hello.new_index

    def offers_end(self, region: str) -> None:
        """A peer has offered everything."""
        self.offers.offered.add(region)
        self.holds.offered(region)

    def date_found(self) -> bool:
        """When every peer has answered, what nobody knew is written, symlinks last; False: it is not the time."""
        if self.me.found_done or (self.offers.waits_for() and self.store.flagged(Flag.FOUND, 1)):
            return False
        if self._leave():
            self.offers.offered.clear()
            self._ask_anew()
            return True
        for symlinks in (False, True):
            with self.transaction():
                for row in self.store.found(1000, symlinks=symlinks):
                    self.replica.commit(found.dated(row, self.replica.dots.run, self.now_us()), local=False)
        if self.store.flagged(Flag.FOUND, 1):
            return False  # held
        if self.offers.put_off:
            self.offers.put_off = False
            self._ask_anew()
        self.store.found_done()
        self.me.found_done = True
        return True

    def _leave(self) -> bool:
        """As `engine.finds`: what has a version that no peer could settle; True: they are to be asked once more."""
        bereft = False
        with self.transaction():
            for row in [r for r in self.store.flagged(Flag.FOUND) if r.version.heads and not r.flags & Flag.HELD]:
                what = found.left(row)
                bereft = bereft or what is not Left.WRITE
                match what:
                    case Left.WRITE:
                        after = found.rewritten(row, self.replica.dots.on(row.version))
                        self.replica.commit(after, local=False)
                    case Left.FORGET:
                        self.store.put(found.forgotten(row))
                    case Left.REMOVE:
                        self.store.remove(row.path)
                        self.store.set_incomplete()
        return bereft

    def _ask_anew(self) -> None:
        self.store.ask_anew()
        self._asks(self)

    def mark_racy(self) -> None:
        """Look again at what changed within one tick of the clock."""
        self.dirty.update(dict.fromkeys(row.path for row in self.store.rows() if row.flags & Flag.RACY))

    def recover(self) -> None:
        """At a start: finish what a kill interrupted, clean the inbox."""
        self.disk.fuse = self.disk.race = None
        self._finish()
        self.moving.recover()
        for inode in self.disk.inbox.values():
            self.disk.free(inode)
        self.disk.inbox.clear()

    def mend(self) -> None:
        """Finish what a transaction left that failed after its renames, of which there are events."""
        while self._announcing is not None and self._announce():
            pass
        _finished(self.moving.settle())
        if self.unfinished:
            self.dirty.update(dict.fromkeys(self.intents))
            self._finish()

    def _finish(self) -> None:
        """As `engine.recover`: rows by its own rules, bytes by the same rules over this disk."""
        self.unfinished = False
        intents = [self.intents[path] for path in sorted(self.intents)]
        losing = {head.hash for intent in intents for head in versions.losers(intent.version)}
        with self.transaction():
            if intents:
                self._list_trash(losing)
            self._keep_what_came_out(intents, losing)
            recovery = Recovery(self.replica, cast(WebRoot, None), cast(Index, None), lambda: ROOT, self.now_us)
            for intent in intents:
                for head in versions.losers(intent.version):
                    if head.kind is Kind.FILE and head.hash in self.disk.conflicts:
                        self.disk.kept_rows.conflicts.add((intent.path, head.hash))
                recovery._applied(intent)
        self.intents.clear()

    def _owner_of(self, stat: Stat) -> Row | None:
        for row in self.store.by_inode(stat.ino):
            old, now = row.stat, self.disk.files.get(row.path)
            if old is None or (old.kind, old.btime_ns) != (stat.kind, stat.btime_ns):
                continue
            if now is None or now.ino != stat.ino:
                return row
        return None

    def _keep_what_came_out(self, intents: list[Intent], losing: set[bytes]) -> None:
        """What lies in the inbox and is not what was staged, or made, for an intent came out of the root."""
        disk = self.disk
        staged = {intent.staged: intent.ino for intent in intents if intent.ino}
        made = {head.hash for intent in intents for head in intent.version.heads}
        for name, inode in sorted(disk.inbox.items()):
            row = self._owner_of(inode.stat())
            another = staged.get(name[0].encode() + b"/" + name[1], inode.ino) != inode.ino
            edited = name[0] == MADE and inode.kind is Kind.FILE and digest_of(inode.content) not in made
            if row is None and not another and not edited:
                continue
            del disk.inbox[name]
            digest = digest_of(inode.content) if inode.kind is Kind.FILE else b""
            path = row.path if row is not None else ROOT
            if digest in losing and digest:
                disk.conflicts[digest] = inode
                disk.kept_rows.conflicts.add((path, digest))
                continue
            number = disk._next_name()
            disk.trash[number] = {ROOT: inode}
            disk.kept_rows.trash[number] = (path, digest)

    def _list_trash(self, losing: set[bytes]) -> None:
        disk = self.disk
        for number in [number for number in disk.trash if number not in disk.kept_rows.trash]:
            inode = disk.trash[number][ROOT]
            row = self._owner_of(inode.stat())
            if row is None:
                continue
            if inode.kind is Kind.FILE and row.hash in losing:
                disk.conflicts[row.hash] = disk.trash.pop(number)[ROOT]
                disk.kept_rows.conflicts.add((row.path, row.hash))
            else:
                disk.kept_rows.trash[number] = (row.path, row.hash)


def fact_of(head: Head) -> tuple[object, ...] | None:
    """A head as `memory_disk.fact` tells what lies there."""
    match head.kind:
        case Kind.TOMBSTONE:
            return None
        case Kind.SYMLINK:
            return (Kind.SYMLINK, head.target, head.mtime_ns)
        case _:
            return (head.kind, head.hash.rstrip(b"\0"), head.mode, head.mtime_ns)


def has_bytes(node: SimNode, path: RelPath, digest: bytes) -> bool:
    """Are the bytes of a losing head physically where nothing ages out?"""
    inode = node.disk.conflicts.get(digest)
    return inode is not None and digest_of(inode.content) == digest and node.disk.kept(digest)
