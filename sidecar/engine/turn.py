"""What a look at marked paths told, and which paths have to do with others."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Stat
from sidecar.core.paths import RelPath
from sidecar.index.store import Index

SLICE: Final = 256
"""Paths that are looked at before others have their turn."""


@dataclasses.dataclass(slots=True)
class Turn:
    """What was marked, by what a look at it told."""

    there: list[RelPath] = dataclasses.field(default_factory=list)
    links: dict[RelPath, Stat] = dataclasses.field(default_factory=dict)
    gone: list[RelPath] = dataclasses.field(default_factory=list)


def left_before(gone: Iterable[RelPath], links: Collection[RelPath]) -> frozenset[RelPath]:
    """What has gone of which peers may hear before `links`, the symlinks that had changed by then: all of it, but
    nothing as long as there are some, for one of them may have led there until a moment before."""
    return frozenset() if links else frozenset(gone)


async def deepest_first(index: Index, directory: RelPath) -> AsyncIterator[list[RelPath]]:
    """All that lies in a directory as the rows say, what is deepest first, in slices between which others have their
    turn."""
    there: list[RelPath] = []
    for row in index.beneath(directory, live_only=True):
        there.append(row.path)
        if len(there) % SLICE == 0:
            await asyncio.sleep(0)
    there.reverse()
    for start in range(0, len(there), SLICE):
        yield there[start : start + SLICE]


def on_one_way(others: Iterable[RelPath]) -> Callable[[RelPath], bool]:
    """Tells of a path whether one of `others` is the same, or a directory above it, or beneath it."""
    these = set(others)
    above = {directory for path in these for directory in paths.ancestors(path)}

    def told(path: RelPath) -> bool:
        return path in these or path in above or any(directory in these for directory in paths.ancestors(path))

    return told
