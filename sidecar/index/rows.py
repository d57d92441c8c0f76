"""One row a path."""

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from sidecar.core import compare
from sidecar.core import version as versions
from sidecar.core.entry import Flag, Kind, Row, Stat, Version, marked
from sidecar.core.paths import MAX_NAME, ROOT, RelPath
from sidecar.index.database import Table
from sidecar.index.faults import IndexDamaged

HASH_PAGE: Final = 10_000
"""Rows among which a hash is looked for at a time: some milliseconds."""
PAGE: Final = 1000
"""Rows read at a time by what goes through many."""
KNOWN: Final = 4096
"""Rows that are remembered as they are stored: some four megabytes."""

AHEAD: Final = 128
"""Rows read by one statement."""
WORTH_IT: Final = 4
"""Rows from which on that is worth it."""

_encode: Final = msgspec.msgpack.Encoder().encode
version_of: Final = msgspec.msgpack.Decoder(Version).decode
_stat: Final = msgspec.msgpack.Decoder(Stat).decode
_DEAD: Final = Kind.TOMBSTONE.value
_FLAGS: Final = tuple(Flag(bits) for bits in range(1 << len(Flag)))


def _select(condition: str) -> str:
    return f"SELECT parent, name, version, stat, hash, seq, flags FROM rows {condition}"  # noqa: S608 - ours


_GET: Final = _select("WHERE parent = ? AND name = ?")
_SINCE: Final = _select("WHERE seq > ? ORDER BY seq LIMIT ?")
_BY_INODE: Final = "SELECT parent, name FROM rows WHERE ino = ?"
_CHILDREN: Final = _select("WHERE parent = ? ORDER BY name")
_CHILDREN_AFTER: Final = _select("WHERE parent = ? AND name > ? ORDER BY name LIMIT ?")
_LIVE_CHILDREN: Final = _select("WHERE parent = ? AND kind <> 0 ORDER BY name")
_BENEATH: Final = _select("WHERE (parent, name) > (?, ?) AND parent < ? ORDER BY parent, name LIMIT ?")
_LIVE_BENEATH: Final = _select(
    "WHERE (parent, name) > (?, ?) AND parent < ? AND kind <> 0 ORDER BY parent, name LIMIT ?"
)
_COUNT_BENEATH: Final = "SELECT count(*) FROM rows WHERE parent >= ? AND parent < ? AND kind <> 0"
_OLD_TOMBSTONES: Final = _select(
    "WHERE gone_us < ? AND (gone_us, seq) > (?, ?) AND kind = 0 ORDER BY gone_us, seq LIMIT ?"
)
_MARKED: Final = _select("WHERE flags = ? AND flags <> 0 AND seq > ? ORDER BY seq LIMIT ?")
_END_OF_PAGE: Final = "SELECT max(seq) FROM (SELECT seq FROM rows WHERE seq > ? ORDER BY seq LIMIT ?)"
_WITH_HASH: Final = "SELECT parent, name FROM rows WHERE seq > ? AND seq <= ? AND hash = ? AND kind = ? LIMIT 1"
_PUT: Final = """
    INSERT INTO rows (seq, parent, name, kind, ino, gone_us, flags, version, stat, hash, summand)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (parent, name) DO UPDATE SET
        seq = excluded.seq, kind = excluded.kind, ino = excluded.ino, gone_us = excluded.gone_us,
        flags = excluded.flags, version = excluded.version, stat = excluded.stat, hash = excluded.hash,
        summand = excluded.summand
"""
_PUT_STAT: Final = """
    UPDATE rows SET kind = ?, ino = ?, gone_us = ?, flags = ?, stat = ?, hash = ?
    WHERE seq = ? AND parent = ? AND name = ?
"""
_REMOVE: Final = "DELETE FROM rows WHERE parent = ? AND name = ? RETURNING seq"


