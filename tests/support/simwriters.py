"""What local writers do to a simulated web root: each operation marks what an event would name."""

import dataclasses
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from tests.support.memory_disk import Inode, MemoryDisk, excluded, fact

HALF: Final = b"half"
"""what a file holds that a local writer has begun to write"""

POOL: Final = tuple(
    RelPath(p)
    for p in (b"a", b"b", b"c", b"a/a", b"a/b", b"b/a", b"b/b", b"a/a/a", b"a/a/b", b"b/a/a", b"c/a", b"c/a/b")
)

Facts = dict[RelPath, set[tuple[object, ...] | None]]
"""By path, all that local writers put there (None: they took it away)."""


class Writers:
    """The local writers of one node.

    Args:
        disk: the web root.
        everybodys: where the facts of all nodes are written down too.
    """

    def __init__(self, disk: MemoryDisk, everybodys: Facts) -> None:
        self.disk = disk
        self.dirty: dict[RelPath, None] = {}
        self.moved: list[tuple[RelPath, RelPath]] = []
        """directories that were renamed since they were looked at last: the watch tells"""
        self.facts: Facts = {}
        self.everybodys = everybodys
        self.finished: set[bytes] = set()
        """contents that local writers wrote in full"""
        self.destroyed: set[bytes] = set()
        """contents that a local writer overwrote or deleted"""

    def _touched(self, *marked: RelPath) -> None:
        for path in marked:
            self._note(path, self._fact(path))
            if not excluded(path, False):
                self.dirty[path] = None

    def _note(self, path: RelPath, what: tuple[object, ...] | None) -> None:
        for facts in (self.facts, self.everybodys):
            facts.setdefault(path, set()).add(what)

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
            self._note(path, None)
        self._touched(old, *self.disk.subtree(new))
        if self.disk.is_dir(new):
            self.moved.append((old, new))

    def wrote(self, path: RelPath, content: bytes | None) -> None:
        """Nobody did, but these bytes lie there now, with the size, mode and times that the file had."""
        inode = self.disk.files[path]
        self._note(path, fact(dataclasses.replace(inode, content=content)) if content is not None else None)

    def unmount(self) -> dict[RelPath, Inode]:
        """Another volume, an empty one, lies where the web root was; what was there."""
        hidden, self.disk.files, self.disk.open = self.disk.files, {}, set()
        for path in hidden:
            self._note(path, None)
        return hidden

    def was_deleted(self, hidden: dict[RelPath, Inode]) -> None:
        """What is not there any more was deleted, somebody says."""
        for inode in hidden.values():
            self._destroy(inode)

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
