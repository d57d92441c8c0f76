"""A web root in memory: `core.ports.Disk` over dicts, with local writers, crashes after any step, and a trash.

Every effect is one step, as the kernel's are: `fuse` counts them down and raises `Crash` after one. What is physical
(files, inbox, conflicts, trash) survives a crash; what the index lists of it is in `Kept` and belongs to a transaction.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import (
    NOTHING,
    Beneath,
    CopyOf,
    DiskFull,
    InUse,
    Itself,
    Keep,
    Missing,
    Moved,
    NotEmpty,
    Out,
    Source,
    Staged,
    Surprise,
)

EXCLUDED: Final = b"~"
"""Names that end so are never replicated."""
MADE: Final = ".made"
ROOM: Final = 1 << 30
"""Bytes that any file is shorter than: the disk is not full."""


class Crash(BaseException):
    """kill -9, after a step."""


@dataclasses.dataclass(frozen=True, slots=True)
class Inode:
    """What lies at a path; `content` of files is 16 bytes at most and is its own hash."""

    kind: Kind
    ino: int
    content: bytes
    mode: int
    mtime_ns: int
    ctime_ns: int
    btime_ns: int
    target: bytes = b""

    def stat(self) -> Stat:
        mtime = 0 if self.kind is Kind.DIR else self.mtime_ns
        return Stat(self.kind, len(self.content), mtime, self.mode, self.ino, self.ctime_ns, self.btime_ns, self.target)


@dataclasses.dataclass(slots=True)
class Kept:
    """What the index lists: conflict bytes by path, and the hash and path of everything in the trash."""

    conflicts: set[tuple[RelPath, bytes]] = dataclasses.field(default_factory=set)
    trash: dict[int, tuple[RelPath, bytes]] = dataclasses.field(default_factory=dict)

    def copy(self) -> "Kept":
        return Kept(set(self.conflicts), dict(self.trash))


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """All that lies on a volume but the index."""

    files: dict[RelPath, Inode] = dataclasses.field(default_factory=dict)
    inbox: dict[tuple[str, bytes], Inode] = dataclasses.field(default_factory=dict)
    conflicts: dict[bytes, Inode] = dataclasses.field(default_factory=dict)
    trash: dict[int, dict[RelPath, Inode]] = dataclasses.field(default_factory=dict)
    kept_rows: Kept = dataclasses.field(default_factory=Kept)
    removed: frozenset[bytes] = frozenset()
    free: tuple[int, ...] = ()


def digest_of(content: bytes) -> bytes:
    """The hash of short contents is what they are."""
    return content.ljust(16, b"\0")


def excluded(path: RelPath, is_dir: bool) -> bool:
    return path.endswith(EXCLUDED)


def same(stat: Stat, expected: Stat, *, renamed: bool = False) -> bool:
    """As `fs.stats.same` and `same_after_rename`."""
    if expected.kind is Kind.DIR:
        return (stat.kind, stat.ino, stat.mode) == (expected.kind, expected.ino, expected.mode)
    if renamed:
        return (stat.kind, stat.size, stat.mtime_ns, stat.mode, stat.ino, stat.target) == (
            expected.kind,
            expected.size,
            expected.mtime_ns,
            expected.mode,
            expected.ino,
            expected.target,
        )
    return stat == expected


class MemoryDisk:
    """One web root.

    Args:
        now_ns: the clock of this node; `grain_ns`: its file times are multiples of it.
    """

    def __init__(self, now_ns: Callable[[], int], grain_ns: int) -> None:
        self._now_ns = now_ns
        self._grain_ns = max(1, grain_ns)
        self._inos = 100
        self._free: list[int] = []
        self._names = 0
        self.files: dict[RelPath, Inode] = {}
        self.inbox: dict[tuple[str, bytes], Inode] = {}
        self.conflicts: dict[bytes, Inode] = {}
        self.trash: dict[int, dict[RelPath, Inode]] = {}
        """by name; a directory with all that is in it under its path"""
        self.kept_rows = Kept()
        self.open: set[int] = set()
        """inodes that a local writer has open for writing"""
        self.removed: set[bytes] = set()
        """contents that the engine took out of the root"""
        self.room = ROOM
        """files of so many bytes and more do not fit; of 0, nothing that is made anew does"""
        self.renamed = 0
        """directories that were renamed as a whole for a peer"""
        self.fuse: int | None = None
        self.race: Callable[[], None] | None = None
        """a local writer who is faster, once, when `race_in` looks have been taken"""
        self.race_in = 0
        self.after_step: Callable[[], None] | None = None

    # -- the kernel

    def time_ns(self) -> int:
        """The time that a change gets now."""
        return self._now_ns() // self._grain_ns * self._grain_ns

    def ino(self) -> int:
        """A free inode: the one freed last, as ext4 does."""
        if self._free:
            return self._free.pop()
        self._inos += 1
        return self._inos

    def free(self, inode: Inode) -> None:
        """The last link of an inode is gone."""
        self.open.discard(inode.ino)
        self._free.append(inode.ino)

    def make(self, kind: Kind, content: bytes = b"", mode: int = 0o644, target: bytes = b"") -> Inode:
        """A new inode, nowhere yet."""
        now = self.time_ns()
        return Inode(kind, self.ino(), content, mode, now, now, now, target)

    def fits(self, kind: Kind, content: bytes = b"") -> bool:
        """Is there room for a new inode with these bytes?"""
        return len(content) < self.room if kind is Kind.FILE else self.room > 0

    def _expect_room(self, kind: Kind, content: bytes = b"") -> None:
        if not self.fits(kind, content):
            raise DiskFull("no space left on the volume", "free space")

    def children(self, directory: RelPath) -> list[RelPath]:
        return [path for path in self.files if path != ROOT and paths.parent(path) == directory]

    def subtree(self, path: RelPath) -> list[RelPath]:
        """What lies at a path and beneath it, a directory before what is in it."""
        inside = [other for other in self.files if paths.beneath(other, path)]
        return ([path] if path in self.files else []) + sorted(inside, key=paths.depth)

    def lift(self, path: RelPath) -> dict[RelPath, Inode]:
        """Take a path with all that is in it away; its names then are relative to it."""
        return {RelPath(old[len(path) :]): self.files.pop(old) for old in self.subtree(path)}

    def drop(self, path: RelPath, tree: dict[RelPath, Inode]) -> None:
        """Put what was lifted there."""
        for name, inode in tree.items():
            self.files[RelPath(path + name)] = inode

    def is_dir(self, path: RelPath) -> bool:
        return path == ROOT or (path in self.files and self.files[path].kind is Kind.DIR)

    def _step(self) -> None:
        if self.after_step is not None:
            self.after_step()
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Crash

    def burn_out(self) -> None:
        """The crash that comes after the last step, before its rows are committed."""
        if self.fuse == 0:
            raise Crash

    def _racing(self) -> None:
        if self.race is None:
            return
        self.race_in -= 1
        if self.race_in < 0:
            race, self.race = self.race, None
            race()

    # -- core.ports.Disk: looking

    def look(self, path: RelPath) -> Stat | None:
        self._racing()
        inode = self.files.get(path)
        return inode.stat() if inode is not None else None

    def digest(self, path: RelPath) -> tuple[Stat, bytes]:
        self._racing()
        inode = self.files.get(path)
        if inode is None or inode.kind is not Kind.FILE:
            raise Surprise
        if inode.ino in self.open:
            raise InUse(path)
        return inode.stat(), digest_of(inode.content)

    def being_written(self, path: RelPath) -> bool:
        inode = self.files.get(path)
        return inode is not None and inode.ino in self.open

    def names(self, path: RelPath) -> list[RelPath]:
        if not self.is_dir(path):
            raise Surprise
        return [child for child in self.children(path) if not excluded(child, False)]

    def tree(self, path: RelPath) -> Iterator[list[tuple[RelPath, Stat]]]:
        for inside in self.subtree(path)[1:]:
            if not excluded(inside, False):
                stat = self.look(inside)
                yield [(inside, stat)] if stat is not None else []

    def kinds(self, path: RelPath) -> Iterator[list[tuple[RelPath, Kind]]]:
        if not self.is_dir(path):
            raise Surprise
        yield [(inside, self.files[inside].kind) for inside in self.subtree(path)[1:]]

    def have(self, digest: bytes) -> bool:
        return self.kept(digest) or any(listed == digest for _, listed in self.kept_rows.trash.values())

    def kept(self, digest: bytes) -> bool:
        return any(listed == digest for _, listed in self.kept_rows.conflicts)

    # -- changing

    def put(self, path: RelPath, head: Head, source: Source, out: Out | None, beneath: Beneath = NOTHING) -> Stat:
        if isinstance(source, Moved):
            return self._move(path, head, source, out)
        if head.kind is Kind.DIR and out is None:
            return self._make_dir(path, head.mode)
        name = self._staged(head, source)
        try:
            return self._land(path, head, name, out, beneath)
        except (Surprise, InUse, DiskFull):
            if not isinstance(source, Staged):
                self.free(self.inbox.pop(name))
            raise

    def _make_dir(self, path: RelPath, mode: int) -> Stat:
        self._racing()
        if not self.is_dir(paths.parent(path)):
            raise Surprise
        if path not in self.files:
            self._expect_room(Kind.DIR)
            self.files[path] = self.make(Kind.DIR, mode=mode)
            self._step()
        if self.files[path].kind is not Kind.DIR:
            raise Surprise
        return self.files[path].stat()

    def _staged(self, head: Head, source: Source) -> tuple[str, bytes]:
        if isinstance(source, Staged):
            name = (source.batch, source.name)
            if name not in self.inbox or self.inbox[name].ino != source.ino:
                raise Missing
            return name
        name = (MADE, b"%d" % self._next_name())
        if isinstance(source, Itself):
            self._expect_room(head.kind)
            self.inbox[name] = self.make(head.kind, target=head.target, mode=0o777)
            self._step()
            return name
        content = self._bytes_of(source)
        if digest_of(content) != head.hash:
            raise Missing
        self._expect_room(Kind.FILE, content)
        self.inbox[name] = self.make(Kind.FILE, content)
        self._step()
        return name

    def _bytes_of(self, source: Source) -> bytes:
        if isinstance(source, CopyOf):
            inode = self.files.get(source.path)
            if inode is None or inode.kind is not Kind.FILE:
                raise Surprise
            return inode.content
        assert not isinstance(source, Itself | Moved | Staged)
        content = self.stored(source.hash)
        if content is None:
            raise Missing
        return content

    def stored(self, digest: bytes) -> bytes | None:
        """The bytes with a hash, as the index lists them among the conflicts or in the trash."""
        if self.kept(digest) and digest in self.conflicts:
            return self.conflicts[digest].content
        for name, (_, listed) in self.kept_rows.trash.items():
            if listed == digest:
                return self.trash[name][ROOT].content
        return None

    def _land(self, path: RelPath, head: Head, name: tuple[str, bytes], out: Out | None, beneath: Beneath) -> Stat:
        self._racing()
        if not self.is_dir(paths.parent(path)):
            raise Surprise
        there = self.files.get(path)
        staged = self._dressed(self.inbox[name], head)
        if out is None:
            if there is not None:
                raise Surprise
            del self.inbox[name]
            self.files[path] = staged
            self._step()
            return staged.stat()
        if there is None or not same(there.stat(), out.stat):
            raise Surprise
        self._expect_room(Kind.DIR)  # of the trash
        if there.ino in self.open:
            raise InUse(path)  # exchanged, seen to be open, and exchanged back
        if beneath:
            self._expect_beneath(path, beneath)
        tree = self.lift(path)
        del self.inbox[name]
        for inside, inode in tree.items():
            self.inbox[name[0], name[1] + inside] = inode
        self.files[path] = staged
        self._note_removed(tree)
        self._step()
        for inside in [RelPath(other[len(path) :]) for other, its in beneath.items() if its.stat.kind is not Kind.DIR]:
            del self.inbox[name[0], name[1] + inside]
            number = self._next_name()
            self.trash[number] = {ROOT: tree.pop(inside)}
            self._step()
            self.kept_rows.trash[number] = (RelPath(path + inside), beneath[RelPath(path + inside)].hash)
        for inside in tree:
            del self.inbox[name[0], name[1] + inside]
        self._keep(path, tree, out)
        return staged.stat()

    def _expect_beneath(self, path: RelPath, beneath: Beneath) -> None:
        """Exactly that lies there and nobody writes to it: seen before the exchange, or after it and exchanged back."""
        there = {other for other in self.subtree(path)[1:] if not excluded(other, False)}
        if there != beneath.keys() or any(not same(self.files[p].stat(), its.stat) for p, its in beneath.items()):
            raise Surprise
        for inside in beneath:
            if self.files[inside].ino in self.open:
                raise InUse(inside)

    def _dressed(self, inode: Inode, head: Head) -> Inode:
        mode = inode.mode if head.kind is Kind.SYMLINK else head.mode
        mtime = inode.mtime_ns if head.kind is Kind.DIR else head.mtime_ns
        return dataclasses.replace(inode, mode=mode, mtime_ns=mtime, ctime_ns=self.time_ns())

    def _move(self, path: RelPath, head: Head, source: Moved, out: Out | None) -> Stat:
        self._racing()
        old, there = self.files.get(source.path), self.files.get(path)
        if old is None or not same(old.stat(), source.stat) or not self.is_dir(paths.parent(path)):
            raise Surprise
        if out is None:
            if there is not None:
                raise Surprise
            self.files[path] = dataclasses.replace(self.files.pop(source.path), ctime_ns=self.time_ns())
            self._step()
        else:
            if there is None or not same(there.stat(), out.stat):
                raise Surprise
            self._expect_room(Kind.DIR)  # of the trash
            one, other = self.lift(path), self.lift(source.path)
            self.drop(path, other)
            self.drop(source.path, one)
            self._step()
            self._discard(source.path, dataclasses.replace(out, stat=self.files[source.path].stat()), path)
        if (self.files[path].mode, self.files[path].mtime_ns) != (head.mode, head.mtime_ns):
            self.files[path] = self._dressed(self.files[path], head)
        return self.files[path].stat()

    def rename(self, old: RelPath, new: RelPath, stat: Stat) -> Stat:
        self._racing()
        there = self.files.get(old)
        if there is None or not same(there.stat(), stat) or new in self.files or not self.is_dir(paths.parent(new)):
            raise Surprise
        tree = self.lift(old)
        tree[ROOT] = dataclasses.replace(tree[ROOT], ctime_ns=self.time_ns())
        self.drop(new, tree)
        self.renamed += 1
        self._step()
        return tree[ROOT].stat()

    def set_meta(self, path: RelPath, head: Head, now: Stat) -> Stat:
        self._racing()
        inode = self.files.get(path)
        if inode is None or not same(inode.stat(), now):
            raise Surprise
        self.files[path] = self._dressed(inode, head)
        self._step()
        return self.files[path].stat()

    def remove(self, path: RelPath, out: Out) -> None:
        self._racing()
        inode = self.files.get(path)
        if out.stat.kind is Kind.DIR:
            if inode is None or inode.kind is not Kind.DIR:
                raise Surprise
            if self.children(path):
                raise NotEmpty
            self.free(self.files.pop(path))
            self._step()
            return
        self._expect_room(Kind.DIR)  # of the trash
        self._discard(path, out, path)

    # -- keeping

    def _discard(self, at: RelPath, out: Out, path: RelPath) -> None:
        inode = self.files.get(at)
        if inode is None or not same(inode.stat(), out.stat):
            raise Surprise
        if inode.ino in self.open:
            raise InUse(path)  # seen in the trash, and put back
        tree = self.lift(at)
        self._note_removed(tree)
        name = self._next_name()
        self.trash[name] = tree
        self._step()
        if out.keep is Keep.CONFLICT and out.stat.kind is Kind.FILE:
            self.conflicts[out.hash] = self.trash.pop(name)[ROOT]
            self._step()
            self.kept_rows.conflicts.add((path, out.hash))
        else:
            self.kept_rows.trash[name] = (path, out.hash)

    def _keep(self, path: RelPath, tree: dict[RelPath, Inode], out: Out) -> None:
        if out.keep is Keep.CONFLICT and out.stat.kind is Kind.FILE:
            self.conflicts[out.hash] = tree[ROOT]
            self._step()
            self.kept_rows.conflicts.add((path, out.hash))
            return
        name = self._next_name()
        self.trash[name] = tree
        self._step()
        self.kept_rows.trash[name] = (path, out.hash)

    def _note_removed(self, tree: dict[RelPath, Inode]) -> None:
        self.removed.update(i.content for i in tree.values() if i.kind is Kind.FILE)

    def keep_staged(self, path: RelPath, staged: Staged) -> None:
        name = (staged.batch, staged.name)
        if name not in self.inbox:
            raise Missing
        self.conflicts[staged.hash] = self.inbox.pop(name)
        self._step()
        self.kept_rows.conflicts.add((path, staged.hash))

    def keep_also(self, path: RelPath, digest: bytes) -> None:
        if self.kept(digest):
            self.kept_rows.conflicts.add((path, digest))

    def release(self, path: RelPath, digests: tuple[bytes, ...]) -> None:
        for digest in digests:
            self.kept_rows.conflicts.discard((path, digest))
            if self.kept(digest) or digest not in self.conflicts:
                continue
            name = self._next_name()
            self.trash[name] = {ROOT: self.conflicts.pop(digest)}
            self._step()
            self.kept_rows.trash[name] = (path, digest)

    def _next_name(self) -> int:
        self._names += 1
        return self._names

    # -- the volume

    def contents_now(self) -> Contents:
        """A snapshot."""
        trash = {name: dict(tree) for name, tree in self.trash.items()}
        kept, free = self.kept_rows.copy(), tuple(self._free)
        removed = frozenset(self.removed)
        return Contents(dict(self.files), dict(self.inbox), dict(self.conflicts), trash, kept, removed, free)

    def put_back(self, contents: Contents) -> None:
        """The volume is as it was then; nobody has a file of it open."""
        self.files, self.inbox = dict(contents.files), dict(contents.inbox)
        self.conflicts, self.kept_rows = dict(contents.conflicts), contents.kept_rows.copy()
        self.trash = {name: dict(tree) for name, tree in contents.trash.items()}
        self.removed, self._free = set(contents.removed), list(contents.free)
        self.open = set()

    def forget_kept(self) -> None:
        """Nothing tells any more what lies in conflicts and trash, nor what in the inbox came out of the root."""
        self.kept_rows = Kept()
        self.removed -= {inode.content for inode in self.inbox.values()}

    # -- what a test asks

    def trash_bytes(self) -> int:
        """How much lies in the trash."""
        return sum(len(inode.content) for tree in self.trash.values() for inode in tree.values())

    def contents(self) -> set[bytes]:
        """All bytes that lie anywhere here but in the inbox."""
        trees = [self.files, *self.trash.values()]
        inodes = [inode for tree in trees for inode in tree.values()] + list(self.conflicts.values())
        return {inode.content for inode in inodes if inode.kind is Kind.FILE}

    def held_fast(self) -> set[bytes]:
        """The bytes that do not age out: those in the root, and of conflicts that the index lists."""
        inodes = [inode for digest, inode in self.conflicts.items() if self.kept(digest)]
        return {inode.content for inode in [*inodes, *self.files.values()] if inode.kind is Kind.FILE}

    def shown(self) -> dict[RelPath, tuple[object, ...]]:
        """What must be the same in every root: path, kind, content, mode, mtime, target; no excluded names."""
        seen: dict[RelPath, tuple[object, ...]] = {}
        for path, inode in self.files.items():
            if not excluded(path, False):
                seen[path] = fact(inode)
        return seen


def fact(inode: Inode) -> tuple[object, ...]:
    """What two nodes must agree on."""
    match inode.kind:
        case Kind.DIR:
            return (Kind.DIR, inode.mode)
        case Kind.SYMLINK:
            return (Kind.SYMLINK, inode.target, inode.mtime_ns)
        case _:
            return (Kind.FILE, inode.content, inode.mode, inode.mtime_ns)