class Rows(Table):
    """The rows: `core.store.RowStore`, and what only the engine's own loops ask."""

    # -- the port

    def get(self, path: RelPath) -> Row | None:
        """The row of `path`, None if there is none."""
        known = self._db.known
        if path in known:
            row: Row | None = known[path]
            return row
        found = self._db.peek(_GET, split(path))
        row = self._decoded(found[0]) if found else None
        self._know(path, row)
        return row

    def look_ahead(self, paths: Collection[RelPath]) -> None:
        """Rows that will be asked for one by one are read by a statement for each directory."""
        if len(paths) < WORTH_IT:
            return
        names: dict[bytes, list[bytes]] = {}
        for path in paths:
            if path not in self._db.known:
                parent, name = split(path)
                names.setdefault(parent, []).append(name)
        for parent, unknown in names.items():
            for start in range(0, len(unknown), AHEAD):
                self._look_ahead(parent, unknown[start : start + AHEAD])

    def _look_ahead(self, parent: bytes, names: list[bytes]) -> None:
        if len(self._db.known) + len(names) >= KNOWN:
            self._forget()
        rows: dict[bytes, Any] = dict.fromkeys(path_of(parent, name) for name in names)
        for found in self._db.peek(
            _select(f"WHERE parent = ? AND name IN ({','.join('?' * len(names))})"), (parent, *names)
        ):
            row = self._decoded(found)
            rows[row.path] = row
        self._db.known |= rows

    def _put_off(self, before: Row | None, row: Row) -> None:
        self._count(before, row)
        if row.stat is not None:
            self._db.inodes.setdefault(row.stat.ino, {})[row.path] = None
        self._know(row.path, row)

    def _know(self, path: RelPath, row: Row | None) -> None:
        if len(self._db.known) >= KNOWN:
            self._forget()
        self._db.known[path] = row

    def _forget(self) -> None:
        self._db.flush()  # a row whose statement was put off is among them, or `get` would read what it was
        self._db.known.clear()

    def put(self, row: Row) -> Row:
        """Store a row whose version changed, whatever its `seq` says; returns it with its new seq, the highest."""
        db = self._db
        before, seq = self.get(row.path), db.seq + 1
        kind, ino, gone_us, stat = _of_stat(row)
        parent, name = split(row.path)
        flags = row.flags.value
        summand = compare.sum_of(row.path, row.version)
        arguments = (seq, parent, name, kind, ino, gone_us, flags, _encode(row.version), stat, row.hash, summand)
        db.later("rows", _PUT, arguments)
        db.seq = seq
        db.written += 1
        stored = Row(row.path, row.version, row.stat, row.hash, seq, row.flags)
        self._put_off(before, stored)
        return stored

    def put_stat(self, row: Row) -> Row:
        """Store stat, hash and flags of a row of which only what lies in the root changed: version and seq stay as they
        are stored. A path without a row is put. Returns what is stored then."""
        before = self.get(row.path)
        if before is None:
            return self.put(row)
        stored = Row(row.path, before.version, row.stat, row.hash, before.seq, row.flags)
        kind, ino, gone_us, stat = _of_stat(stored)
        arguments = (kind, ino, gone_us, stored.flags.value, stat, stored.hash, stored.seq, *split(stored.path))
        self._db.later("rows", _PUT_STAT, arguments)
        self._db.written += 1
        self._put_off(before, stored)
        return stored

    def _count(self, before: Row | None, after: Row | None) -> None:
        counts = self._db.counts
        if before is not None:
            counts[_kind(before)] -= 1
        if after is not None:
            counts[_kind(after)] += 1

    def remove(self, path: RelPath) -> None:
        """Forget a path without a tombstone; its seq is not given again."""
        with self._db.transaction():
            before = self.get(path)
            for (seq,) in self._db.all(_REMOVE, split(path)):
                self._db.written += 1
                self._count(before, None)
                self._know(path, None)
                if seq == self._db.seq:
                    self._db.run("UPDATE node SET removed_seq = ?", (seq,))

    def children(self, directory: RelPath, *, live_only: bool = False) -> list[Row]:
        """The rows directly in `directory`, by name; `live_only`: those that say something lies there."""
        return [
            self._decoded(found) for found in self._db.all(_LIVE_CHILDREN if live_only else _CHILDREN, (directory,))
        ]

    def children_after(self, directory: RelPath, name: bytes, limit: int) -> list[Row]:
        """The first `limit` of all rows directly in `directory` that come after `name`, by name; `b""`: from the first
        on."""
        return [self._decoded(found) for found in self._db.all(_CHILDREN_AFTER, (directory, name, limit))]

    def beneath(self, directory: RelPath, *, live_only: bool = False) -> Iterator[Row]:
        """The rows at any depth in `directory` (`ROOT`: all), each once, a directory before what is in it.

        Rows may be written meanwhile: those that were not passed yet are seen as they are then.
        """
        for first, end in _ranges(directory):
            at: tuple[bytes, bytes] = (first, b"")
            while page := self._db.all(_LIVE_BENEATH if live_only else _BENEATH, (*at, end, PAGE)):
                at = (page[-1][0], page[-1][1])
                yield from map(self._decoded, page)

    def count_beneath(self, directory: RelPath) -> int:
        """How many paths there are in the root at any depth in `directory`, as the rows say."""
        counts = (self._db.one(_COUNT_BENEATH, ends) or (0,) for ends in _ranges(directory))
        return sum(int(n) for (n,) in counts)

    def by_inode(self, ino: int) -> list[Row]:
        """The rows that say this inode lies there."""
        # asked of every file that appears: what was put off is not written for it
        paths = dict.fromkeys(path_of(*found) for found in self._db.peek(_BY_INODE, (_signed(ino),)))
        paths |= self._db.inodes.get(ino, {})
        rows = (self.get(path) for path in paths)
        return [row for row in rows if row is not None and row.stat is not None and row.stat.ino == ino]

    def with_hash(self, digest: bytes, after: int) -> tuple[RelPath | None, int | None]:
        """A path at which a file with these bytes lies, among the next rows above seq `after`; where to go on if there
        is none, None: that was all."""
        (end,) = self._db.one(_END_OF_PAGE, (after, HASH_PAGE)) or (None,)
        if end is None:
            return None, None
        found = self._db.one(_WITH_HASH, (after, end, digest, Kind.FILE.value))
        return (path_of(*found), None) if found is not None else (None, int(end))

    def since(self, seq: int, limit: int) -> list[Row]:
        """The first `limit` rows above `seq`, in the order of their seq."""
        return [self._decoded(found) for found in self._db.all(_SINCE, (seq, limit))]

    def max_seq(self) -> int:
        """The highest seq ever given, 0 at first."""
        return self._db.seq

    # -- what only the index answers

    def flagged(self, flag: Flag, limit: int = -1) -> list[Row]:
        """The rows with any of the marks in `flag`; at most `limit`, -1: all."""
        marks = ", ".join(str(bits) for bits in range(1, len(_FLAGS)) if bits & flag)
        sql = _select(f"WHERE flags IN ({marks}) AND flags <> 0 LIMIT ?")
        return [self._decoded(found) for found in self._db.all(sql, (limit,))]

    def count_flagged(self, flag: Flag) -> int:
        """How many rows have any of the marks in `flag`."""
        marks = ", ".join(str(bits) for bits in range(1, len(_FLAGS)) if bits & flag)
        (n,) = self._db.one(f"SELECT count(*) FROM rows WHERE flags IN ({marks}) AND flags <> 0") or (0,)  # noqa: S608 - ours
        return int(n)

    def found(self, limit: int, *, symlinks: bool) -> list[Row]:
        """The first `limit` found rows that are not held: those of symlinks, or all others."""
        marks = ", ".join(str(bits) for bits in range(1, len(_FLAGS)) if bits & Flag.FOUND and not bits & Flag.HELD)
        is_one = "=" if symlinks else "<>"
        sql = _select(f"WHERE flags IN ({marks}) AND flags <> 0 AND kind {is_one} {Kind.SYMLINK.value} LIMIT ?")
        return [self._decoded(one) for one in self._db.all(sql, (limit,))]

    def each_flagged(self, flag: Flag) -> Iterator[Row]:
        """Every row with the mark `flag`, a page at a time; rows may be written meanwhile."""
        for marks in (bits for bits in range(1, len(_FLAGS)) if bits & flag):
            at = 0
            while page := [self._decoded(found) for found in self._db.all(_MARKED, (marks, at, PAGE))]:
                at = page[-1].seq
                yield from page

    def racy(self, limit: int = -1) -> list[Row]:
        """The rows whose stat proves nothing yet."""
        return self.flagged(Flag.RACY, limit)

    def tombstones_older_than(self, us: int, limit: int, after: tuple[int, int] = (-1, 0)) -> list[Row]:
        """Rows of paths where nothing lies and that nobody has written since `us` (µs since 1970), oldest first: those
        that come after this (newest counter, seq)."""
        return [self._decoded(found) for found in self._db.all(_OLD_TOMBSTONES, (us, *after, limit))]

    def counts(self) -> dict[Kind, int]:
        """How many paths there are of each kind; `TOMBSTONE`: where nothing lies. Costs the same for any number."""
        return {kind: self._db.counts[kind.value] for kind in Kind}

    def live_count(self) -> int:
        """How many paths there are in the root."""
        return sum(self._db.counts.values()) - self._db.counts[_DEAD]

    def count_since(self, seq: int) -> int:
        """How many rows changed after `seq`."""
        (n,) = self._db.one("SELECT count(*) FROM rows WHERE seq > ?", (seq,)) or (0,)
        return int(n)

    def _decoded(self, found: tuple[Any, ...]) -> Row:
        try:
            return decoded(found)
        except IndexDamaged as error:
            self._db.note_damage(error)
            raise

    @property
    def rows_written(self) -> int:
        """Rows written since the index was opened: put, put_stat and remove."""
        return self._db.written


