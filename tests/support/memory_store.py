"""A store of rows over a dict: what the simulation runs on, held to the same conformance suite as SQLite."""

from collections.abc import Collection, Iterator

from sidecar.core import paths
from sidecar.core.entry import Row
from sidecar.core.move import Move
from sidecar.core.paths import RelPath


class MemoryStore:
    """`core.store.RowStore` without a disk. `copy()` is what a snapshot of the volume, or a crash, leaves."""

    def __init__(self) -> None:
        self._rows: dict[RelPath, Row] = {}
        self._seq = 0
        self._moves: dict[RelPath, Move] = {}

    def look_ahead(self, paths: Collection[RelPath]) -> None:
        """There is nothing to be read."""

    def copy(self) -> "MemoryStore":
        """The store as it is now."""
        other = MemoryStore()
        other._rows, other._seq, other._moves = dict(self._rows), self._seq, dict(self._moves)
        return other

    def get(self, path: RelPath) -> Row | None:
        return self._rows.get(path)

    def put(self, row: Row) -> Row:
        self._seq += 1
        stored = Row(row.path, row.version, row.stat, row.hash, self._seq, row.flags)
        self._rows[row.path] = stored
        return stored

    def put_stat(self, row: Row) -> Row:
        old = self._rows.get(row.path)
        if old is None:
            return self.put(row)
        stored = Row(row.path, old.version, row.stat, row.hash, old.seq, row.flags)
        self._rows[row.path] = stored
        return stored

    def remove(self, path: RelPath) -> None:
        self._rows.pop(path, None)

    def children(self, directory: RelPath) -> list[Row]:
        return [self._rows[path] for path in sorted(self._rows) if paths.parent(path) == directory]

    def beneath(self, directory: RelPath, *, live_only: bool = False) -> Iterator[Row]:
        inside = [path for path in self._rows if paths.beneath(path, directory)]
        for path in sorted(inside, key=lambda p: (paths.parent(p), p)):
            row = self._rows.get(path)
            if row is not None and not (live_only and row.stat is None):
                yield row

    def by_inode(self, ino: int) -> list[Row]:
        return [row for row in self._rows.values() if row.stat is not None and row.stat.ino == ino]

    def since(self, seq: int, limit: int) -> list[Row]:
        return sorted((row for row in self._rows.values() if row.seq > seq), key=lambda row: row.seq)[:limit]

    def max_seq(self) -> int:
        return self._seq

    def keep_move(self, move: Move) -> None:
        self._moves[move.old] = move

    def drop_move(self, move: Move) -> None:
        self._moves.pop(move.old, None)

    def moves(self) -> list[Move]:
        return [self._moves[old] for old in sorted(self._moves)]
