"""The web root watched: events become dirty paths. One inotify instance, a watch on every directory.

An event says only where to look; lstat decides what happened. A new directory is watched first and listed after, so
that nothing written into it in between is missed.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from inotify_simple import INotify

from sidecar.core.paths import RelPath, is_state, join
from sidecar.errors import EnvironmentFault
from sidecar.fs import limits
from sidecar.fs.events import (
    CREATE,
    IGNORED,
    ISDIR,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    PLACES,
    PLAIN,
    READY,
    REASONS,
    SELF,
    Reason,
    reason_of,
)
from sidecar.fs.root import WebRoot
from sidecar.fs.watchtree import INBOX_MASK, ROOT_MASK, WEB_MASK, Node, Watches, WatchTree

LISTED_AT_ONCE: Final = 5_000
"""How many names one `read` lists at most (about 1 µs each)."""


class Dirty(NamedTuple):
    """A path to be looked at."""

    path: RelPath
    reason: Reason


class Moved(NamedTuple):
    """A directory of the web root that is called `new` and was called `old`."""

    old: RelPath
    new: RelPath


class Seen(NamedTuple):
    """What one `read` brought."""

    dirty: list[Dirty]
    arrived: list[RelPath]
    """names in the inbox under which a file appeared"""
    overflow: bool
    """the kernel's queue was full: events were lost; `cover` and scan"""
    root_lost: bool
    """the web root itself was moved, deleted or unmounted"""
    more: bool
    """new directories are still to be listed: read again, no event will ask for it"""
    moved: tuple[Moved, ...] = ()
    """the directories that are dirty for `Reason.TREE`"""


_Marks = dict[tuple[Node, bytes], int]


