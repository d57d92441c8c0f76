"""The connection: how it is set up, transactions, and what of the memory goes back when one is rolled back."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sidecar.errors import EnvironmentFault, GeorootError
from sidecar.index.faults import FOREIGN, IndexDamaged, translated

BUSY_WAIT: Final = 5.0
"""Seconds for which a commit waits for another process, or for the end of a checkpoint."""
CACHE_KIB: Final = 8 * 1024
"""Pages of the index in memory: with 64 MiB nothing was faster, what it lacks is in the kernel's cache."""
_STATEMENTS: Final = 256
_PRAGMAS: Final = (
    "synchronous = NORMAL",  # commits are not synced: Index.sync is
    "wal_autocheckpoint = 0",  # Index.checkpoint is called off the loop
    f"cache_size = -{CACHE_KIB}",
    "temp_store = MEMORY",
    "secure_delete = OFF",  # Debian's default is to overwrite what was deleted
)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """The row of the table `node`, as it is in memory."""

    name: str
    epoch: int
    complete_since_us: int
    last_counter: int
    found_done: bool
    clean: bool
    boot_id: str
    power_lost: bool = False
    scope: str = ""


class Database:
    """One connection, used from the thread that made it.

    `seq` is the highest given, `written` counts the rows written since the start, `node` is the table's row, `counts`
    are the live and dead rows by kind: they belong to the transaction, and go back with it. `known` are rows as they
    were read or written last, by path, None: there is none; `trash` is how many paths lie in the trash, and their
    bytes, None: to be asked. Both are forgotten when something is undone. `inodes` are those of rows whose statements
    were put off, with their paths.

    What `later` was told is run as soon as anything else is asked of the connection, but for `peek`: at the latest at
    the end of the transaction. So the rows of a slice are written by one call, in half the time.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self.seq = 0
        self.written = 0
        self.damage: IndexDamaged | None = None
        """the last error that told that the file is no index any more, whoever it was raised to"""
        self.damaged: Callable[[], None] = lambda: None
        """called with each of these"""
        self.node = Node("", 0, 0, 0, found_done=False, clean=True, boot_id="")
        self.counts: dict[int, int] = {}
        self.known: dict[bytes, Any] = {}
        self.inodes: dict[int, dict[Any, None]] = {}
        self.trash: tuple[int, int] | None = None
        self._doom: GeorootError | None = None
        """what a statement failed with that was put off: what is remembered of it is wrong, so nothing is committed"""
        self._queued: dict[str, tuple[str, list[Sequence[Any]]]] = {}

    def run(self, sql: str, arguments: Sequence[Any] = ()) -> int:
        """Run one statement; the number of rows that it changed."""
        self.flush()
        try:
            return self._connection.execute(sql, arguments).rowcount
        except FOREIGN as error:
            raise self._noted(error) from error

    def run_many(self, sql: str, arguments: Sequence[Sequence[Any]]) -> None:
        """Run one statement with each of these, inside a transaction."""
        self.flush()
        self._many(sql, arguments)

    def later(self, table: str, sql: str, arguments: Sequence[Any]) -> None:
        """Run one statement, which writes to `table`, at the end of the transaction or before the next other one."""
        if not self._depth:
            self.run(sql, arguments)
            return
        queued = self._queued.get(table)
        if queued is not None and queued[0] != sql:
            self.flush()
            queued = None
        if queued is None:
            queued = self._queued[table] = (sql, [])
        queued[1].append(arguments)

    def flush(self) -> None:
        """Run what was put off."""
        self.inodes.clear()
        while self._queued:
            try:
                self._many(*self._queued.pop(next(iter(self._queued))))
            except GeorootError as error:
                self._doom = error if self._depth else None
                raise

    def _many(self, sql: str, arguments: Sequence[Sequence[Any]]) -> None:
        try:
            self._connection.executemany(sql, arguments)
        except FOREIGN as error:
            raise self._noted(error) from error

    def _noted(self, error: sqlite3.Error | UnicodeDecodeError) -> GeorootError:
        told = translated(error)
        if isinstance(told, IndexDamaged):
            self.note_damage(told)
        return told

    def note_damage(self, told: IndexDamaged) -> None:
        """Somebody met it, and may be the only one to hear of it otherwise."""
        self.damage = told
        self.damaged()

    def all(self, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """Every row that a query finds: no cursor stays open, so that writes between two pages are safe."""
        self.flush()
        return self.peek(sql, arguments)

    def peek(self, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """The same, of what no statement that was put off concerns."""
        try:
            return self._connection.execute(sql, arguments).fetchall()
        except FOREIGN as error:
            raise self._noted(error) from error

    def one(self, sql: str, arguments: Sequence[Any] = ()) -> Any | None:  # noqa: ANN401 - a row of whatever was asked
        """The first row that a query finds, None if there is none."""
        rows = self.all(sql, arguments)
        return rows[0] if rows else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is committed together, or, when an exception leaves the block, not at all.

        Blocks nest: an inner one that fails is undone alone, and what it did commits with the outermost. Never await
        inside one: another task's writes would become part of it.
        """
        depth, after = self._depth, len(self._after)
        before = (self.seq, self.written, self.node, dict(self.counts))
        self.run(f"SAVEPOINT s{depth}" if depth else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
            self.run(f"RELEASE s{depth}" if depth else self._commit())
        except BaseException:
            self.seq, self.written, self.node, self.counts = before
            self._queued.clear()
            self.inodes.clear()
            self.known.clear()
            self.trash = None
            del self._after[after:]
            if self._connection.in_transaction:  # SQLite may have rolled it back itself, on a full disk
                self._undo(depth)
            raise
        finally:
            self._depth = depth
            self._doom = self._doom if depth else None
        if not depth:
            self._committed()

    def _commit(self) -> str:
        self.flush()
        if self._doom is not None:
            raise self._doom
        return "COMMIT"

    def after_commit(self, work: Callable[[], None]) -> None:
        """Do `work` when what is written now is committed; never, if it is undone. At once outside a transaction."""
        self._after.append(work)
        if not self._depth:
            self._committed()

    def _committed(self) -> None:
        while self._after:
            self._after.pop(0)()

    def _undo(self, depth: int) -> None:
        if not depth:
            self.run("ROLLBACK")
            return
        self.run(f"ROLLBACK TO s{depth}")
        self.run(f"RELEASE s{depth}")

    @property
    def changes(self) -> int:
        """Rows that were changed since the connection was made, of all tables; what was undone counts too."""
        return self._connection.total_changes

    def release(self) -> None:
        """Forget the rows and pages that are in memory, outside a transaction: what is asked for is read again."""
        self.known.clear()
        self.run("PRAGMA shrink_memory")

    def close(self) -> None:
        """Close the connection; the last one moves the log into the file."""
        self._connection.close()


class Table:
    """A part of the index: some tables, and what is asked of them."""

    def __init__(self, db: Database) -> None:
        self._db = db


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file at `path`, for this process alone, however many connections it has.

    What SQLite would map as index.db-shm lies in memory then: a write to a mapped page ends the process (SIGBUS) where
    the file system copies on write and its disk or quota is full.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?vfs=unix-excl",
        uri=True,
        timeout=BUSY_WAIT,
        isolation_level=None,
        cached_statements=_STATEMENTS,
    )


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the index at `path`, made if it is not there.

    Raises:
        IndexDamaged: it is not a database. EnvironmentFault: it cannot be opened, or its file system has no WAL.
    """
    try:
        connection = open_file(path)
    except FOREIGN as error:
        raise translated(error) from error
    try:
        _prepare(connection)
    except FOREIGN as error:
        connection.close()
        raise translated(error) from error
    except EnvironmentFault:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise EnvironmentFault("state", f"its file system keeps no write-ahead log ({mode})", "use a local volume")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
