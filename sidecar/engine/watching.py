"""The loop from events to rows: dirty paths are absorbed in slices, what is being written is looked at again."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Unreachable
from sidecar.engine.absorb import Absorber, Trouble
from sidecar.engine.dirty import Dirty
from sidecar.engine.disk import RootDisk
from sidecar.errors import Retryable
from sidecar.fs.faults import Denied, Raced, Special
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import walk
from sidecar.fs.watch import Reason, Watcher
from sidecar.index.store import Index
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

SLICE: Final = 256
"""Paths absorbed in one transaction, before others have their turn."""
LOOK_AGAIN: Final = 0.25
"""Seconds until a file that was being written is looked at again, unless its close says so before."""
TROUBLE_AGAIN: Final = 10.0
"""The same for a path that cannot be read."""
INDEX_AGAIN: Final = 2.0
"""The same while the index cannot be written (a full disk)."""
LARGE_HASH: Final = 4 << 20
"""Files from this size on are hashed off the loop (bytes)."""


class Watching:
    """Events and scans come in, rows go out.

    Args:
        overflowed: called when events were lost and a scan is due.
        arrived: called with the inbox names under which files appeared.
        mend: called before paths are looked at: finishes what a failed transaction left.
        absorbed: called after every slice, when rows may have changed.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        watcher: Watcher,
        absorber: Absorber,
        disk: RootDisk,
        metrics: Metrics,
        *,
        excluded: Callable[[RelPath, bool], bool],
        overflowed: Callable[[], None],
        arrived: Callable[[list[RelPath]], None],
        mend: Callable[[], None],
        absorbed: Callable[[], None],
    ) -> None:
        self._root = root
        self._index = index
        self._watcher = watcher
        self._absorber = absorber
        self._disk = disk
        self._metrics = metrics
        self._excluded = excluded
        self._overflowed = overflowed
        self._arrived = arrived
        self._mend = mend
        self._absorbed = absorbed
        self._wake = asyncio.Event()
        self._calm = asyncio.Event()
        self._more = False
        self._hashing: set[asyncio.Task[None]] = set()
        self.dirty = Dirty()
        self.troubles: dict[RelPath, Trouble] = {}
        self.root_lost = False
        self.overflows = 0
        self.problem = ""
        """why nothing can be written to the index just now"""

    def start(self) -> None:
        """Read events from now on."""
        asyncio.get_running_loop().add_reader(self._watcher.fileno(), self._read)

    def stop(self) -> None:
        """Read no more events."""
        asyncio.get_running_loop().remove_reader(self._watcher.fileno())

    def mark(self, paths: list[RelPath]) -> None:
        """Look at these paths, though no event named them."""
        for path in paths:
            self.dirty.mark(path)
        self._calm.clear()
        self._wake.set()

    @property
    def busy(self) -> bool:
        """Is something marked or being hashed? What somebody has open, or cannot be read, does not count."""
        return bool(self.dirty.paths or self._hashing or self._more)

    async def caught_up(self) -> None:
        """Returns when everything that was written before the call has been looked at.

        What somebody has open then, or cannot be read, is left out.
        """
        self._calm.clear()
        self._read()
        await self._calm.wait()

    def unreadable(self) -> list[tuple[RelPath, Unreachable]]:
        """The paths that cannot be read, each with why."""
        return [(path, trouble) for path, trouble in self.troubles.items() if isinstance(trouble, Unreachable)]

    def _read(self) -> None:
        seen = self._watcher.read()
        if seen.arrived:
            self._arrived(seen.arrived)
        for path, reason in seen.dirty:
            if reason & Reason.WRITING and not reason & ~Reason.WRITING:
                # its close will say so; where it never comes, the look after that decides
                self.dirty.put_off(path, LOOK_AGAIN)
                continue
            self.dirty.mark(path)
            if reason & Reason.TREE:
                self._mark_beneath(path)
        if seen.overflow:
            self.overflows += 1
            self._metrics.overflows.inc()
            self._overflowed()
        self.root_lost = self.root_lost or seen.root_lost
        self._more = seen.more
        if seen.more:
            asyncio.get_running_loop().call_soon(self._read)
        self._wake.set()

    def _mark_beneath(self, directory: RelPath) -> None:
        for part in walk(self._root, self._excluded, directory):
            for name, _ in part.entries:
                self.dirty.mark(RelPath(part.path + b"/" + name))

    async def run(self) -> None:
        """Absorb what is marked, for ever."""
        while True:
            await self._woken()
            self.dirty.wake_due()
            while self.dirty.paths:
                self._slice(self.dirty.take(SLICE))
                await asyncio.sleep(0)
            if not self.busy:
                self._calm.set()

    async def _woken(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), LOOK_AGAIN if self.dirty.later else None)
        except TimeoutError:
            return
        self._wake.clear()

    def _slice(self, paths: list[RelPath]) -> None:
        here = [path for path in paths if not self._hash_ahead(path)]
        self.absorb(here)
        self._absorbed()

    def absorb(self, paths: list[RelPath]) -> None:
        """Look at these paths now, in one transaction.

        Raises:
            Retryable: the index cannot be written in the first scan; later, the paths wait instead.
        """
        try:
            self._mend()
            with self._index.transaction(), self._root.holding():
                troubles = self._absorber.absorb(paths)
        except Retryable as error:
            if self._absorber.finding:
                raise
            self._wait(paths, str(error))
            return
        self.problem = ""
        for path in paths:
            if path not in troubles:
                self.troubles.pop(path, None)
        for path, trouble in troubles.items():
            self._put_off(path, trouble)

    def _wait(self, paths: list[RelPath], problem: str) -> None:
        if not self.problem:
            log.error("changes cannot be taken up", problem=problem)
        self.problem = problem
        for path in paths:
            self.dirty.put_off(path, INDEX_AGAIN)

    def _put_off(self, path: RelPath, trouble: Trouble) -> None:
        if isinstance(trouble, InUse):
            self.dirty.put_off(path, LOOK_AGAIN)
            return
        if path not in self.troubles:
            log.warning("a path cannot be replicated", path=path, why=trouble.why, hint=trouble.hint)
        self.troubles[path] = trouble
        self.dirty.put_off(path, TROUBLE_AGAIN)

    # -- large files

    def _hash_ahead(self, path: RelPath) -> bool:
        """Is the file so large that its hash is made off the loop first? Then it comes back when that is done."""
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            return False
        if stat is None or stat.kind is not Kind.FILE or stat.size < LARGE_HASH:
            return False
        row = self._index.get(path)
        if (row is not None and row.stat == stat) or self._disk.is_hashed(path, stat):
            return False
        task = asyncio.ensure_future(self._hash(path))
        self._hashing.add(task)
        task.add_done_callback(self._hashing.discard)
        return True

    async def _hash(self, path: RelPath) -> None:
        try:
            if self._root.is_open_for_writing(path):
                self.dirty.put_off(path, LOOK_AGAIN)
                return
            stat, digest = await asyncio.to_thread(self._root.hash, path)
        except (Raced, Denied, Special):
            self.dirty.put_off(path, LOOK_AGAIN)
            return
        finally:
            self._wake.set()
        self._disk.hashed(path, stat, digest)
        self.mark([path])
