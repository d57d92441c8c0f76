"""Copies of large files that lie here already (renamed at the peer, restored) are made off the loop, before the step
that places them: on a file system without reflinks a copy takes as long as its bytes."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import Entry, How
from sidecar.core.paths import RelPath
from sidecar.engine.replica import Replica
from sidecar.errors import GeorootError
from sidecar.fs import keep, stage
from sidecar.fs.root import WebRoot
from sidecar.fs.tree import Tree
from sidecar.index.store import Index

LARGE: Final = 1 << 20
"""Files from this size on are copied off the loop (bytes)."""


class Copies:
    """Copies made ahead, by hash. Whoever finds none makes its own, on the loop."""

    def __init__(self, root: WebRoot, index: Index) -> None:
        self._root = root
        self._index = index
        self._made: dict[bytes, stage.Staged] = {}

    def stored(self, digest: bytes) -> tuple[Tree, RelPath] | None:
        """Where among the conflicts or in the trash these bytes lie."""
        if self._index.has_conflict(digest):
            return self._root.conflicts, keep.conflict_name(digest)
        trashed = self._index.trash_with(digest)
        return (self._root.trash, trashed) if trashed is not None else None

    async def for_entry(self, entry: Entry, leaving: Mapping[RelPath, Entry], replica: Replica) -> bytes:
        """Make the copy that landing this entry will want; its hash, b"" if none was made. `leaving`: what a rename may
        take instead."""
        best = versions.winner(entry.version)
        if best is None or best.kind is not Kind.FILE or best.size < LARGE:
            return b""
        row = replica.row(entry.path)
        if row.hash == best.hash or versions.merge(row.version, entry.version) == row.version:
            return b""
        old = RelPath(entry.name)
        if entry.how is How.FROM and old not in leaving and replica.row(old).hash == best.hash:
            return await self._make(self._root, old, best.hash)
        return await self.of_stored(best.hash, best.size) if entry.how is How.NONE else b""

    async def of_stored(self, digest: bytes, size: int) -> bytes:
        """Make a copy of kept bytes, if they are many; their hash, b"" if none was made."""
        found = self.stored(digest) if size >= LARGE else None
        return await self._make(*found, digest) if found is not None else b""

    async def _make(self, tree: Tree, path: RelPath, digest: bytes) -> bytes:
        if digest in self._made:
            return b""
        copying = asyncio.ensure_future(asyncio.to_thread(stage.copy_ahead, self._root, tree, path))
        try:
            made = await asyncio.shield(copying)
        except asyncio.CancelledError:
            copying.add_done_callback(self._come_too_late)
            raise
        except GeorootError:
            return b""  # gone, changing, or the disk is full: the step itself tells
        if made.hash != digest or digest in self._made:
            stage.drop(self._root.inbox, made.name)
            return b""
        self._made[digest] = made
        return digest

    def _come_too_late(self, copying: asyncio.Future[stage.Staged]) -> None:
        """The link was cut while it was made."""
        if not copying.cancelled() and copying.exception() is None:
            with suppress(GeorootError):
                stage.drop(self._root.inbox, copying.result().name)

    def take(self, digest: bytes) -> stage.Staged | None:
        """The copy that was made ahead, to be placed now."""
        made = self._made.pop(digest, None)
        return stage.adopt(self._root, made) if made is not None else None

    def drop(self, digest: bytes) -> None:
        """It was not needed."""
        made = self._made.pop(digest, None)
        if made is not None:
            with suppress(GeorootError):
                stage.drop(self._root.inbox, made.name)
