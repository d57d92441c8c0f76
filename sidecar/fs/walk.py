"""The whole tree read directory by directory, in slices between which a loop can do other things."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import ROOT, RelPath, is_state, join
from sidecar.fs.faults import Denied, Missing
from sidecar.fs.stats import names_in, stats_in
from sidecar.fs.tree import DIRECTORY, Tree

SLICE: Final = 200
"""Names looked at between two yields: a millisecond."""


class Slice(NamedTuple):
    """Some of what lies in one directory; the slices of a directory follow each other, sorted by name.

    `last`: the directory is complete with this slice. `special`: names of FIFOs, sockets and devices. `refused`: the
    directory (or a name in it) cannot be read: nothing is known of what lies there, it is not empty.
    """

    path: RelPath
    entries: list[tuple[bytes, Stat]]
    special: list[bytes]
    last: bool
    refused: Denied | None = None


def walk(
    tree: Tree,
    excluded: Callable[[RelPath, bool], bool],
    top: RelPath = ROOT,
    size: int = SLICE,
) -> Iterator[Slice]:
    """Every directory from `top` down, excluded names and the state left out, a directory before what is in it.

    Memory: the names of the directory at hand, and those of the directories that wait on the way down. What vanishes
    meanwhile is left out; a directory that is missing altogether yields nothing.
    """
    waiting = [top]
    while waiting:
        path = waiting.pop()
        below: list[RelPath] = []
        for part in directory(tree, excluded, path, size):
            below.extend(join(path, name) for name, stat in part.entries if stat.kind is Kind.DIR)
            yield part
        waiting.extend(reversed(below))


def directory(
    tree: Tree, excluded: Callable[[RelPath, bool], bool], path: RelPath, size: int = SLICE
) -> Iterator[Slice]:
    """One directory alone, as `walk` reads it."""
    try:
        with tree.directory(path, DIRECTORY) as fd:
            names = names_in(fd)
            at = 0
            while True:
                part = names[at : at + size]
                at += size
                entries, special = stats_in(fd, part)
                kept = [(name, stat) for name, stat in entries if not _skipped(excluded, join(path, name), stat)]
                yield Slice(path, kept, special, at >= len(names))
                if at >= len(names):
                    return
    except Missing:
        return
    except Denied as refused:
        yield Slice(path, [], [], True, refused)


def _skipped(excluded: Callable[[RelPath, bool], bool], path: RelPath, stat: Stat) -> bool:
    return is_state(path) or excluded(path, stat.kind is Kind.DIR)
