"""What no event tells is looked at now and then: directories for which there was no watch, network file systems."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.engine.pace import Pace
from sidecar.engine.patience import Patience
from sidecar.engine.scan import Result, Scanner, in_slices
from sidecar.engine.unlisted import Unlisted
from sidecar.engine.watching import Watching
from sidecar.fs import limits
from sidecar.fs.watch import Watcher

log = structlog.get_logger(__name__)

SHARE: Final = 10
"""A look comes again after at least so many times what it took, so that looking takes a tenth of the loop at most."""


class Polling:
    """Polls the directories that have no watch, and tries to watch them.

    Args:
        patience: what waits for a disk that works waits in it.
        interval: seconds between two looks.
        network: the kind of file system on which other machines' writes raise no event, "" where all do; there the
            whole root is scanned as often (`pause`).
        scanning: is a scan running, which sees the same?
        missed: called with the paths that were found gone.
    """

    def __init__(
        self,
        watcher: Watcher,
        scanner: Scanner,
        dirty: Dirty,
        unlisted: Unlisted,
        watching: Watching,
        patience: Patience,
        *,
        interval: float,
        network: str,
        scanning: Callable[[], bool],
        missed: Callable[[list[RelPath]], None],
    ) -> None:
        self._watcher = watcher
        self._scanner = scanner
        self._dirty = dirty
        self._unlisted = unlisted
        self._watching = watching
        self._patience = patience
        self._scanning = scanning
        self._missed = missed
        self._told = False
        self._unwatched: list[RelPath] = []
        """at the last look"""
        self.interval: Final = interval
        self.network: Final = network

    def pause(self, took: float) -> float:
        """Seconds until the next look, after one that took `took` seconds."""
        return max(self.interval, SHARE * took)

    async def run(self) -> None:
        """Poll, for ever."""
        took = 0.0
        while True:
            await asyncio.sleep(self.pause(took))
            began = time.monotonic()
            if not self._scanning():
                await self._patience.through(self.look)
            took = time.monotonic() - began

    async def look(self) -> None:
        """One round."""
        before = self._watcher.unwatched
        await in_slices(self._watcher.retry(), Pace(rests=False))
        await self._watching.caught_up()
        self._unlisted.look_again()
        unwatched = self._watcher.unwatched
        self._tell(len(unwatched))
        # a directory that has its watch by now once more: of what had left it before that, no event told
        looked = sorted({*self._unwatched, *before, *unwatched})
        self._unwatched = unwatched
        if looked:
            await self._take(await self._scanner.look(looked))

    async def _take(self, seen: Result) -> None:
        """What was found goes in the order in which a visitor of a peer needs it."""
        self._unlisted.add(seen.refused)
        if not seen.differing:
            return
        await self._watching.caught_up()
        self._dirty.mark(*seen.links)
        await self._watching.caught_up()
        self._missed(seen.gone)

    def _tell(self, count: int) -> None:
        if count and not self._told:
            hint = limits.watches().raised
            log.warning("the limit on watches is reached", unwatched=count, polled_every=self.interval, hint=hint)
        elif self._told and not count:
            log.info("every directory is watched again")
        self._told = bool(count)
