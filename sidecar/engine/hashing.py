"""Large files of the web root are hashed off the loop, before they are absorbed."""

import asyncio
from contextlib import suppress
from typing import Final

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.disk import RootDisk
from sidecar.fs.faults import Denied, Raced, Special
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index

LARGE: Final = 4 << 20
"""Files from this size on are hashed off the loop (bytes)."""


class Hashing:
    """Each hash is a task that ends with the path, to be absorbed now, or with None: it was written meanwhile, and has
    to be looked at again; or raises Unreachable."""

    def __init__(self, root: WebRoot, index: Index, disk: RootDisk) -> None:
        self._root = root
        self._index = index
        self._disk = disk
        self.tasks: dict[asyncio.Task[RelPath | None], RelPath] = {}
        """all that go on, with what they hash"""

    def needed(self, path: RelPath, stat: Stat) -> bool:
        """Is it a large file whose hash nobody knows?"""
        if stat.kind is not Kind.FILE or stat.size < LARGE:
            return False
        row = self._index.get(path)
        return not ((row is not None and row.stat == stat) or self._disk.is_hashed(path, stat))

    def start(self, path: RelPath) -> asyncio.Task[RelPath | None] | None:
        """Begin to hash the file at `path`; None: somebody has it open for writing."""
        with suppress(Raced, Denied, Special):  # the hash meets it too, and says so
            if self._root.is_open_for_writing(path):
                return None
        task = asyncio.ensure_future(self._hash(path))
        self.tasks[task] = path
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[RelPath | None]) -> None:
        del self.tasks[task]

    async def _hash(self, path: RelPath) -> RelPath | None:
        try:
            stat, digest = await asyncio.to_thread(self._root.hash, path)
        except Raced:
            return None
        except (Denied, Special) as error:
            raise Unreachable(path, str(error), error.hint) from error
        self._disk.hashed(path, stat, digest)
        return path
