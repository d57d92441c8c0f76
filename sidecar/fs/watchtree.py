"""The watched directories as a tree that follows the disk. Identity is the inode: its watch descriptor tells.

An event says only that a name in a directory may have changed. What the name leads to now is looked up beneath that
very directory: adding a watch to an inode that has one gives its descriptor again, so a directory that moved is
recognised whatever it is called, and takes the nodes beneath it along. A directory that is not where it is believed
to be (its own move is still in the queue) is *astray*: its names wait until it is found.
"""

import errno
import os
from collections.abc import Callable, Iterator
from typing import Final

from inotify_simple import INotify, flags

from sidecar.core.paths import ROOT, RelPath, join
from sidecar.fs.faults import GONE
from sidecar.fs.tree import DIRECTORY, Tree

WEB_MASK: Final = int(
    flags.CLOSE_WRITE | flags.MODIFY | flags.MOVED_TO | flags.MOVED_FROM | flags.CREATE | flags.DELETE | flags.ATTRIB
    | flags.EXCL_UNLINK | flags.ONLYDIR
)  # fmt: skip
ROOT_MASK: Final = WEB_MASK | int(flags.DELETE_SELF | flags.MOVE_SELF)
INBOX_MASK: Final = int(flags.MOVED_TO | flags.CREATE | flags.EXCL_UNLINK | flags.ONLYDIR)
NO_WATCH: Final = -1


class Node:
    """A watched directory. `path` is where it is believed to lie; `parent` is `None` for a root and for what left."""

    __slots__ = ("astray", "children", "forest", "name", "parent", "path", "wd")

    def __init__(self, forest: "WatchTree", parent: "Node | None", name: bytes, path: RelPath, wd: int) -> None:
        self.forest: Final = forest
        self.parent = parent
        self.name = name
        self.path = path
        self.wd = wd
        self.children: dict[bytes, Node] = {}
        self.astray: set[bytes] = set()
        """names to look up when this directory is found again; `b""`: list all of it"""


