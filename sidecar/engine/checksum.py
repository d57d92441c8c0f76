"""Every file against the hash of its row: finds bytes that went bad on the disk, which no event and no scan tells."""

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from sidecar.core.entry import Flag, Kind, Row, Stat, marked
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse
from sidecar.errors import GeorootError
from sidecar.fs.root import WebRoot
from sidecar.fs.tree import Tree
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

PAGE: Final = 1000
"""Rows read from the index at a time."""
AT_ONCE: Final = 4 << 20
"""Bytes hashed before others have their turn; or one larger file."""
FILES_AT_ONCE: Final = 64
REST: Final = 1.0
"""It rests for so many times as long as it hashed: on a small machine, half a core is left to all else."""


@dataclasses.dataclass(slots=True)
class Checking:
    """How far it is, and what was found."""

    total: int
    files: int = 0
    damaged: list[RelPath] = dataclasses.field(default_factory=list)


class Checksum:
    """Hashes all files of a web root, one round at a time, off the loop.

    A file is damaged if its bytes are not those of its row although its stat is, and that proves something: it is not
    racy, and nobody has it open (what is mapped may change, and its stat not). That is no edit: the row is marked as
    found, so that nobody is sent these bytes, and the version that a peer has takes their place when it is offered; the
    bytes go to the trash then.
    """

    def __init__(self, root: WebRoot, index: Index) -> None:
        self._root = root
        self._index = index
        self._turn = asyncio.Lock()
        self.damaged: set[RelPath] = set()
        """what was found so, and not healed yet when it was looked at last"""

    def still_damaged(self) -> list[RelPath]:
        """The paths that are still as they were found."""
        rows = {path: self._index.get(path) for path in self.damaged}
        self.damaged = {path for path, row in rows.items() if row is not None and marked(row.flags, Flag.FOUND)}
        return sorted(self.damaged)

    async def run(self, told: Callable[[Checking], None]) -> Checking:
        """Hash everything; `told` hears how far it is after every turn."""
        async with self._turn:
            # a descriptor of its own: that of the root is the loop's while it holds directories open
            tree = Tree(os.dup(self._root.fd))
            try:
                return await self._run(tree, told)
            finally:
                tree.close()

    async def _run(self, tree: Tree, told: Callable[[Checking], None]) -> Checking:
        done = Checking(self._index.counts()[Kind.FILE])
        at, top = 0, self._index.max_seq()
        while at < top:
            rows = [row for row in self._index.since(at, PAGE) if row.seq <= top]
            if not rows:
                break
            at = rows[-1].seq
            for part in _parts([row for row in rows if _proves(row)]):
                began = time.monotonic()
                wrong = await asyncio.to_thread(_differing, tree, part)
                done.damaged += [row.path for row, digest in wrong if self.is_damaged(row, digest)]
                told(done)
                await asyncio.sleep(REST * (time.monotonic() - began))
            done.files += sum(row.stat is not None and row.stat.kind is Kind.FILE for row in rows)
            told(done)
        return done

    def is_damaged(self, row: Row, digest: bytes) -> bool:
        """Bytes of this hash were read where the stat is that of `row`, and nobody had the file open: is that damage?
        Then it is marked so."""
        if not _proves(row) or row.hash == digest or self._index.get(row.path) != row:
            return False  # or somebody was faster
        self._index.put_stat(Row(row.path, row.version, row.stat, digest, row.seq, row.flags | Flag.FOUND))
        self.damaged.add(row.path)
        log.error("a file is damaged: its bytes changed though nobody wrote it", path=row.path)
        return True


def _proves(row: Row) -> bool:
    stat = row.stat
    return stat is not None and stat.kind is Kind.FILE and bool(row.hash) and not row.flags & (Flag.RACY | Flag.FOUND)


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += row.stat.size if row.stat is not None else 0
        if size >= AT_ONCE or len(part) >= FILES_AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _differing(tree: Tree, rows: list[Row]) -> list[tuple[Row, bytes]]:
    """Those whose bytes, read twice, are others than the row has, with the hash that they have."""
    wrong: list[tuple[Row, bytes]] = []
    for row in rows:
        first = _hashed(tree, row.path)
        if first is None or first[0] != row.stat or first[1] == row.hash:
            continue
        if _hashed(tree, row.path) == first:
            wrong.append((row, first[1]))
    return wrong


def _hashed(tree: Tree, path: RelPath) -> tuple[Stat, bytes] | None:
    def refuse(is_open: bool | None) -> None:
        if is_open:
            raise InUse(path)

    try:
        return tree.hash(path, refuse)
    except (GeorootError, InUse, OSError):
        return None  # gone, changing, open, or not to be read: its event, or the next scan, tells
