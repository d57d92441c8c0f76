"""Has a path changed here? lstat against its row, and what a local change makes of the row."""

import enum
from typing import Final, assert_never

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat, marked

RACY_NS: Final = 20_000_000
"""Kernels before 6.13 stamp files with the time of the last tick, 1 to 10 ms apart: two writes within one look
alike."""
RACY_WHOLE_SECONDS_NS: Final = 2_000_000_000
"""The same where the file system keeps whole seconds."""


class Change(enum.Enum):
    """How what lies in the root differs from its row."""

    NONE = "none"
    APPEARED = "appeared"
    VANISHED = "vanished"
    SURE = "sure"
    """another kind, mode or target: a change whatever the bytes are"""
    ASK_HASH = "ask-hash"
    """the stats differ or prove nothing: only the bytes can tell"""


def compare(row: Row | None, stat: Stat | None) -> Change:
    """What has happened to a path since its row was written; never looks at bytes."""
    known = row.stat if row is not None else None
    if row is None or known is None:
        return Change.NONE if stat is None else Change.APPEARED
    if stat is None:
        return Change.VANISHED
    if stat.kind is not known.kind:
        return Change.SURE
    match stat.kind:
        case Kind.DIR:
            same = stat.mode == known.mode
        case Kind.SYMLINK:
            same = (stat.target, stat.mtime_ns) == (known.target, known.mtime_ns)
        case Kind.FILE:
            proven = stat == known and row.hash and not marked(row.flags, Flag.RACY)
            return Change.NONE if proven else Change.ASK_HASH
        case Kind.TOMBSTONE:
            raise AssertionError("lstat never says tombstone")
        case _:
            assert_never(stat.kind)
    return Change.NONE if same else Change.SURE


def is_racy(stat: Stat, now_us: int, grain_ns: int) -> bool:
    """Was the file changed so shortly before `now_us` (µs since 1970) that its stat may not show the next change?

    `grain_ns`: within this time two changes may get one ctime; 0 where the kernel tells every two apart.
    """
    return stat.kind is Kind.FILE and now_us * 1000 - stat.ctime_ns < grain_ns


def head_of(stat: Stat, digest: bytes, dot: Dot) -> Head:
    """The head that says: this is what lies there."""
    match stat.kind:
        case Kind.DIR:
            return Head(dot, Kind.DIR, mode=stat.mode)
        case Kind.SYMLINK:
            return Head(dot, Kind.SYMLINK, mtime_ns=stat.mtime_ns, target=stat.target)
        case _:
            return Head(dot, Kind.FILE, stat.size, stat.mtime_ns, stat.mode, digest)


def shown(row: Row, stat: Stat, digest: bytes) -> bool:
    """Do the bytes, mode, mtime and target on disk equal those that the row was written for?

    The row's own stat is compared, not its winner: a volume that cannot keep a mode or a time as given must not make
    every look a change.
    """
    old = row.stat
    if old is None or old.kind is not stat.kind:
        return False
    match stat.kind:
        case Kind.DIR:
            return old.mode == stat.mode
        case Kind.SYMLINK:
            return (old.target, old.mtime_ns) == (stat.target, stat.mtime_ns)
        case _:
            return (row.hash, old.mode, old.mtime_ns) == (digest, stat.mode, stat.mtime_ns)


def written(row: Row, stat: Stat | None, digest: bytes, dot: Dot, flags: Flag) -> Row:
    """The row after a local change to `stat` (`None`: deleted): one new head over everything seen so far."""
    head = Head(dot, Kind.TOMBSTONE) if stat is None else head_of(stat, digest, dot)
    return Row(
        row.path,
        versions.write(row.version, head),
        stat,
        digest if stat is not None else b"",
        row.seq,
        flags,
    )