class Watches:
    """Every watch of the one inotify instance: which node has which descriptor."""

    def __init__(self, inotify: INotify) -> None:
        self._inotify = inotify
        self._nodes: dict[int, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, wd: int) -> Node | None:
        """The node with this descriptor."""
        return self._nodes.get(wd)

    def add(self, fd: int, mask: int) -> int:
        """Watch the directory behind `fd`, whatever its name is by now; the same descriptor if it is watched."""
        return int(self._inotify.add_watch(b"/proc/self/fd/%d" % fd, mask))

    def bind(self, node: Node, wd: int) -> None:
        """`wd` is this node's from now on."""
        node.wd = wd
        if wd != NO_WATCH:
            self._nodes[wd] = node

    def forget(self, wd: int) -> Node | None:
        """The kernel has dropped the watch. Returns whose it was."""
        node = self._nodes.pop(wd, None)
        if node is not None:
            node.wd = NO_WATCH
        return node

    def remove(self, wd: int) -> None:
        """Drop a watch; one that the kernel has dropped before is fine."""
        self._nodes.pop(wd, None)
        try:
            self._inotify.rm_watch(wd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise


class WatchTree:
    """The watched directories beneath one root. What it finds is told to `on_new` (a directory that was not watched:
    list it) and `on_moved` (one that came from elsewhere in the tree, and what it was called there)."""

    def __init__(
        self,
        tree: Tree,
        watches: Watches,
        mask: int,
        excluded: Callable[[RelPath, bool], bool],
        on_new: Callable[[Node], None],
        on_moved: Callable[[Node, RelPath], None],
    ) -> None:
        self._tree = tree
        self._watches = watches
        self._mask = mask
        self._excluded = excluded
        self._on_new = on_new
        self._on_moved = on_moved
        self._orphans: list[Node] = []
        self.strays: set[Node] = set()
        self.unwatched: set[Node] = set()
        """the limit on watches left no room for them"""
        self.denied: set[Node] = set()
        """they cannot be read"""
        self.unlooked: set[tuple[Node, bytes]] = set()
        """names that could not be looked at (the disk fails, too many open files); `b""`: the whole directory"""
        self.root: Final = Node(self, None, b"", ROOT, NO_WATCH)

    def start(self, mask: int) -> None:
        """Watch the root itself; where the limit leaves no room for it, it is `unwatched`. Raises OSError."""
        try:
            self._watches.bind(self.root, self._watches.add(self._tree.fd, mask))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.unwatched.add(self.root)
        else:
            self.unwatched.discard(self.root)

    def attached(self, node: Node) -> bool:
        """Is the node still part of the tree?"""
        return node is self.root or node.parent is not None

    def open(self, node: Node) -> int | None:
        """The directory of `node`, open, after proof that it is the one; `None` when it lies elsewhere or is gone, or
        cannot be opened just now."""
        try:
            fd = self._tree.open(node.path, DIRECTORY)
        except OSError:
            return None
        if node is self.root or node in self.unwatched or self._is(node, fd):
            return fd
        os.close(fd)
        return None

    def _is(self, node: Node, fd: int) -> bool:
        try:
            wd = self._watches.add(fd, self._mask)
        except OSError:
            return False
        if self._watches.get(wd) is None:
            self._watches.remove(wd)
        return wd == node.wd

    def look(self, node: Node, name: bytes) -> None:
        """Bring one name in a directory up to date: the directory there now is watched and has its node there."""
        fd = self.open(node)
        if fd is None:
            self.stray(node, name)
            return
        try:
            self.look_in(node, fd, name)
        finally:
            os.close(fd)

    def look_in(self, node: Node, fd: int, name: bytes) -> None:
        """The same with the directory open already."""
        path = join(node.path, name)
        try:
            child = None if self._excluded(path, True) else self._enter(fd, name)
        except OSError:
            self.unlooked.add((node, name))
            return
        if child is None:
            self._orphan(node.children.get(name))
            return
        try:
            self._settle(node, name, path, child)
        finally:
            os.close(child)

    def _enter(self, fd: int, name: bytes) -> int | None:
        try:
            return os.open(name, DIRECTORY, dir_fd=fd)
        except PermissionError:
            # it exists: a path descriptor stands for it, and add_watch is refused in its turn
            try:
                return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except OSError:
                return None
        except OSError as error:
            if error.errno in GONE:
                return None
            raise

    def _settle(self, node: Node, name: bytes, path: RelPath, fd: int) -> None:
        here = node.children.get(name)
        try:
            wd = self._watches.add(fd, self._mask)
        except OSError as error:
            self._cannot(node, name, path, here, error)
            return
        known = self._watches.get(wd)
        if known is not None and known is here:
            return
        if known is not None and known.forest is not self:
            known.forest.drop(known)
            wd, known = self._watches.add(fd, self._mask), None
        if known is not None and self._holds(known, node):
            self.stray(node, name)
            return
        self._orphan(here)
        if known is None:
            self._on_new(self._plant(node, name, path, wd))
        else:
            was = known.path
            self._graft(known, node, name)
            self._on_moved(known, was)

    def _cannot(self, node: Node, name: bytes, path: RelPath, here: Node | None, error: OSError) -> None:
        if error.errno in GONE:
            self._orphan(here)
            return
        if here is not None and here.wd == NO_WATCH:
            return
        self._orphan(here)
        planted = self._plant(node, name, path, NO_WATCH)
        if isinstance(error, PermissionError):
            self.denied.add(planted)
        else:
            self.unwatched.add(planted)
            self._on_new(planted)

    def _plant(self, node: Node, name: bytes, path: RelPath, wd: int) -> Node:
        planted = Node(self, node, name, path, NO_WATCH)
        node.children[name] = planted
        self._watches.bind(planted, wd)
        return planted

    def _graft(self, moved: Node, node: Node, name: bytes) -> None:
        self._detach(moved)
        if moved in self._orphans:
            self._orphans.remove(moved)
        moved.parent, moved.name = node, name
        node.children[name] = moved
        self._repath(moved, join(node.path, name))

    def _repath(self, node: Node, path: RelPath) -> None:
        stack = [(node, path)]
        while stack:
            at, where = stack.pop()
            at.path = where
            stack.extend((child, join(where, name)) for name, child in at.children.items())

    @staticmethod
    def _holds(above: Node, node: Node) -> bool:
        at: Node | None = node
        while at is not None:
            if at is above:
                return True
            at = at.parent
        return False

    @staticmethod
    def _detach(node: Node) -> None:
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
        node.parent = None

    def _orphan(self, node: Node | None) -> None:
        if node is not None:
            self._detach(node)
            self._orphans.append(node)

    def stray(self, node: Node, name: bytes) -> None:
        """Remember a name of a directory that is not where it is believed to be."""
        node.astray.add(name)
        self.strays.add(node)

    def find_strays(self) -> Iterator[tuple[Node, bytes]]:
        """The names that waited for directories which have been found by now; each is to be looked at again."""
        for node in list(self.strays):
            if not self._rooted(node):
                continue
            fd = self.open(node)
            if fd is None:
                continue
            os.close(fd)
            self.strays.discard(node)
            names, node.astray = node.astray, set()
            yield from ((node, name) for name in names)

    def _rooted(self, node: Node) -> bool:
        while node.parent is not None:
            node = node.parent
        return node is self.root

    def drop_orphans(self) -> None:
        """What was found nowhere has left the tree: its watches go."""
        orphans, self._orphans = self._orphans, []
        for node in orphans:
            self.drop(node)

    def drop(self, node: Node) -> None:
        """Forget a directory and all beneath it, watches included."""
        self._detach(node)
        stack = [node]
        while stack:
            at = stack.pop()
            stack.extend(at.children.values())
            at.parent, at.children = None, {}
            self.strays.discard(at)
            self.unwatched.discard(at)
            self.denied.discard(at)
            if at.wd != NO_WATCH:
                self._watches.remove(at.wd)
                at.wd = NO_WATCH
