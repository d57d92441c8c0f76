"""The web root as the engine's port: `core.ports.Disk` over `sidecar.fs`; what leaves it is kept by `keeping`."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from sidecar.core import paths
from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import (
    NOTHING,
    Beneath,
    CopyOf,
    InUse,
    Itself,
    Missing,
    Moved,
    Out,
    Source,
    Staged,
    Stored,
    Surprise,
)
from sidecar.engine.cameout import CameOut, expect_closed
from sidecar.engine.copies import Copies
from sidecar.engine.keeping import UNKEPT, Keeping
from sidecar.engine.translated import translated
from sidecar.fs import apply, faults, stage
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import walk
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

REMEMBERED: Final = 1000
"""How many hashes made ahead, and paths that somebody has open, are remembered."""


class RootDisk:
    """The web root.

    Args:
        excluded: tells for (path, is a directory) whether it is never replicated.
        open_wait: seconds for which a file that a local writer has open is waited for.
        touched: told of every path that was changed here, to be made durable.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        *,
        excluded: Callable[[RelPath, bool], bool],
        open_wait: float,
        now_us: Callable[[], int],
        touched: Callable[[RelPath], None],
    ) -> None:
        self._root = root
        self._excluded = excluded
        self._open_wait = open_wait
        self._touched = touched
        self._hashed: dict[RelPath, tuple[Stat, bytes]] = {}
        self._open_since: dict[RelPath, float] = {}
        self.copies = Copies(root, index)
        self.keeping = Keeping(root, index, now_us)

    # -- looking

    def look(self, path: RelPath) -> Stat | None:
        """lstat, as the port says."""
        with translated(self._root, path):
            return self._root.lstat(path)

    def hashed(self, path: RelPath, stat: Stat, digest: bytes) -> None:
        """The hash of a large file was made ahead, off the loop."""
        if len(self._hashed) >= REMEMBERED:
            self._hashed.clear()
        self._hashed[path] = (stat, digest)

    def is_hashed(self, path: RelPath, stat: Stat) -> bool:
        """Was the hash of exactly this made ahead?"""
        return path in self._hashed and self._hashed[path][0] == stat

    def digest(self, path: RelPath) -> tuple[Stat, bytes]:
        """A file's stat and hash, made ahead or now."""
        made = self._hashed.pop(path, None)
        if made is not None:
            if self.being_written(path):
                raise InUse(path)
            if self.look(path) == made[0]:
                return made
        with translated(self._root, path):
            return self._root.hash(path, self.refuser(path))

    def being_written(self, path: RelPath) -> bool:
        """Has a local writer had it open, for less than `open_wait`?"""
        with translated(self._root, path):
            open_now = self._root.is_open_for_writing(path)
        return self._is_waited_for(path, is_open=bool(open_now))

    def refuser(self, path: RelPath) -> Callable[[bool | None], None]:
        """Told whether the file is open for writing, it raises InUse until that has lasted for `open_wait`."""

        def refuse(is_open: bool | None) -> None:
            if self._is_waited_for(path, is_open=bool(is_open)):
                raise InUse(path)

        return refuse

    def _is_waited_for(self, path: RelPath, *, is_open: bool) -> bool:
        if not is_open:
            self._open_since.pop(path, None)
            return False
        if len(self._open_since) >= REMEMBERED:
            self._open_since.clear()
        since = self._open_since.setdefault(path, time.monotonic())
        return time.monotonic() - since < self._open_wait

    def names(self, path: RelPath) -> list[RelPath]:
        """What lies in a directory and is not excluded."""
        with translated(self._root, path):
            listing = self._root.listdir(path)
        there = ((paths.join(path, name), stat.kind is Kind.DIR) for name, stat in listing.entries)
        return [child for child, is_dir in there if not paths.is_state(child) and not self._excluded(child, is_dir)]

    def tree(self, path: RelPath) -> Iterator[list[tuple[RelPath, Stat]]]:
        """What lies beneath a directory, as the port says."""
        with translated(self._root, path):
            for part in walk(self._root, self._excluded, path):
                if part.refused is not None:
                    raise part.refused
                if part.special:
                    raise faults.Special(paths.join(part.path, part.special[0]))
                yield [(paths.join(part.path, name), stat) for name, stat in part.entries]

    def kinds(self, path: RelPath) -> Iterator[list[tuple[RelPath, Kind]]]:
        """The same by listings, as the port says."""
        waiting = [path]
        while waiting:
            at = waiting.pop()
            with translated(self._root, at):
                part = [(paths.join(at, name), kind) for name, kind in self._root.kinds(at)]
            yield part
            waiting.extend(path for path, kind in part if kind is Kind.DIR)

    def have(self, digest: bytes) -> bool:
        """Are these bytes kept anywhere?"""
        return self.keeping.have(digest)

    def kept(self, digest: bytes) -> bool:
        """Are they among the conflicts?"""
        return self.keeping.in_conflicts(digest)

    # -- changing

    def put(self, path: RelPath, head: Head, source: Source, out: Out | None, beneath: Beneath = NOTHING) -> Stat:
        """One rename into the root, as the port says."""
        with translated(self._root, path):
            if isinstance(source, Moved):
                return self._dressed(path, head, self._move(path, source, out))
            if head.kind is Kind.DIR and out is None:
                stat = apply.make_dir(self._root, path, head.mode)
                self._touched(path)
                return stat
            staged = self._staged(head, source)
            try:
                stat = self._land(path, head, staged, out, beneath)
            except BaseException:
                if not isinstance(source, Staged):
                    self._drop_made(staged)
                raise
            return stat

    def _drop_made(self, staged: stage.Staged) -> None:
        """What was made for a step that failed goes; what an exchange left under its name came out of the root."""
        there = self._root.inbox.lstat(staged.name)
        if there is not None and there.ino == staged.stat.ino:
            stage.drop(self._root.inbox, staged.name)

    def _move(self, path: RelPath, source: Moved, out: Out | None) -> Stat:
        self._touched(source.path)
        self._touched(path)
        if out is None:
            return apply.move(self._root, source.path, path, source.stat)
        placed, other = apply.swap(self._root, path, out.stat, source.path, source.stat)
        try:
            self.keeping.discard(source.path, other, path, out)
        except UNKEPT:
            back = self._root.lstat(source.path)
            if back is not None and back.ino == other.ino:
                apply.swap(self._root, path, placed, source.path, back)
            raise
        return placed

    def _staged(self, head: Head, source: Staged | Stored | CopyOf | Itself) -> stage.Staged:
        root = self._root
        if isinstance(source, Staged):
            # that the same inode of the same size lies there is checked when it is placed
            name = RelPath(source.batch.encode() + b"/" + source.name)
            return stage.Staged(name, Stat(Kind.FILE, head.size, 0, 0, source.ino, 0), source.hash)
        if isinstance(source, Itself):
            return stage.stage_symlink(root, head.target) if head.kind is Kind.SYMLINK else stage.stage_dir(root)
        ahead = self.copies.take(head.hash)
        if ahead is not None:
            return ahead
        found = (root, source.path) if isinstance(source, CopyOf) else self.copies.stored(source.hash)
        if found is None:
            raise Missing
        copy = stage.stage_copy(root, *found)
        if copy.hash != head.hash:
            stage.drop(root.inbox, copy.name)
            raise Missing
        return copy

    def _land(self, path: RelPath, head: Head, staged: stage.Staged, out: Out | None, beneath: Beneath) -> Stat:
        self._touched(path)
        expect_closed(self._root, beneath)
        if out is None:
            return apply.place(self._root, staged, path, head.mode, head.mtime_ns)
        done = apply.exchange(self._root, staged, path, out.stat, head.mode, head.mtime_ns)
        if not done.out.was(out.stat):
            # a local writer was faster, or still writes: give it back and look again
            apply.undo_exchange(self._root, staged, path, done.placed)
            if done.out.still_open:
                raise InUse(path)
            raise Surprise
        if Kind.DIR in (out.stat.kind, head.kind):
            self._root.let_go()
        try:
            if beneath:
                for each in (*beneath, path):
                    self._touched(each)
                self.keeping.keep_tree(CameOut(self._root, staged.name, path, beneath, self._excluded), out)
            else:
                self.keeping.keep_came_out(path, staged.name, out)
        except (Surprise, InUse, faults.Raced, *UNKEPT):
            apply.undo_exchange(self._root, staged, path, done.placed)
            raise
        return done.placed

    def _dressed(self, path: RelPath, head: Head, stat: Stat) -> Stat:
        if (stat.mode, stat.mtime_ns) == (head.mode, head.mtime_ns):
            return stat
        return apply.adjust(self._root, path, stat, head.mode, head.mtime_ns)

    def rename(self, old: RelPath, new: RelPath, stat: Stat) -> Stat:
        """A directory as a whole, as the port says."""
        self._touched(old)
        self._touched(new)
        with translated(self._root, old):
            there = apply.move(self._root, old, new, stat)
            self._root.let_go()
            return there

    def set_meta(self, path: RelPath, head: Head, now: Stat) -> Stat:
        """Mode and mtime, by descriptor."""
        self._touched(path)
        with translated(self._root, path):
            mtime = head.mtime_ns if head.kind is Kind.FILE else None
            return apply.adjust(self._root, path, now, head.mode, mtime)

    def remove(self, path: RelPath, out: Out) -> None:
        """To the trash or the conflicts; of a directory it is listed that it was there."""
        self._touched(path)
        with translated(self._root, path):
            if out.stat.kind is Kind.DIR:
                apply.remove_dir(self._root, path)
                self._root.let_go()
                self.keeping.note_directory(path, out)
                return
            self.keeping.discard(path, out.stat, path, out)

    # -- keeping

    def keep_staged(self, path: RelPath, staged: Staged) -> None:
        """From the inbox to the conflicts."""
        with translated(self._root, path):
            self.keeping.keep_staged(path, staged)

    def keep_also(self, path: RelPath, digest: bytes) -> None:
        """Conflicts are kept by hash, and listed by path."""
        self.keeping.keep_also(path, digest)

    def release(self, path: RelPath, digests: tuple[bytes, ...]) -> None:
        """From the conflicts to the trash, unless another path needs them."""
        self.keeping.release(path, digests)
