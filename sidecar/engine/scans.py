"""When the whole web root is scanned, and what becomes of what a scan finds."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.engine.finds import Finds
from sidecar.engine.holds import Holds
from sidecar.engine.patience import Patience
from sidecar.engine.scan import Result, Scanner
from sidecar.engine.status import HoldKind
from sidecar.engine.unlisted import Unlisted
from sidecar.engine.watching import Watching
from sidecar.fs.root import WebRoot
from sidecar.fs.watch import Watcher
from sidecar.index.store import Index
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

HELD_SCAN: Final = 5.0
"""Seconds between two scans while one is held, so that putting the files back ends it; or longer, where a scan takes
more than a tenth of that."""


class Scans:
    """Scans when it is asked to and at every interval; what differs is absorbed, what is gone may be held.

    Args:
        finds: takes up what the first scan of a new index finds.
        patience: what waits for space waits in it.
        pause: seconds until the next scan, after one that took so many.
        quiet: a scan that found nothing is no news, because scans stand in for events here.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        watcher: Watcher,
        dirty: Dirty,
        unlisted: Unlisted,
        watching: Watching,
        finds: Finds,
        holds: Holds,
        metrics: Metrics,
        patience: Patience,
        *,
        excluded: Callable[[RelPath, bool], bool],
        pause: Callable[[float], float],
        quiet: bool,
    ) -> None:
        self._index = index
        self._dirty = dirty
        self._unlisted = unlisted
        self._watching = watching
        self._finds = finds
        self._holds = holds
        self._metrics = metrics
        self._pause = pause
        self._quiet = quiet
        self._due = asyncio.Event()
        self._finding = False
        self.patience = patience
        self.scanner = Scanner(root, index, watcher, excluded, self._differs)
        self.running = False
        self.last: Result | None = None
        self.ended_at = 0.0
        """when the last scan ended (monotonic seconds)"""

    def soon(self) -> None:
        """Look at everything, now or after the scan that is running."""
        self._due.set()

    async def first(self) -> None:
        """Scan at full speed; what a new index meets, or what differs after a power loss, is found, not written."""
        await self.patience.through(lambda: self._scan(finding=self._index.finding, rests=False))

    async def run(self) -> None:
        """Scan whenever it is due, for ever."""
        while True:
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            await self.patience.through(lambda: self._scan(finding=False, rests=True))

    def _until_next(self) -> float:
        took = self.last.worked if self.last is not None else 0.0
        pause = self._pause(took)
        return min(pause, max(HELD_SCAN, 10 * took)) if HoldKind.SCAN in self._holds.active else pause

    async def _scan(self, *, finding: bool, rests: bool) -> None:
        self.running = True
        self._finding = finding
        try:
            self._unlisted.scan_begins()
            self.last = await self.scanner.scan(rests=rests)
            await self._caught_up()
            await self._differs(self.last.links)
            await self._caught_up()
            self._unlisted.scan_ended(self.last.refused)
            await self._vanished(self.last.gone)
        finally:
            self._finding = False
            self.running = False
        self.ended_at = time.monotonic()
        self._metrics.scanned(self.last.seconds)
        (log.debug if self._quiet and not self.last.differing else log.info)(
            "scan done",
            paths=self.last.files,
            differing=self.last.differing,
            seconds=round(self.last.seconds, 3),
        )

    async def _caught_up(self) -> None:
        if self._finding:
            await self._finds.take_up_large()
        else:
            await self._watching.caught_up()

    async def _differs(self, paths: list[RelPath]) -> None:
        if self._finding:
            await self._finds.take_up(paths)
        else:
            self._dirty.mark(*paths)

    async def _vanished(self, gone: list[RelPath]) -> None:
        """What a scan did not find was deleted, unless it is most of the tree: then somebody is asked first."""
        count = 0
        for path in gone:
            count += 1 + self._live_beneath(path)
            await asyncio.sleep(0)
        if not self._holds.scan(gone, count):
            await self._differs(gone)

    def missed(self, gone: list[RelPath]) -> None:
        """The same where only some directories were looked at: what may be held is for a whole scan to say."""
        count = sum(1 + self._live_beneath(path) for path in gone)
        if HoldKind.SCAN in self._holds.active or self._holds.is_much(count):
            self.soon()
        else:
            self._dirty.mark(*gone)

    def _live_beneath(self, path: RelPath) -> int:
        row = self._index.get(path)
        if row is None or row.stat is None or row.stat.kind is not Kind.DIR:
            return 0
        return self._index.count_beneath(path)
