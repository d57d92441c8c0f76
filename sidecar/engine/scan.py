"""The whole root against the index: finds what events missed (downtime, overflow, file systems that tell nothing)."""

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from sidecar.core import observe, paths
from sidecar.core.entry import Kind, Row, Stat
from sidecar.core.observe import Change
from sidecar.core.paths import ROOT, RelPath
from sidecar.engine.turn import SLICE
from sidecar.fs.faults import Denied, Missing
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import Slice, directory, walk
from sidecar.fs.watch import Watcher
from sidecar.index.store import Index

COVER_SLICE: Final = 50
"""Directories watched between two pauses."""


@dataclasses.dataclass(slots=True)
class Result:
    """What one scan saw: `special` files, directories that `refused` to be listed, how long it took in seconds.

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


async def in_slices(directories: Iterator[RelPath]) -> None:
    """Have a watcher go over its directories, with a pause now and then."""
    for count, _ in enumerate(directories):
        if count % COVER_SLICE == 0:
            await asyncio.sleep(0)


class Scanner:
    """Scans on the loop in slices of a few milliseconds.

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

    async def scan(self, top: RelPath = ROOT) -> Result:
        """Watch what is not watched yet, then compare every directory from `top` down with its rows."""
        started = time.monotonic()
        if top == ROOT:
            await in_slices(self._watcher.cover())
        return await self._read(walk(self._root, self._excluded, top), started)

    async def look(self, directories: Iterable[RelPath]) -> Result:
        """Compare these directories alone with their rows: each by itself, not what lies deeper."""
        parts = (part for path in directories for part in directory(self._root, self._excluded, path))
        return await self._read(parts, time.monotonic())

    async def _read(self, parts: Iterator[Slice], started: float) -> Result:
        result = Result()
        there: dict[RelPath, Stat] = {}
        try:
            for part in parts:
                result.special += len(part.special)
                there.update((paths.join(part.path, name), stat) for name, stat in part.entries)
                if part.refused is not None:
                    result.refused[part.path] = part.refused
                elif part.last:
                    await self._compare(part.path, there, result)
                if part.last:
                    there = {}
                await asyncio.sleep(0)
        except Missing:
            pass
        result.differing += len(result.gone)
        result.seconds = time.monotonic() - started
        return result

    async def _compare(self, directory: RelPath, there: dict[RelPath, Stat], result: Result) -> None:
        rows = {row.path: row for row in self._index.children(directory)}
        result.files += len(there)
        differing = [path for path, stat in there.items() if observe.compare(rows.get(path), stat) is not Change.NONE]
        for path, row in rows.items():
            if path in there or row.stat is None:
                continue
            if self._is_excluded(row):
                await self._forget(row)
            else:
                result.gone.append(path)
        links = [path for path in differing if (stat := there.get(path)) is not None and stat.kind is Kind.SYMLINK]
        result.links += links
        result.differing += len(differing)
        if len(differing) > len(links):
            await self._changed([path for path in differing if path not in set(links)])

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
