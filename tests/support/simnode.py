"""One simulated node: a web root in memory with its local writers, rows, and the real engine over both.

What survives a kill is the disk, the rows of committed transactions, the intents and the peers' cursors; `start` makes
everything else anew, as a new process would.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

from sidecar.core import observe, paths
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat, Version
from sidecar.core.intent import Intent
from sidecar.core.links import Resolver
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import InUse, Surprise
from sidecar.engine.absorb import Absorber
from sidecar.engine.land import Lander
from sidecar.engine.recover import Recovery
from sidecar.engine.replica import Changed, Dots, Replica
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from tests.support.memory_disk import MADE, Crash, Inode, MemoryDisk, digest_of, excluded, fact
from tests.support.memory_store import MemoryStore

EPOCH_NS: Final = 1_764_000_000_000_000_000
HALF: Final = b"half"
"""what a file holds that a local writer has begun to write"""
MODES: Final = (0o644, 0o600)


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

    @property
    def dots(self) -> set[Dot]:
        """What it wrote."""
        return {head.dot for head in self.after.heads} - {head.dot for head in self.before.heads}

    def superseded(self, dot: Dot) -> bool:
        """Had this write seen that one, and does not show it any more?"""
        return versions.covers(self.after, dot) and all(head.dot != dot for head in self.after.heads)


class SimStore(MemoryStore):
    """Tells what a row was before it was put."""

    def __init__(self) -> None:
        super().__init__()
        self.before = Version()

    def put(self, row: Row) -> Row:
        old = self.get(row.path)
        self.before = old.version if old is not None else Version()
        return super().put(row)

    def snapshot(self) -> tuple[dict[RelPath, Row], int]:
        return dict(self._rows), self._seq

    def restore(self, taken: tuple[dict[RelPath, Row], int]) -> None:
        self._rows, self._seq = taken

    def rows(self) -> list[Row]:
        return list(self._rows.values())


class SimNode:
    """A node called `name`.

    Args:
        now_ns: true time; `skew_ns`: how far this node's clock is off.
        grain_ns: file times are multiples of it.
        told: called with every changed row and the region that sent it, "" for none.
    """

    def __init__(
        self,
        name: str,
        now_ns: Callable[[], int],
        skew_ns: int,
        grain_ns: int,
        runs: Callable[[], int],
        told: Callable[["SimNode", Changed, str], None],
    ) -> None:
        self.name = name
        self._now_ns = now_ns
        self._skew_ns = skew_ns
        self._grain_ns = grain_ns
        self._runs = runs
        self._told = told
        self.disk = MemoryDisk(self.now_ns, grain_ns)
        self.store = SimStore()
        self.intents: dict[RelPath, Intent] = {}
        self.cursors: dict[str, int] = {}
        """what we settled of each peer, as it said"""
        self.dirty: dict[RelPath, None] = {}
        self.in_order = False
        """are changes absorbed in the order that a visitor of a peer needs?"""
        self.written: list[Written] = []
        self.facts: dict[RelPath, set[tuple[object, ...] | None]] = {}
        """by path, all that local writers put there (None: they took it away)"""
        self.finished: set[bytes] = set()
        """contents that local writers wrote in full"""
        self.destroyed: set[bytes] = set()
        """contents that a local writer overwrote or deleted"""
        self.full = False
        """will the index be full when the next slice is committed?"""
        self.unfinished = False
        self._pending: list[Written] = []
        self._source = ""
        self.start()

    # -- the process

    def start(self) -> None:
        """A new run: nothing is remembered but what is stored."""
        self.replica = Replica(self.store, self.disk, Dots(self._runs(), self.now_us), self._tell, self._racy_ns)
        self.absorber = Absorber(self.replica)
        self.resolver = Resolver(self._link_at)
        self.dirty = {}

    @property
    def _racy_ns(self) -> int:
        return observe.RACY_NS if self._grain_ns > 1 else 0

    def now_ns(self) -> int:
        return self._now_ns() + self._skew_ns

    def now_us(self) -> int:
        return self.now_ns() // 1000

    def lander(self) -> Lander:
        """What lands the entries of one batch."""
        return Lander(self.replica, self.absorber, self.resolver, excluded, links_outside=True)

    def _link_at(self, path: RelPath) -> bytes | None:
        row = self.store.get(path)
        best = versions.winner(row.version) if row is not None else None
        return best.target if best is not None and best.kind is Kind.SYMLINK else None

    def _tell(self, changed: Changed) -> None:
        if changed.local:
            self._pending.append(Written(changed.row.path, self.store.before, changed.row.version))
            self._must_be_ours(changed.row, self._pending[-1].dots)
        self._told(self, changed, self._source)

    def _must_be_ours(self, row: Row, dots: set[Dot]) -> None:
        """No echo: what a version of ours says was written here, by a local writer."""
        for head in row.version.heads:
            if head.dot not in dots or head.dot.run != self.replica.dots.run or head.kind is Kind.DIR:
                continue
            if head.hash == digest_of(HALF):
                raise Wrong(f"{self.name} made a version of {row.path!r} while it was being written")
            if fact_of(head) not in self.facts.get(row.path, set()):
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
        """Look at these paths now; those that are being written come back."""
        self.mend()
        picked = list(picked)
        for path in picked:
            self.dirty.pop(path, None)
        with self.transaction():
            troubles = self.absorber.absorb(picked)
        self.dirty.update(dict.fromkeys(troubles))

    def look_first(self, picked: Iterable[RelPath]) -> None:
        """Local changes of what is about to be landed on are committed before the intents: these are made from rows."""
        with self.transaction():
            for path in picked:
                with suppress(InUse, Surprise):
                    self.absorber.refresh(path)

    def absorb_in_order(self, limit: int) -> None:
        """Symlinks after all else that is there, deletions after these; `limit` paths at most before those."""
        there = {path: self.disk.files[path].kind for path in self.dirty if path in self.disk.files}
        marked = [path for path, kind in there.items() if kind is not Kind.SYMLINK]
        self.absorb(marked[:limit])
        if limit >= len(marked):
            self.absorb([path for path, kind in there.items() if kind is Kind.SYMLINK])
            self.absorb([path for path in self.dirty if path not in there])

    def scan(self) -> None:
        """Mark whatever differs from its row, as a scan of the whole root does: directories, files, symlinks, gone."""
        turns = (Kind.DIR, Kind.FILE, Kind.SYMLINK)
        for path, inode in sorted(self.disk.files.items(), key=lambda item: turns.index(item[1].kind)):
            change = observe.compare(self.store.get(path), inode.stat())
            if change is not observe.Change.NONE and not excluded(path, False):
                self.dirty[path] = None
        for row in self.store.rows():
            if row.stat is not None and row.path not in self.disk.files:
                self.dirty[row.path] = None

    def mark_racy(self) -> None:
        """Look again at what changed within one tick of the clock."""
        self.dirty.update(dict.fromkeys(row.path for row in self.store.rows() if row.flags & Flag.RACY))

    def recover(self) -> None:
        """At a start: finish what a kill interrupted, clean the inbox."""
        self.disk.fuse = self.disk.race = None
        self._finish()
        for inode in self.disk.inbox.values():
            self.disk.free(inode)
        self.disk.inbox.clear()

    def mend(self) -> None:
        """Finish what a transaction left that failed after its renames."""
        if self.unfinished:
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

    # -- local writers: each returns nothing and marks what an event would name

    def _touched(self, *marked: RelPath) -> None:
        for path in marked:
            self.facts.setdefault(path, set()).add(self._fact(path))
            if not excluded(path, False):
                self.dirty[path] = None

    def _fact(self, path: RelPath) -> tuple[object, ...] | None:
        inode = self.disk.files.get(path)
        return fact(inode) if inode is not None else None

    def _destroy(self, inode: Inode) -> None:
        if inode.kind is Kind.FILE:
            self.destroyed.add(inode.content)

    def _make_way(self, path: RelPath) -> bool:
        """What mkdir -p makes of what is above; False if something else is in the way."""
        for above in paths.ancestors(path):
            if above not in self.disk.files:
                self.mkdir(above)
            if not self.disk.is_dir(above):
                return False
        return True

    def write(self, path: RelPath, content: bytes, *, in_place: bool, keep_mtime: bool) -> None:
        """Create or overwrite, in place or by a new file renamed over it; `keep_mtime`: as the old file's."""
        if not self._make_way(path):
            return
        old = self.disk.files.get(path)
        if old is not None and old.kind is Kind.DIR:
            self.delete(path)
            old = None
        now = self.disk.time_ns()
        self.finished.add(content)
        if old is not None and old.kind is Kind.FILE and in_place:
            self.destroyed.add(old.content)
            mtime = old.mtime_ns if keep_mtime else now
            self.disk.files[path] = dataclasses.replace(old, content=content, mtime_ns=mtime, ctime_ns=now)
        else:
            new = self.disk.make(Kind.FILE, content)
            if old is not None:
                self._destroy(old)
                self.disk.free(old)
                if keep_mtime:
                    new = dataclasses.replace(new, mtime_ns=old.mtime_ns)
            self.disk.files[path] = new
        self._touched(path)

    def begin(self, path: RelPath) -> None:
        """Open a file and write half of it."""
        old = self.disk.files.get(path)
        if old is None or old.kind is not Kind.FILE or old.ino in self.disk.open:
            return
        self.disk.open.add(old.ino)
        self.destroyed.add(old.content)
        now = self.disk.time_ns()
        self.disk.files[path] = dataclasses.replace(old, content=HALF, mtime_ns=now, ctime_ns=now)
        self._touched(path)

    def finish(self, content: bytes) -> None:
        """Write the other half of whatever is open, and close it."""
        for path, inode in list(self.disk.files.items()):
            if inode.ino in self.disk.open:
                now = self.disk.time_ns()
                self.finished.add(content)
                self.destroyed.add(inode.content)
                self.disk.files[path] = dataclasses.replace(inode, content=content, mtime_ns=now, ctime_ns=now)
                self.disk.open.discard(inode.ino)
                self._touched(path)
                return

    def delete(self, path: RelPath) -> None:
        """As rm -rf does."""
        for inside in reversed(self.disk.subtree(path)):
            inode = self.disk.files.pop(inside)
            self._destroy(inode)
            self.disk.free(inode)
            self._touched(inside)

    def rename(self, old: RelPath, new: RelPath) -> None:
        """As mv: events name both, and what is beneath the new path is listed when they are read."""
        if old not in self.disk.files or paths.beneath(new, old) or old == new or not self._make_way(new):
            return
        there = self.disk.files.get(new)
        if there is not None:
            if there.kind is Kind.DIR or self.disk.files[old].kind is Kind.DIR:
                return
            self._destroy(there)
            self.disk.free(there)
        left = self.disk.subtree(old)
        tree = self.disk.lift(old)
        tree[ROOT] = dataclasses.replace(tree[ROOT], ctime_ns=self.disk.time_ns())
        self.disk.files.pop(new, None)
        self.disk.drop(new, tree)
        for path in left:
            self.facts.setdefault(path, set()).add(None)
        self._touched(old, *self.disk.subtree(new))

    def mkdir(self, path: RelPath) -> None:
        """A directory, in the place of a file if one is there."""
        if not self._make_way(path) or self.disk.is_dir(path):
            return
        if path in self.disk.files:
            self.delete(path)
        self.disk.files[path] = self.disk.make(Kind.DIR, mode=0o755)
        self._touched(path)

    def chmod(self, path: RelPath, mode: int) -> None:
        inode = self.disk.files.get(path)
        if inode is None or inode.kind is Kind.SYMLINK:
            return
        self.disk.files[path] = dataclasses.replace(inode, mode=mode, ctime_ns=self.disk.time_ns())
        self._touched(path)

    def touch(self, path: RelPath, mtime_ns: int) -> None:
        inode = self.disk.files.get(path)
        if inode is None or inode.kind is not Kind.FILE:
            return
        self.disk.files[path] = dataclasses.replace(inode, mtime_ns=mtime_ns, ctime_ns=self.disk.time_ns())
        self._touched(path)

    def symlink(self, path: RelPath, target: bytes) -> None:
        """As ln -sfn, by a rename."""
        if not self._make_way(path):
            return
        if path in self.disk.files:
            self.delete(path)
        self.disk.files[path] = self.disk.make(Kind.SYMLINK, target=target, mode=0o777)
        self._touched(path)

    def copy(self, old: RelPath, new: RelPath) -> None:
        """As cp -p does."""
        inode = self.disk.files.get(old)
        there = self.disk.files.get(new)
        if inode is None or inode.kind is not Kind.FILE or there is not None or inode.ino in self.disk.open:
            return
        if self._make_way(new):
            made = self.disk.make(Kind.FILE, inode.content, inode.mode)
            self.disk.files[new] = dataclasses.replace(made, mtime_ns=inode.mtime_ns)
            self._touched(new)


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