class Watcher:
    """Watches every directory of the web root that is not excluded, and the inbox if asked to.

    `excluded(path, is_dir)` is asked for each path of a read. For asyncio: `fileno()` is readable when there are
    events, `read()` never blocks. To be used by one thread.

    Raises:
        EnvironmentFault: no inotify instance can be had, or the root cannot be watched at all.
    """

    def __init__(self, root: WebRoot, excluded: Callable[[RelPath, bool], bool]) -> None:
        self._root = root
        self._excluded = excluded
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise EnvironmentFault("inotify", os.strerror(error.errno or 0), limits.instances().raised) from error
        self._watches = Watches(self._inotify)
        self._web = WatchTree(root, self._watches, WEB_MASK, self._skipped, self._new, self._moved)
        self._inbox = WatchTree(root.inbox, self._watches, INBOX_MASK, _own_corner, self._new, self._moved)
        self._marks: _Marks = {}
        self._listed: _Marks = {}
        self._to_list: deque[Node] = deque()
        self._went: list[tuple[RelPath, Node]] = []
        self._quiet = False
        try:
            self._web.start(ROOT_MASK)
        except OSError as error:
            self._inotify.close()
            hint = f"give UID {os.geteuid()} read access to it"
            raise EnvironmentFault("web root", f"cannot be watched ({os.strerror(error.errno or 0)})", hint) from error

    def close(self) -> None:
        """Drop the instance with all its watches."""
        self._inotify.close()

    def fileno(self) -> int:
        """Readable when there are events."""
        return int(self._inotify.fileno())

    def __len__(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    @property
    def unwatched(self) -> list[RelPath]:
        """Directories that the limit on watches left out (each by itself): to be polled; see `limits.watches`."""
        return sorted(node.path for node in self._web.unwatched)

    @property
    def denied(self) -> list[RelPath]:
        """Directories that cannot be read, so neither watched nor listed."""
        return sorted(node.path for node in self._web.denied)

    def watched(self) -> set[RelPath]:
        """The directories of the web root that have a watch, `ROOT` included."""
        found, stack = set(), [self._web.root]
        while stack:
            node = stack.pop()
            stack.extend(node.children.values())
            if self._watches.get(node.wd) is node:
                found.add(node.path)
        return found

    def watch_inbox(self) -> None:
        """Tell from now on what appears in the inbox (`Seen.arrived`), at any depth. What is there is listed first."""
        self._inbox.start(INBOX_MASK)
        self._to_list.append(self._inbox.root)

    def cover(self) -> Iterator[RelPath]:
        """Watch every directory that is not watched yet, and forget those that are gone: at start and after an
        overflow, before the scan. Yields after each directory so that a loop can do other things in between; `read`
        may be called meanwhile. Reports no path as dirty: the scan that follows looks at all of them.
        """
        stack = [self._web.root]
        while stack:
            node = stack.pop()
            if not self._web.attached(node):
                continue
            self._quiet = True
            try:
                self._cover(node)
            finally:
                self._quiet = False
            self._web.drop_orphans()
            stack.extend(node.children.values())
            yield node.path

    def _cover(self, node: Node) -> None:
        fd = self._web.open(node)
        if fd is None:
            return
        try:
            names = {name for name, is_dir in _names(fd) if is_dir}
            for name in names.union(node.children):
                self._web.look_in(node, fd, name)
        except OSError:
            self._web.unlooked.add((node, b""))
        finally:
            os.close(fd)

    def retry(self) -> Iterator[RelPath]:
        """Have the next `read` try again to watch what was left out or denied, or could not be looked at, and look for
        directories that came into it or left, of which no event tells. Yields after each so that a loop can do other
        things in between.
        """
        for tree, mask in ((self._web, ROOT_MASK), (self._inbox, INBOX_MASK)):
            if tree.root in tree.unwatched:
                with suppress(OSError):
                    tree.start(mask)
            unlooked, tree.unlooked = tree.unlooked, set()
            for node, name in unlooked:
                if name:
                    self._marks[(node, name)] = ISDIR | CREATE
                else:
                    self._to_list.append(node)
        for node in (*self._web.unwatched, *self._web.denied):
            if node.parent is not None:
                self._marks.setdefault((node.parent, node.name), ISDIR)
            if node in self._web.unwatched:
                self._look_for_directories(node)
            yield node.path

    def _look_for_directories(self, node: Node) -> None:
        fd = self._web.open(node)
        if fd is None:
            return
        try:
            names = {name for name, is_dir in _names(fd) if is_dir}
            for name in names.symmetric_difference(node.children):
                self._marks.setdefault((node, name), ISDIR)
        except OSError:
            self._web.unlooked.add((node, b""))
        finally:
            os.close(fd)

    def read(self) -> Seen:
        """Everything that happened since the last call, each path once. Never blocks. 3 µs an event.

        Left: a file may change again after its event; that is another event. Paths are as of this call: what is
        renamed after it is told by the next.
        """
        overflow, lost, ignored = self._absorb()
        marks, self._marks = self._marks, {}
        for wd in ignored:
            node = self._watches.forget(wd)
            if node is not None and node.parent is not None:
                key = (node.parent, node.name)
                marks[key] = marks.get(key, 0) | ISDIR
        if overflow:  # a batch may have left the inbox of which no event tells
            for region in self._inbox.root.children.values():
                marks.update({(region, batch): ISDIR | CREATE for batch in region.children})
        self._listed = {}
        self._follow(marks)
        self._catch_up()
        for forest in (self._web, self._inbox):
            forest.drop_orphans()
        dirty: list[Dirty] = []
        arrived: list[RelPath] = []
        self._tell(marks, dirty, arrived)
        went, self._went = self._went, []
        moved = tuple(
            Moved(old, node.path)
            for old, node in went
            if node.forest is self._web and self._web.attached(node) and not self._skipped(node.path, True)
        )
        return Seen(dirty, arrived, overflow, lost, bool(self._to_list), moved)

    def _absorb(self) -> tuple[bool, bool, list[int]]:
        """Collect the kernel's events as marks, one a name."""
        overflow = lost = False
        ignored: list[int] = []
        seen: dict[tuple[int, str], int] = {}
        known = seen.get
        events = self._inotify.read(timeout=0)
        if events and events[-1].mask & MOVED_FROM:
            # its MOVED_TO is queued right behind it
            events += self._inotify.read(timeout=0)
        root_wd = self._web.root.wd
        for wd, mask, _cookie, name in events:
            if name:
                key = (wd, name)
                seen[key] = known(key, 0) | (mask if mask & ISDIR else mask | PLAIN)
            elif mask & OVERFLOW:
                overflow = True
            elif wd == root_wd and mask & (SELF | IGNORED):
                lost = True
            elif mask & IGNORED:
                ignored.append(wd)
        for (wd, name), mask in seen.items():
            node = self._watches.get(wd)
            if node is not None:
                mark = (node, os.fsencode(name))
                self._marks[mark] = self._marks.get(mark, 0) | mask
        return overflow, lost, ignored

    def _follow(self, marks: _Marks) -> None:
        """Bring the tree up to date with every directory that came, went or was renamed."""
        for (node, name), mask in marks.items():
            if not mask & ISDIR or not (mask & PLACES or self._lacks_watch(node, name)):
                continue
            # rsync makes its directories in the inbox; one that was moved in came out of an exchange and goes on
            if node.forest.attached(node) and not (node.forest is self._inbox and mask & MOVED_TO):
                node.forest.look(node, name)

    def _lacks_watch(self, node: Node, name: bytes) -> bool:
        child = node.children.get(name)
        return child is None or self._watches.get(child.wd) is not child

    def _catch_up(self) -> None:
        """List new directories, and look again at names that waited for a directory to be found."""
        room = LISTED_AT_ONCE
        while room > 0:
            while self._to_list and room > 0:
                room -= self._list(self._to_list.popleft())
            found = [*self._web.find_strays(), *self._inbox.find_strays()]
            if not found:
                return
            for node, name in found:
                if name:
                    node.forest.look(node, name)
                else:
                    self._to_list.append(node)

    def _list(self, node: Node) -> int:
        forest = node.forest
        if not forest.attached(node):
            return 0
        fd = forest.open(node)
        if fd is None:
            forest.stray(node, b"")
            return 1
        try:
            names = _names(fd)
            for name, is_dir in names:
                if is_dir:
                    forest.look_in(node, fd, name)
                self._found(node, name, Reason.LISTED | (ISDIR if is_dir else PLAIN))
        except OSError:
            forest.unlooked.add((node, b""))
            return 1
        finally:
            os.close(fd)
        return len(names)

    def _new(self, node: Node) -> None:
        if self._quiet or node.parent is None:
            return
        self._to_list.append(node)
        self._found(node.parent, node.name, Reason.CREATED | ISDIR)

    def _moved(self, node: Node, was: RelPath) -> None:
        if not self._quiet and node.parent is not None:
            self._found(node.parent, node.name, Reason.TREE | ISDIR)
            self._went.append((was, node))

    def _found(self, node: Node, name: bytes, bits: int) -> None:
        key = (node, name)
        self._listed[key] = self._listed.get(key, 0) | bits

    def _tell(self, marks: _Marks, dirty: list[Dirty], arrived: list[RelPath]) -> None:
        """Name every marked path as it is called by now."""
        listed = self._listed
        for key, mask in marks.items():
            found = listed.pop(key, 0)
            self._tell_one(key, mask, found, dirty, arrived)
        for key, found in listed.items():
            self._tell_one(key, 0, found, dirty, arrived)

    def _tell_one(
        self, key: tuple[Node, bytes], mask: int, found: int, dirty: list[Dirty], arrived: list[RelPath]
    ) -> None:
        node, name = key
        forest = node.forest
        if not forest.attached(node):
            return
        path, kinds = join(node.path, name), mask | found
        if forest is self._inbox:
            if kinds & PLAIN and (mask & MOVED_TO or found) and not _own_corner(path, False):
                arrived.append(path)
            return
        if (kinds & ISDIR and not self._skipped(path, True)) or (kinds & PLAIN and not self._skipped(path, False)):
            reason = reason_of(self._root, path, mask) | (found & REASONS)
            if reason:
                dirty.append(Dirty(path, READY[reason]))

    def _skipped(self, path: RelPath, is_dir: bool) -> bool:
        return is_state(path) or self._excluded(path, is_dir)


def _names(fd: int) -> list[tuple[bytes, bool]]:
    with os.scandir(fd) as entries:
        return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]


def _own_corner(path: RelPath, _is_dir: bool) -> bool:
    return path.startswith(b".")
