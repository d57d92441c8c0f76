"""What the rows sum up to, kept by triggers (006_sums.sql, 008_ageing.sql): for comparing indexes (`core.compare`)."""

import sqlite3
import struct
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from sidecar.core import compare
from sidecar.core import version as versions
from sidecar.core.compare import Sums
from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.index.faults import IndexDamaged
from sidecar.index.rows import Rows, decoded, path_of, split, version_of

SCANNED: Final = 2000
"""Rows that are looked at in one go when those of a few buckets are picked out."""

_COUNTED: Final = "flags & 26 = 0"
"""Neither found, nor held, nor forgotten by a peer, as the triggers have it."""
_TOTALS: Final = "SELECT total FROM buckets ORDER BY id"
_SUMMAND: Final = f"""
    SELECT summand FROM rows WHERE parent = ? AND name = ? AND {_COUNTED} AND (gone_us IS NULL OR gone_us >= ?)
"""  # noqa: S608 - ours
_DEAD: Final = f"""
    SELECT gone_us, seq, summand FROM rows
    WHERE gone_us < ? AND (gone_us, seq) > (?, ?) AND {_COUNTED} ORDER BY gone_us, seq LIMIT ?
"""  # noqa: S608 - ours
_END: Final = "SELECT max(seq) FROM (SELECT seq FROM rows WHERE seq > ? ORDER BY seq LIMIT ?)"
_PICKED: Final = """
    SELECT parent, name, version, stat, hash, seq, flags FROM rows
    WHERE seq > ? AND seq <= ? AND substr(?, (summand & 1023) + 1, 1) = x'01' ORDER BY seq
"""


class SummedRows(Rows):
    """The rows, and what they sum up to."""

    def sums(self) -> Sums:
        """What all rows sum up to, but for those that are found, held, or forgotten by a peer."""
        try:
            return compare.sums_of(total for (total,) in self._db.all(_TOTALS))
        except struct.error as error:
            raise IndexDamaged(f"the sums of its rows: {error}") from error

    def summands(self, paths: Iterable[RelPath], since_us: int = 0) -> list[int]:
        """The numbers of those paths that are in the sums, but for tombstones that nobody has written since then."""
        found = (self._db.one(_SUMMAND, (*split(path), since_us)) for path in paths)
        return [number for (number,) in (one for one in found if one is not None)]

    def dead_summands(self, us: int, limit: int, after: tuple[int, int] = (-1, 0)) -> list[tuple[int, int, int]]:
        """The first `limit` tombstones that nobody has written since `us` (µs since 1970), oldest first, as (newest
        counter, seq, number): of those that are in the sums, and come after this (newest counter, seq)."""
        return self._db.all(_DEAD, (us, *after, limit))

    def in_buckets(self, mask: bytes, after: int) -> tuple[list[Row], int]:
        """The rows of some buckets (see `compare.mask_of`) among the next two thousand above seq `after`; and the seq
        that was reached, 0: there are no more."""
        (end,) = self._db.one(_END, (after, SCANNED)) or (None,)
        if end is None:
            return [], 0
        return [decoded(found) for found in self._db.all(_PICKED, (after, end, mask))], end


def register(connection: sqlite3.Connection) -> None:
    """Let the step that brings an older index forward compute what `Rows.put` writes."""
    connection.create_function("summand_of", 3, _summand_of, deterministic=True)
    connection.create_function("newest_of", 1, _newest_of, deterministic=True)


def _summand_of(parent: bytes, name: bytes, version: Any) -> int:  # noqa: ANN401 - what a column holds
    try:
        return compare.sum_of(path_of(parent, name), version_of(version))
    except (msgspec.MsgspecError, TypeError):
        return 0  # whoever reads the row says that it is damaged


def _newest_of(version: Any) -> int:  # noqa: ANN401 - what a column holds
    try:
        return versions.newest(version_of(version))
    except (msgspec.MsgspecError, TypeError):
        return 0
