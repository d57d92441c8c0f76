"""What leaves the web root is kept: in the trash, or among the conflicts, and listed in the index."""

import functools
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Keep, Missing, Out, Staged, Surprise
from sidecar.engine.cameout import CameOut
from sidecar.errors import GeorootError
from sidecar.fs import faults, keep
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

UNKEPT: Final = (faults.NoSpace, faults.ReadOnly, faults.Denied)
"""What came out of the root could not be kept: it goes back, for nothing may leave that is not kept."""


class Keeping:
    """The trash and the conflicts of one web root.

    Args:
        source: the region on whose behalf the root is being changed, "" for none: noted in the trash.
    """

    def __init__(self, root: WebRoot, index: Index, now_us: Callable[[], int]) -> None:
        self._root = root
        self._index = index
        self._now_us = now_us
        self._trashed = 0
        self.source = ""

    def have(self, digest: bytes) -> bool:
        """Are these bytes kept anywhere?"""
        return self.in_conflicts(digest) or self._index.trash_with(digest) is not None

    def in_conflicts(self, digest: bytes) -> bool:
        """Are they among the conflicts, where nothing ages out?"""
        return self._index.has_conflict(digest)

    def discard(self, at: RelPath, stat: Stat, path: RelPath, out: Out) -> None:
        """What lies `at` with this stat leaves the root and is kept as what `path` was."""
        name = self.trash_name()
        gone = keep.to_trash(self._root, at, name, stat)
        if not gone.was(stat):
            keep.put_back(self._root, name, at)
            if gone.still_open:
                raise InUse(path)
            raise Surprise
        if out.keep is Keep.CONFLICT and stat.kind is Kind.FILE:
            try:
                keep.to_conflicts(self._root, self._root.trash, name, out.hash)
            except UNKEPT:
                keep.put_back(self._root, name, at)
                raise
            self._index.add_conflict(path, out.hash, self._now_us())
        else:
            self._list_trash(name, path, out)

    def note_directory(self, path: RelPath, out: Out) -> None:
        """Of a directory nothing is kept but what it was: a restore makes it anew."""
        self._list_trash(self.trash_name(), path, out)

    def keep_tree(self, tree: CameOut, out: Out) -> None:
        """A directory that an exchange took out of the root goes to the trash, and all that was in it by itself.

        Raises:
            Surprise, InUse, and what `UNKEPT` names: all of it lies in the inbox again.
        """
        names = tree.to_trash(self.trash_name)
        for path, left in (*tree.beneath.items(), (tree.path, out)):
            # of a directory in it nothing is kept but what it was: a restore makes it anew
            self._list_trash(names.get(path) or self.trash_name(), path, left)

    def keep_came_out(self, path: RelPath, inbox_name: RelPath, out: Out) -> None:
        """What an exchange took out of the root, and lies in the inbox, is kept."""
        if out.stat.kind is Kind.FILE and out.keep is Keep.CONFLICT:
            keep.to_conflicts(self._root, self._root.inbox, inbox_name, out.hash)
            self._index.add_conflict(path, out.hash, self._now_us())
            return
        name = self.trash_name()
        keep.out_to_trash(self._root, inbox_name, name)
        self._list_trash(name, path, out)

    def keep_staged(self, path: RelPath, staged: Staged) -> None:
        """From the inbox to the conflicts."""
        name = RelPath(staged.batch.encode() + b"/" + staged.name)
        try:
            keep.to_conflicts(self._root, self._root.inbox, name, staged.hash)
        except faults.Missing as error:
            raise Missing from error
        self._index.add_conflict(path, staged.hash, self._now_us())

    def keep_also(self, path: RelPath, digest: bytes) -> None:
        """Conflicts are kept by hash, and listed by path."""
        if self.in_conflicts(digest):
            self._index.add_conflict(path, digest, self._now_us())

    def release(self, path: RelPath, digests: tuple[bytes, ...]) -> None:
        """From the conflicts to the trash, unless another path needs them: listed now, moved when that is committed."""
        for digest in digests:
            if not self._index.drop_conflict(path, digest):
                continue  # another path's conflict needs the same bytes
            stat = self._root.conflicts.lstat(keep.conflict_name(digest))
            if stat is not None:
                name = self.trash_name()
                self._list_trash(name, path, Out(stat, digest, Keep.CONFLICT))
                self._index.after_commit(functools.partial(self._release, name, digest))

    def _release(self, name: RelPath, digest: bytes) -> None:
        if self._index.has_conflict(digest):
            self._index.drop_trash(name)  # listed for another path since
            return
        try:
            keep.conflict_to_trash(self._root, digest, name)
        except GeorootError as error:
            log.warning("bytes of a conflict stay where they are until the next start", name=name, why=str(error))

    def trash_name(self) -> RelPath:
        """A fresh name in the trash: the hour, then the moment."""
        self._trashed += 1
        return RelPath(b"%x/%x" % (self._now_us() // 3_600_000_000, self._now_us() * 1000 + self._trashed % 1000))

    def _list_trash(self, name: RelPath, path: RelPath, out: Out) -> None:
        self._index.add_trash(name, path, out.stat, out.hash, out.keep, self.source, self._now_us())
