"""May a directory be renamed as a whole? By its rows, by what lies on the disk, and by what events tell."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from sidecar.core import compare, paths
from sidecar.core import move as moves
from sidecar.core.entry import Kind, Row
from sidecar.core.frames import Renamed
from sidecar.core.move import Tree
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import Surprise, Unreachable
from sidecar.engine.replica import Replica

SLICE: Final = 256
"""Rows that are written, or looked at, before others have their turn: some milliseconds."""


class Judge:
    """Judges one directory at a time, for `engine.moving`.

    Args:
        disturbed: was, as far as events tell by now, something changed at or beneath one of these two names?
        size: rows, or names, in one go.
    """

    def __init__(self, replica: Replica, *, disturbed: Callable[[RelPath, RelPath], bool], size: int = SLICE) -> None:
        self._replica = replica
        self._store = replica.store
        self._disturbed = disturbed
        self._size = size
        self.spoiled = False
        """has a row of what is being judged changed since that began?"""

    async def judged(self, old: RelPath, new: RelPath, said: Renamed | None) -> Tree | None:
        """The rows of a directory that lies just as they tell: beneath `new` already, or, if a peer `said` that it was
        renamed there, by these rows, still beneath `old`, as its names tell. None: it is not to be renamed as a whole.
        """
        self.spoiled = False
        if paths.beneath(new, old) or paths.beneath(old, new) or old == new:
            return None
        top = self._store.get(old)
        if (
            top is None
            or top.stat is None
            or top.stat.kind is not Kind.DIR
            or not self._is_directory(paths.parent(new))
        ):
            return None
        (rows, total), (graves, more) = await self._rows(old), await self._rows(new)
        tree = moves.tree(rows, graves, old, new, total ^ more) if len(rows) + len(graves) <= moves.MOST else None
        if tree is None or (said is not None and (len(tree.live), tree.sum) != (said.count, said.sum)):
            return None
        try:
            as_told = await (self._lies(tree, old, new) if said is None else self._has_names(tree, old))
        except (Surprise, Unreachable):
            return None
        return tree if as_told else None

    def _is_directory(self, path: RelPath) -> bool:
        row = self._store.get(path) if path != ROOT else None
        return path == ROOT or (
            row is not None and row.stat is not None and row.stat.kind is Kind.DIR and not row.flags
        )

    async def _rows(self, directory: RelPath) -> tuple[list[Row], int]:
        """Those at and beneath it, one more than too many if there are too many, and what they sum up to."""
        top, found, total = self._store.get(directory), list[Row](), 0
        for row in itertools.chain([top] if top is not None else [], self._store.beneath(directory)):
            found.append(row)
            total ^= compare.sum_of(row.path, row.version)
            if len(found) > moves.MOST:
                break
            if len(found) % self._size == 0:
                await asyncio.sleep(0)
        return found, total

    async def _has_names(self, tree: Tree, old: RelPath) -> bool:
        """Does beneath `old` lie what the rows tell, by name and kind, and nothing excluded, which would go along?

        Files are looked at when all of it has gone to its new name: who writes to one goes on there, and what was
        written before is a write after the rename.
        """
        known = {row.path: row for row in tree.live}
        missing = len(known) - 1
        for part in self._replica.disk.kinds(old):
            for path, kind in part:
                row = known.get(path)
                if row is None or row.stat is None or row.stat.kind is not kind:
                    return False
                if kind is not Kind.FILE:
                    stat = self._replica.disk.look(path)
                    if stat is None or not moves.lies(row, stat):
                        return False
            missing -= len(part)
            await asyncio.sleep(0)
        return missing == 0

    async def _lies(self, tree: Tree, old: RelPath, new: RelPath) -> bool:
        """Does just what the rows tell lie beneath `new`? Who has a file open writes on in it, under its new name."""
        known = {moves.under(row.path, old, new): row for row in tree.live}
        missing = len(known) - 1
        for part in self._replica.disk.tree(new):
            for path, stat in part:
                row = known.get(path)
                if row is None or not moves.lies(row, stat):
                    return False
            missing -= len(part)
            await asyncio.sleep(0)
        return missing == 0

    def still(self, tree: Tree, old: RelPath, new: RelPath, *, moved: bool) -> bool:
        """Is it as it was judged, as far as anybody has heard, and under the one name alone?"""
        if self._disturbed(old, new) or self.spoiled:
            return False
        here, elsewhere = (new, old) if moved else (old, new)
        try:
            there = self._replica.disk.look(here)
            return there is not None and moves.lies(tree.live[0], there) and self._replica.disk.look(elsewhere) is None
        except Unreachable:
            return False
