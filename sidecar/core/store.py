"""The rows of a node as a port, so that the same engine runs over SQLite and over a dict."""

from collections.abc import Collection, Iterable
from typing import Protocol

from sidecar.core.entry import Row
from sidecar.core.move import Move
from sidecar.core.paths import RelPath


class RowStore(Protocol):
    """Rows by path. Every `put` gets the next seq: a number that grows with every change of a version on this node.

    What a store returns is what it holds: the row that was put, apart from `seq`.
    """

    def get(self, path: RelPath) -> Row | None:
        """The row of `path`, None if there is none."""

    def put(self, row: Row) -> Row:
        """Store a row whose version changed, whatever its `seq` says; returns it with its new seq, the highest."""

    def put_stat(self, row: Row) -> Row:
        """Store stat, hash and flags of a row of which only what lies in the root changed: version and seq stay as they
        are stored. A path without a row is put. Returns what is stored then."""

    def remove(self, path: RelPath) -> None:
        """Forget a path without a tombstone; its seq is not given again."""

    def children(self, directory: RelPath) -> Iterable[Row]:
        """The rows of the names in a directory by name, tombstones too."""

    def beneath(self, directory: RelPath, *, live_only: bool = False) -> Iterable[Row]:
        """The rows of everything beneath a directory, tombstones too unless `live_only`: each once, a directory before
        what is in it.

        Rows may be written meanwhile: those that were not passed yet are seen as they are then.
        """

    def by_inode(self, ino: int) -> Iterable[Row]:
        """The rows that say this inode lies there."""

    def since(self, seq: int, limit: int) -> list[Row]:
        """The first `limit` rows above `seq`, in the order of their seq."""

    def max_seq(self) -> int:
        """The highest seq ever given, 0 at first."""


class MoveStore(RowStore, Protocol):
    """Rows, and the directories whose rename they do not tell of in full yet."""

    def look_ahead(self, paths: Collection[RelPath]) -> None:
        """Rows that will be asked for one by one."""

    def keep_move(self, move: Move) -> None:
        """This is under way, as it is known now."""

    def drop_move(self, move: Move) -> None:
        """It is over: call it in the transaction that writes the last of its rows."""

    def moves(self) -> list[Move]:
        """What was under way when the run before this one ended."""
