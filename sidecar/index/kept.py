"""What left the web root and is kept: the losers of conflicts, and the trash."""

import dataclasses
from typing import Any, Final

import msgspec

from sidecar.core.entry import Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep
from sidecar.index.database import Table
from sidecar.index.faults import IndexDamaged

_encode: Final = msgspec.msgpack.Encoder().encode
_stat: Final = msgspec.msgpack.Decoder(Stat).decode


def _select(condition: str) -> str:
    return f"SELECT name, path, stat, hash, reason, source, at_us FROM trash {condition}"  # noqa: S608 - ours


_ADD_TRASH: Final = """
    INSERT INTO trash (name, path, stat, size, hash, reason, source, at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_WITH_HASH: Final = _select("WHERE hash = ? AND hash <> x'' ORDER BY at_us DESC LIMIT 1")
_OF_PATH: Final = _select("WHERE path = ? ORDER BY at_us DESC")
_OLDEST: Final = _select("ORDER BY at_us LIMIT ?")
_YOUNGEST: Final = _select("ORDER BY at_us DESC LIMIT ?")
_BENEATH: Final = "SELECT DISTINCT path FROM trash WHERE path > ? AND path < ? ORDER BY path"
_SINCE: Final = _select("WHERE at_us >= ? ORDER BY at_us LIMIT ?")
_CONFLICT_WITH_HASH: Final = "SELECT path, hash, since_us FROM conflicts WHERE hash = ? LIMIT 1"
_CONFLICTS_OF_PATH: Final = "SELECT path, hash, since_us FROM conflicts WHERE path = ? ORDER BY since_us"
_CONFLICTS: Final = "SELECT path, hash, since_us FROM conflicts ORDER BY path, since_us"


@dataclasses.dataclass(frozen=True, slots=True)
class Conflict:
    """The bytes with `hash` lie in conflicts/ for a losing head of `path`, since `since_us` (µs since 1970)."""

    path: RelPath
    hash: bytes
    since_us: int


@dataclasses.dataclass(frozen=True, slots=True)
class Trashed:
    """What was at `path` lies in trash/ as `name`: why it left, on behalf of which region ("": this one), and when
    (µs since 1970)."""

    name: RelPath
    path: RelPath
    stat: Stat
    hash: bytes
    reason: Keep
    source: str
    at_us: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stat.size


class KeptTables(Table):
    """The part of the index that knows what lies in conflicts/ and trash/."""

    # -- conflicts

    def add_conflict(self, path: RelPath, digest: bytes, now_us: int) -> None:
        """The bytes of a losing head of `path` are in conflicts/."""
        self._db.run("INSERT OR IGNORE INTO conflicts (path, hash, since_us) VALUES (?, ?, ?)", (path, digest, now_us))

    def drop_conflict(self, path: RelPath, digest: bytes) -> bool:
        """`path` no longer needs these bytes; True: no other path does either."""
        self._db.run("DELETE FROM conflicts WHERE path = ? AND hash = ?", (path, digest))
        return not self.has_conflict(digest)

    def has_conflict(self, digest: bytes) -> bool:
        """Are these bytes in conflicts/?"""
        return self._db.one(_CONFLICT_WITH_HASH, (digest,)) is not None

    def conflicts(self, path: RelPath | None = None) -> list[Conflict]:
        """What lies in conflicts/, or what of it is for `path`; by path, oldest first."""
        rows = self._db.all(_CONFLICTS) if path is None else self._db.all(_CONFLICTS_OF_PATH, (path,))
        return [Conflict(*row) for row in rows]

    def conflict_count(self) -> int:
        """How many there are: a head that lost, a path."""
        (n,) = self._db.one("SELECT count(*) FROM conflicts") or (0,)
        return int(n)

    # -- trash

    def add_trash(
        self, name: RelPath, path: RelPath, stat: Stat, digest: bytes, reason: Keep, source: str, now_us: int
    ) -> None:
        """What was at `path` lies in trash/ as `name`."""
        row = (name, path, _encode(stat), stat.size, digest, Keep(reason).value, source, now_us)
        self._db.later("trash", _ADD_TRASH, row)
        if self._db.trash is not None:
            n, size = self._db.trash
            self._db.trash = (n + 1, size + stat.size)

    def drop_trash(self, name: RelPath) -> None:
        """It is in trash/ no more."""
        self._db.run("DELETE FROM trash WHERE name = ?", (name,))
        self._db.trash = None

    def trash_with(self, digest: bytes) -> RelPath | None:
        """The name in trash/ of a file with these bytes, the youngest."""
        row = self._db.one(_WITH_HASH, (digest,))
        return RelPath(row[0]) if row is not None else None

    def trash_named(self, digest: bytes) -> list[RelPath]:
        """The names in trash/ of all files with these bytes."""
        return [RelPath(name) for (name,) in self._db.all("SELECT name FROM trash WHERE hash = ?", (digest,))]

    def lists_trash(self, name: RelPath) -> bool:
        """Is what lies in trash/ as `name` listed?"""
        return self._db.one("SELECT 1 FROM trash WHERE name = ?", (name,)) is not None

    def trash_of(self, path: RelPath) -> list[Trashed]:
        """What was at `path`, youngest first."""
        return [_trashed(row) for row in self._db.all(_OF_PATH, (path,))]

    def oldest_trash(self, limit: int) -> list[Trashed]:
        """What has been in trash/ for the longest, oldest first."""
        return [_trashed(row) for row in self._db.all(_OLDEST, (limit,))]

    def youngest_trash(self, limit: int) -> list[Trashed]:
        """What came to trash/ last, youngest first."""
        return [_trashed(row) for row in self._db.all(_YOUNGEST, (limit,))]

    def trash_beneath(self, directory: RelPath) -> list[RelPath]:
        """Every path beneath a directory of which something lies in trash/, in order."""
        return [RelPath(path) for (path,) in self._db.all(_BENEATH, (directory + b"/", directory + b"0"))]

    def trash_since(self, us: int, limit: int) -> list[Trashed]:
        """What went to trash/ at `us` (µs since 1970) or later, oldest first."""
        return [_trashed(row) for row in self._db.all(_SINCE, (us, limit))]

    def trash_bytes(self) -> int:
        """The size of all trash, in bytes."""
        return self._total()[1]

    def trash_count(self) -> int:
        """How many paths lie in trash/."""
        return self._total()[0]

    def _total(self) -> tuple[int, int]:
        if self._db.trash is None:
            n, size = self._db.one("SELECT n, bytes FROM trash_total") or (0, 0)
            self._db.trash = (int(n), int(size))
        return self._db.trash


def _trashed(row: tuple[Any, ...]) -> Trashed:
    name, path, stat, digest, reason, source, at_us = row
    try:
        return Trashed(RelPath(name), RelPath(path), _stat(stat), digest, Keep(reason), source, at_us)
    except (msgspec.MsgspecError, ValueError) as error:
        raise IndexDamaged(f"what is known of {name!r} in the trash does not decode: {error}") from error