def _ranges(directory: RelPath) -> list[tuple[bytes, bytes]]:
    """The parents of what is in a directory, at any depth: each from the first, to the last but not included."""
    # the names directly in it, then every parent that begins with "directory/": "/" + 1 is "0"
    if directory:
        return [(directory, directory + b"\0"), (directory + b"/", directory + b"0")]
    return [(ROOT, b"\xff" * (MAX_NAME + 1))]


def split(path: RelPath) -> tuple[bytes, bytes]:
    """The parent and the name of a path, as the columns have them."""
    parent, _, name = path.rpartition(b"/")
    return parent, name


def _signed(ino: int) -> int:
    # SQLite's integers are signed: the upper half of the inode numbers (some overlay and network file systems) wraps
    return ino if ino < 1 << 63 else ino - (1 << 64)


def _kind(row: Row) -> int:
    return row.stat.kind.value if row.stat is not None else _DEAD


def _of_stat(row: Row) -> tuple[int, int | None, int | None, bytes | None]:
    if row.stat is None:
        return _DEAD, None, versions.newest(row.version), None
    # a directory that was deleted, and stays here alone, is compared as what it is elsewhere
    gone_us = versions.newest(row.version) if marked(row.flags, Flag.KEPT) else None
    return row.stat.kind.value, _signed(row.stat.ino), gone_us, _encode(row.stat)


def path_of(parent: bytes, name: bytes) -> RelPath:
    """What `split` took apart."""
    return RelPath(parent + b"/" + name if parent else name)


def decoded(found: tuple[Any, ...]) -> Row:
    """A row as the columns of `SELECT parent, name, version, stat, hash, seq, flags` have it.

    Raises:
        IndexDamaged: it does not decode.
    """
    parent, name, version, stat, digest, seq, flags = found
    try:
        return Row(
            path_of(parent, name),
            version_of(version),
            _stat(stat) if stat is not None else None,
            digest,
            seq,
            _FLAGS[flags],
        )
    except (msgspec.MsgspecError, IndexError, TypeError) as error:
        raise IndexDamaged(f"the row of {name!r} does not decode: {error}") from error
