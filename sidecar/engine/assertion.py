"""A root that is to win everywhere: every path that lies in it is written anew, over all that anybody has."""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Final

from sidecar.core import observe, paths
from sidecar.core.entry import APART, NO_FLAGS, Flag, Kind, Row, marked
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import InUse, Surprise, Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.landing import Landing
from sidecar.engine.replica import Replica
from sidecar.index.store import Index

AT_ONCE: Final = 256
"""Rows written in one transaction, before others have their turn."""


@dataclasses.dataclass(slots=True)
class Extent:
    """What an assertion is about: paths that are here, the size of their files in bytes, and paths that are gone here
    and that nobody heard so of."""

    here: int = 0
    size: int = 0
    gone: int = 0


class Assertion:
    """Writes what lies here over all heads; what is gone here though its row says otherwise becomes a deletion.

    Nothing of it is remembered: ended in the middle, it is asked for, and done, once more.
    """

    def __init__(self, index: Index, replica: Replica, absorber: Absorber, landing: Landing) -> None:
        self._index = index
        self._replica = replica
        self._absorber = absorber
        self._landing = landing

    async def extent(self, path: RelPath) -> Extent:
        """What would be written: `path` and what is beneath it (ROOT: everything)."""
        found = Extent()
        for rows in _slices(self._rows(path)):
            for row in rows:
                if self._is_there(row):
                    found.here += 1
                    found.size += row.stat.size if row.stat is not None and row.stat.kind is Kind.FILE else 0
                else:
                    found.gone += 1
            await asyncio.sleep(0)
        return found

    async def write(self, path: RelPath, goes_on: Callable[[], bool]) -> bool:
        """Do it: directories before what is in them, then what is gone, the deepest first; False: it did not go on to
        the end, and what was written until then stays."""
        gone: list[RelPath] = []
        for rows in _slices(self._rows(path)):
            if not goes_on():
                return False
            self._landing.mend()
            with self._landing.committed(), self._index.transaction():
                gone += [row.path for row in rows if not self._written(row)]
            await asyncio.sleep(0)
        gone.sort(key=paths.depth, reverse=True)
        for start in range(0, len(gone), AT_ONCE):
            if not goes_on():
                return False
            with self._landing.committed(), self._index.transaction():
                for one in gone[start : start + AT_ONCE]:
                    self._deleted(one)
            await asyncio.sleep(0)
        return True

    def _rows(self, path: RelPath) -> Iterator[Row]:
        own = self._index.get(path) if path != ROOT else None
        live = itertools.chain([own] if own is not None else [], self._index.beneath(path, live_only=True))
        # a deleted directory that stays for its excluded names alone is none that anybody has
        return (row for row in live if row.stat is not None and not marked(row.flags, Flag.KEPT))

    def _written(self, row: Row) -> bool:
        """Write it anew; False: it is gone."""
        try:
            row = self._absorber.refresh(row.path)
        except (InUse, Surprise, Unreachable):  # what its writer does comes after this, as a write of its own
            row = self._replica.row(row.path)
        if row.stat is None or not self._is_there(row):
            return row.stat is None
        dot = self._replica.dots.on(row.version)
        after = observe.written(row, row.stat, row.hash, dot, row.flags & ~APART)
        self._replica.commit(after, local=True, content=False)
        return True

    def _deleted(self, path: RelPath) -> None:
        row = self._replica.row(path)
        if row.stat is None or self._is_there(row):
            return
        self._replica.commit(observe.written(row, None, b"", self._replica.dots.on(row.version), NO_FLAGS), local=True)

    def _is_there(self, row: Row) -> bool:
        try:
            return self._replica.disk.look(row.path) is not None
        except Unreachable:
            return True


def _slices(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while part := list(itertools.islice(rows, AT_ONCE)):
        yield part
