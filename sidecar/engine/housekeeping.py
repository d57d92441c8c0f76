"""What is done now and then: old trash and partial files go, the index is checkpointed, racy rows are looked at again,
memory that was freed goes back."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from sidecar.core.entry import Flag
from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.engine.partials import Partials
from sidecar.engine.ticks import tick
from sidecar.errors import EnvironmentFault, GeorootError, NeedsHelp, Retryable
from sidecar.fs import stage, syscalls
from sidecar.fs.root import WebRoot
from sidecar.index.faults import IndexDamaged
from sidecar.index.kept import Trashed
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

CHECKPOINT: Final = 10.0
"""Seconds between two checkpoints of the index."""
REST: Final = 5.0
"""Seconds in which nothing was written, after which memory is given back: 0.1 ms when there is none to give."""
RESTS: Final = 12
"""The first of so many rests in a row gives back, for what needs memory and writes nothing: a scan, a status."""
TRASH: Final = 60.0
YOUNG_US: Final = 3_600_000_000
"""Younger trash than this is not dropped for its size alone."""
RACY: Final = 1.0
EXPIRED_AT_ONCE: Final = 50
"""Pieces of trash that go before others have their turn: some milliseconds."""


@contextmanager
def later() -> Iterator[None]:
    """A full disk, or one that fails for a moment, is no reason to end: the next round tries again."""
    try:
        yield
    except IndexDamaged:
        raise
    except (Retryable, NeedsHelp, EnvironmentFault, OSError) as error:
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
        dirty: Dirty,
        partials: Partials,
        *,
        trash_keep: float,
        trash_max: int,
        racy: bool,
        now_us: Callable[[], int],
        expired: Callable[[], None],
    ) -> None:
        self._root = root
        self._index = index
        self._dirty = dirty
        self._partials = partials
        self._trash_keep = trash_keep
        self._trash_max = trash_max
        self._racy = racy
        self._now_us = now_us
        self._expired = expired

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What must run, by name."""
        tasks: dict[str, Coroutine[Any, Any, None]] = {
            "checkpoints": self.checkpoints(),
            "trash": self.trash(),
            "index": self.index_is_sound(),
            "memory": self.memory(),
        }
        return tasks | {"racy": self.racy_rows()} if self._racy else tasks

    async def index_is_sound(self) -> None:
        """A link or a command that met a damaged index only says so: here it ends the run.

        Raises:
            IndexDamaged: it is to be set aside and built anew.
        """
        damaged = asyncio.Event()
        self._index.on_damage(damaged.set)
        self._index.sound()
        await damaged.wait()
        self._index.sound()

    async def checkpoints(self) -> None:
        """Moves the log of the index into the index, off the loop."""
        moved = -1
        while True:
            await tick(CHECKPOINT)
            written = self._index.statements
            if written == moved:
                continue
            with later():
                await asyncio.to_thread(self._index.checkpoint)
                moved = written

    async def memory(self) -> None:
        """Gives back what a burst or a scan has left, as soon as nothing is written any more, and now and then."""
        before, rests = -1, 0
        gc.collect()
        gc.freeze()  # modules, and what a node consists of, stay to the end: no collection looks at them any more
        while True:
            await tick(REST)
            written = self._index.rows_written
            rests = rests + 1 if written == before else 0
            if rests % RESTS == 1:
                self._index.release()
                gc.collect()  # circles, and the free lists of Python: one object of them keeps 1 MiB from going back
                await asyncio.to_thread(syscalls.malloc_trim)
            before = written

    async def trash(self) -> None:
        """Drops what is older than the limit, then, above the size limit, the oldest that is not young; and what is
        left of large files that nobody sends any more."""
        while True:
            with later():
                await self.expire()
                self._expired()
                self._partials.expire()
            await asyncio.sleep(TRASH)

    async def expire(self) -> None:
        """One round of it: all that is due, in slices so that the hot path is not held up."""
        stuck: set[bytes] = set()
        """what could not go: the rest goes nevertheless"""
        while due := self._due(stuck):
            for item in due:
                self._drop(item, stuck)
            await asyncio.sleep(0)

    def _due(self, stuck: set[bytes]) -> list[Trashed]:
        """The next of it."""
        now, due = self._now_us(), []
        over = self._index.trash_bytes() - self._trash_max
        for item in self._index.oldest_trash(len(stuck) + EXPIRED_AT_ONCE):
            age = now - item.at_us
            if age < self._trash_keep * 1_000_000 and (over <= 0 or age < YOUNG_US):
                break
            if item.name not in stuck:
                over -= item.size
                due.append(item)
        return due

    def _drop(self, item: Trashed, stuck: set[bytes]) -> None:
        try:
            stage.drop(self._root.trash, RelPath(item.name))
        except GeorootError as error:
            log.warning("a piece of trash cannot go", name=item.name, why=str(error))
            stuck.add(item.name)
        else:
            self._index.drop_trash(item.name)

    async def racy_rows(self) -> None:
        """Looks again at what changed within one tick of the file system's clock, when the tick is over."""
        while True:
            await asyncio.sleep(RACY)
            with later():
                self._dirty.mark(*(row.path for row in self._index.flagged(Flag.RACY)))
