"""The index of a node as the engine uses it."""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

from sidecar.core.intent import Intent
from sidecar.core.move import Move
from sidecar.index import files, migrate, node, sums
from sidecar.index.database import Database, connect
from sidecar.index.faults import FOREIGN, IndexDamaged, translated
from sidecar.index.kept import KeptTables
from sidecar.index.node import NodeTable, Stop
from sidecar.index.peers import PeerTable
from sidecar.index.pending import PendingTable
from sidecar.index.sums import SummedRows


class Index(SummedRows, NodeTable, PeerTable, PendingTable, KeptTables):
    """Everything that a node knows. Made by `Index.open`; used from the thread that opened it, but for `sync` and
    `checkpoint`."""

    def __init__(self, db: Database, path: Path, lock: int, random: Callable[[], int]) -> None:
        NodeTable.__init__(self, db, random)
        self._path = path
        self._lock = lock
        self._checkpointed = 0
        self._told = 0
        """the number of the last landing"""
        self.new = False
        """was it made just now?"""
        self.set_aside = ""
        """the file that lay here before and was damaged"""

    @classmethod
    def open(cls, path: Path, random: Callable[[], int]) -> "Index":
        """Open the index at `path`; made, with an epoch drawn from `random` (63 random bits), if it is not there.

        Raises:
            IndexDamaged: it is no index (see `files.quarantine`); the connection is closed.
            EnvironmentFault: it is a newer release's, another process has it open, or it cannot be opened.
        """
        with ExitStack() as opened:
            lock = files.lock(path)
            opened.callback(os.close, lock)
            connection = opened.enter_context(closing(connect(path)))
            sums.register(connection)
            migrate.bring_up(connection, path, migrate.steps())
            index = cls(Database(connection), path, lock, random)
            index._load()
            opened.pop_all()
            return index

    def _load(self) -> None:
        self.new = not node.load(self._db)
        if self.new:
            self.create()
            self._tell(self.landing())
            files.checkpoint(self._path)
            self.sync()
            files.sync_directory(self._path.parent)
        else:
            self._told = self.landing()

    def check(self) -> None:
        """Read the whole file: for after a power loss; a third of a second for a million rows.

        Raises:
            IndexDamaged: something in it does not fit together.
        """
        found = self._db.all("PRAGMA quick_check(1)")
        if found != [("ok",)]:
            raise IndexDamaged(str(found[0][0]))

    def sound(self) -> None:
        """Raise what told that the index is damaged, whoever heard of it first.

        Raises:
            IndexDamaged: something has.
        """
        if self._db.damage is not None:
            raise self._db.damage

    def on_damage(self, told: Callable[[], None]) -> None:
        """Have `told` called when something tells that the index is damaged."""
        self._db.damaged = told

    @property
    def statements(self) -> int:
        """How many rows of any table were changed by this connection: the same as before means that no log grew."""
        return self._db.changes

    def start_run(self, boot_id: str, now_us: int) -> Stop:
        """Draw the number of this run and record it with its first seq, durably; how the run before it ended."""
        landing = self.landing()
        # a kill may come between the intents, or a move, and what tells the volume of them
        untold = [landing - 1] if self.intents() or self.moves() else []
        before = self.start(boot_id, now_us, volume_lost=not files.agrees(self._lock, landing, *untold))
        self.sync()
        self._tell(landing)
        return before

    def intend(self, intents: Iterable[Intent]) -> None:
        """See `PendingTable.intend`; once they are committed, and before they land, the volume is told."""
        with self.transaction():
            super().intend(intents)
            self._lands()

    def keep_move(self, move: Move) -> None:
        """See `PendingTable.keep_move`; the volume is told as of what is intended."""
        with self.transaction():
            super().keep_move(move)
            self._lands()

    def _lands(self) -> None:
        landing = self._told + 1
        self.set_landing(landing)
        self.after_commit(lambda: self._tell(landing))

    def _tell(self, landing: int) -> None:
        files.tell_landing(self._lock, landing)
        self._told = landing

    def transaction(self) -> AbstractContextManager[None]:
        """See `Database.transaction`: all or nothing, blocks nest, never await inside."""
        return self._db.transaction()

    def after_commit(self, work: Callable[[], None]) -> None:
        """See `Database.after_commit`: for what on the disk must not be ahead of what is written here."""
        self._db.after_commit(work)

    def release(self) -> None:
        """See `Database.release`: for when nothing has been written for a while."""
        self._db.release()

    def sync(self) -> None:
        """Every commit made before the call survives a power loss when it returns. For an executor."""
        files.sync(self._path)

    def checkpoint(self) -> int:
        """Move the log into the index; how many pages, 0: nothing was written since. For an executor, one at a time."""
        wal = files.wal_of(self._path)
        if wal.stat().st_mtime_ns == self._checkpointed:
            return 0
        moved = files.checkpoint(self._path)
        self._checkpointed = wal.stat().st_mtime_ns
        return moved

    def stop(self) -> None:
        """End this run in order: marked clean, durably, and closed."""
        self.mark_clean()
        self.sync()
        self.close()

    def close(self) -> None:
        """Close without a mark, as a crash would; closed again, nothing happens."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        try:
            self._db.close()
        except FOREIGN as error:
            raise translated(error) from error
        finally:
            os.close(lock)
