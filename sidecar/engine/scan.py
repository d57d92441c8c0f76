"""The whole root against the index: finds what events missed (downtime, overflow, file systems that tell nothing)."""

import asyncio
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Final

from sidecar.core import observe, paths
from sidecar.core.entry import Kind, Row, Stat
from sidecar.core.observe import Change
from sidecar.core.paths import RelPath
from sidecar.engine.pace import Pace
from sidecar.engine.turn import SLICE
from sidecar.fs.faults import Denied, Missing
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import Slice, directory, walk
from sidecar.fs.watch import Watcher
from sidecar.index.store import Index

ROWS: Final = 200
"""Rows of a directory that are compared at a time: a millisecond."""


@dataclasses.dataclass(slots=True)
class Result:
    """What one scan saw: `special` files, directories that `refused` to be listed, how long it took in seconds, and how
    long it kept the loop busy.

    `links` are the symlinks that differ: what they lead to is to be taken up before. `gone` are the paths that rows
    name and that are not there; of a directory that is gone, it alone.
    """

    files: int = 0
    differing: int = 0
    special: int = 0
    refused: dict[RelPath, Denied] = dataclasses.field(default_factory=dict)
    links: list[RelPath] = dataclasses.field(default_factory=list)
    gone: list[RelPath] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    worked: float = 0.0


async def in_slices(directories: Iterator[RelPath], pace: Pace) -> None:
    """Have a watcher go over its directories."""
    for _ in directories:
        await pace.step()


class Scanner:
    """Scans on the loop, in slices.

    Args:
        changed: given the paths of one directory that differ from their rows, and are there, and are no symlinks.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        watcher: Watcher,
        excluded: Callable[[RelPath, bool], bool],
        changed: Callable[[list[RelPath]], Awaitable[None]],
    ) -> None:
        self._root = root
        self._index = index
        self._watcher = watcher
        self._excluded = excluded
        self._changed = changed

    async def scan(self, *, rests: bool) -> Result:
        """Watch what is not watched yet, then compare every directory with its rows; `rests`: at half speed."""
        started, pace = time.monotonic(), Pace(rests=rests)
        await in_slices(self._watcher.cover(), pace)
        return await self._read(walk(self._root, self._excluded), started, pace)

    async def look(self, directories: Iterable[RelPath]) -> Result:
        """Compare these directories alone with their rows: each by itself, not what lies deeper."""
        parts = (part for path in directories for part in directory(self._root, self._excluded, path))
        return await self._read(parts, time.monotonic(), Pace(rests=False))

    async def _read(self, parts: Iterator[Slice], started: float, pace: Pace) -> Result:
        result = Result()
        there: dict[RelPath, Stat] = {}
        try:
            for part in parts:
                result.special += len(part.special)
                there.update((paths.join(part.path, name), stat) for name, stat in part.entries)
                if part.refused is not None:
                    result.refused[part.path] = part.refused
                elif part.last:
                    await self._compare(part.path, there, result, pace)
                if part.last:
                    there = {}
                await pace.step()
        except Missing:
            pass
        result.differing += len(result.gone)
        result.seconds, result.worked = time.monotonic() - started, pace.worked
        return result

    async def _compare(self, directory: RelPath, there: dict[RelPath, Stat], result: Result, pace: Pace) -> None:
        result.files += len(there)
        differing: list[tuple[RelPath, Stat]] = []
        async for rows in self._rows_in(directory, pace):
            for row in rows:
                stat = there.pop(row.path, None)
                if stat is not None:
                    if observe.compare(row, stat) is not Change.NONE:
                        differing.append((row.path, stat))
                elif row.stat is None:
                    continue
                elif self._is_excluded(row):
                    await self._forget(row)
                else:
                    result.gone.append(row.path)
        differing += there.items()  # no row names them
        result.differing += len(differing)
        result.links += sorted(path for path, stat in differing if stat.kind is Kind.SYMLINK)
        if changed := sorted(path for path, stat in differing if stat.kind is not Kind.SYMLINK):
            await self._changed(changed)

    async def _rows_in(self, directory: RelPath, pace: Pace) -> AsyncIterator[list[Row]]:
        after = b""
        while rows := self._index.children_after(directory, after, ROWS):
            yield rows
            if len(rows) < ROWS:
                return
            after = paths.name(rows[-1].path)
            await pace.step()

    def _is_excluded(self, row: Row) -> bool:
        return row.stat is not None and self._excluded(row.path, row.stat.kind.name == "DIR")

    async def _forget(self, row: Row) -> None:
        """What is excluded by now leaves without a tombstone."""
        while beneath := list(itertools.islice(self._index.beneath(row.path), SLICE)):
            self._remove(beneath)
            await asyncio.sleep(0)
        self._remove([row])

    def _remove(self, rows: list[Row]) -> None:
        with self._index.transaction():
            for row in rows:
                self._index.remove(row.path)
