"""The rows of a node as a port, so that the same engine runs over SQLite and over a dict."""

from collections.abc import Iterable
from typing import Protocol

from sidecar.core.entry import Row
from sidecar.core.paths import RelPath


class RowStore(Protocol):
    """Rows by path. Every `put` gets the next seq: a number that grows with every change of a version on this node."""

    def get(self, path: RelPath) -> Row | None:
        """The row of `path`."""

    def put(self, row: Row) -> Row:
        """Store a row whose version changed; returns it with its new seq."""

    def put_stat(self, row: Row) -> Row:
        """Store a row of which only what lies in the root changed; its seq stays."""

    def remove(self, path: RelPath) -> None:
        """Forget a path without a tombstone."""

    def children(self, directory: RelPath) -> Iterable[Row]:
        """The rows of the names in a directory, tombstones too."""

    def beneath(self, directory: RelPath) -> Iterable[Row]:
        """The rows of everything beneath a directory, tombstones too."""

    def by_inode(self, ino: int) -> Iterable[Row]:
        """The rows that say this inode lies there."""

    def since(self, seq: int, limit: int) -> list[Row]:
        """Rows above `seq`, in the order of their seq."""

    def max_seq(self) -> int:
        """The highest seq given."""
