"""What was looked at goes into rows, in one transaction; what cannot go there waits, and is listed."""

import time
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

import structlog

from sidecar.core.entry import Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Unreachable
from sidecar.engine.absorb import Absorber, Trouble
from sidecar.engine.dirty import Dirty
from sidecar.engine.unlisted import Unlisted
from sidecar.errors import NeedsHelp, Retryable
from sidecar.fs.faults import Special
from sidecar.fs.root import WebRoot
from sidecar.index.faults import IndexDamaged
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

TROUBLE_AGAIN: Final = 10.0
"""Seconds until a path that cannot be read is looked at again."""
INDEX_AGAIN: Final = 2.0
"""The same while the index cannot be written (a full disk)."""


class Intake:
    """Absorbs paths, and says which could not be.

    Args:
        dirty: where what waits comes back.
        unlisted: the directories that cannot be listed.
        mend: called before paths are looked at: finishes what a failed transaction left.
        rows_lost: called when a transaction failed in which rows were told of.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        absorber: Absorber,
        dirty: Dirty,
        unlisted: Unlisted,
        *,
        mend: Callable[[], None],
        rows_lost: Callable[[], None],
    ) -> None:
        self._root = root
        self._index = index
        self._absorber = absorber
        self._dirty = dirty
        self._unlisted = unlisted
        self._mend = mend
        self._rows_lost = rows_lost
        self.troubles: dict[RelPath, Trouble] = {}
        self.problem = ""
        """why nothing can be written to the index just now"""
        self._again_at = 0.0

    def absorb(
        self,
        paths: list[RelPath],
        looked: Mapping[RelPath, Stat] | None = None,
        gone: Container[RelPath] = (),
        *,
        left: bool = False,
    ) -> list[RelPath]:
        """Look at these paths now, in one transaction; with `looked`, absorb what is as it was then. Returns those that
        were being changed, and are to be looked at again at once; what waits for anything else comes by itself.

        Once the index could not be written, nothing is tried until `INDEX_AGAIN` later: all of it comes together then,
        in the order that peers need. `gone` and `left`: see `Absorber.absorb`.

        Raises:
            Retryable, NeedsHelp: nothing can be written in the first scan; later, the paths wait instead.
            IndexDamaged.
        """
        if time.monotonic() < self._again_at:
            self.wait(paths, self.problem)
            return []
        try:
            self._mend()
            with self._index.transaction(), self._root.looking():
                troubles = self._absorber.absorb(paths, looked, gone, left=left)
        except (Retryable, NeedsHelp) as error:
            if self._absorber.finding or isinstance(error, IndexDamaged):
                raise
            self._rows_lost()
            self.wait(paths, str(error))
            return []
        self.problem = ""
        for path in paths:
            if path not in troubles:
                self.troubles.pop(path, None)
        for path, trouble in troubles.items():
            self.put_off(path, trouble)
        return [path for path, trouble in troubles.items() if isinstance(trouble, InUse)]

    def wait(self, paths: Iterable[RelPath], problem: str) -> None:
        """The index, or the disk, does not let these be looked at."""
        if not self.problem:
            log.error("changes cannot be taken up", problem=problem)
        self.problem = problem
        now = time.monotonic()
        if now >= self._again_at:
            self._again_at = now + INDEX_AGAIN
        for path in paths:
            self._dirty.put_off_until(path, self._again_at)
        self._dirty.wake()

    def put_off(self, path: RelPath, trouble: Trouble) -> None:
        """This path cannot be absorbed now."""
        if isinstance(trouble, InUse):
            self._dirty.is_written(path)
            return
        if path not in self.troubles:
            log.warning("a path cannot be replicated", path=path, why=trouble.why, hint=trouble.hint)
        self.troubles[path] = trouble
        self._dirty.put_off(path, TROUBLE_AGAIN)
        self._dirty.wake()

    def unreadable(self) -> list[tuple[RelPath, Unreachable]]:
        """The directories that cannot be listed, and the paths that cannot be read, each with why."""
        troubles = [(path, trouble) for path, trouble in self.troubles.items() if isinstance(trouble, Unreachable)]
        return [*self._unlisted.paths.items(), *troubles]

    def unsent(self) -> dict[RelPath, Unreachable]:
        """Those of them of which a peer misses something: of a FIFO, socket or device none does, but for what the row
        says lay there."""
        return {
            path: trouble
            for path, trouble in self.unreadable()
            if not isinstance(trouble.__cause__, Special) or self._lay_there(path)
        }

    def _lay_there(self, path: RelPath) -> bool:
        row = self._index.get(path)
        return row is not None and row.stat is not None
