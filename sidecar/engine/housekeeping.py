"""What is done now and then: old trash goes, the index is checkpointed, racy rows are looked at again."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from sidecar.core.entry import Flag
from sidecar.core.paths import RelPath
from sidecar.engine.watching import Watching
from sidecar.errors import NeedsHelp, Retryable
from sidecar.fs import stage
from sidecar.fs.root import WebRoot
from sidecar.index.faults import IndexDamaged
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

CHECKPOINT: Final = 10.0
"""Seconds between two checkpoints of the index."""
TRASH: Final = 60.0
YOUNG_US: Final = 3_600_000_000
"""Younger trash than this is not dropped for its size alone."""
RACY: Final = 1.0
EXPIRED_AT_ONCE: Final = 500


@contextmanager
def _later() -> Iterator[None]:
    """A full disk, or one file that cannot go, is no reason to end: the next round tries again."""
    try:
        yield
    except IndexDamaged:
        raise
    except (Retryable, NeedsHelp) as error:
        log.warning("housekeeping is put off", why=str(error))


class Housekeeping:
    """The timers of a node.

    Args:
        trash_keep: seconds; trash_max: bytes.
        expired: called after a round of it.
        racy: look for racy rows; False where the clock of the file system has no grain.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        watching: Watching,
        *,
        trash_keep: float,
        trash_max: int,
        racy: bool,
        now_us: Callable[[], int],
        expired: Callable[[], None],
    ) -> None:
        self._root = root
        self._index = index
        self._watching = watching
        self._trash_keep = trash_keep
        self._trash_max = trash_max
        self._racy = racy
        self._now_us = now_us
        self._expired = expired

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What must run, by name."""
        tasks: dict[str, Coroutine[Any, Any, None]] = {"checkpoints": self.checkpoints(), "trash": self.trash()}
        return tasks | {"racy": self.racy_rows()} if self._racy else tasks

    async def checkpoints(self) -> None:
        """Moves the log of the index into the index, off the loop."""
        while True:
            await asyncio.sleep(CHECKPOINT)
            with _later():
                await asyncio.to_thread(self._index.checkpoint)

    async def trash(self) -> None:
        """Drops what is older than the limit, then, above the size limit, the oldest that is not young."""
        while True:
            with _later():
                self.expire()
                self._expired()
            await asyncio.sleep(TRASH)

    def expire(self) -> None:
        """One round of it, bounded so that the hot path is not held up."""
        now = self._now_us()
        over = self._index.trash_bytes() - self._trash_max
        for item in self._index.oldest_trash(EXPIRED_AT_ONCE):
            age = now - item.at_us
            if age < self._trash_keep * 1_000_000 and (over <= 0 or age < YOUNG_US):
                break
            over -= item.size
            stage.drop(self._root.trash, RelPath(item.name))
            self._index.drop_trash(item.name)

    async def racy_rows(self) -> None:
        """Looks again at what changed within one tick of the file system's clock, when the tick is over."""
        while True:
            await asyncio.sleep(RACY)
            self._watching.mark([row.path for row in self._index.flagged(Flag.RACY)])
