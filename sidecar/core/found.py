"""Paths found, not written: old or torn copies, or new edits? Their mtime and the peers' rows tell.

Found is what the first scan of a new index meets, and what differs from its row after a power loss: such a path keeps
the version of its row, of which the root does not show the bytes any more, or shows nothing. A found path has no dot
and is not sent. It is judged against the first row of a peer that can settle it; what is left when every configured
peer has answered becomes a write of its own, dated by its mtime, or leaves without a tombstone. Of what a new index met
a person may choose otherwise before the peers are heard (`Prefer`).
"""

import enum
from typing import Final

from sidecar.core import observe
from sidecar.core import version as versions
from sidecar.core.entry import APART, NEVER, Dot, Flag, Head, Kind, Row, Stat, Version, marked

DOUBT_NS: Final = 600_000_000_000
"""What was changed so shortly before the last change of all may have been torn by a power loss with its size and times
intact: kernels write content back after half a minute, after ten when they save a disk."""


class Prefer(enum.Enum):
    """Whose version wins where a found path and a peer's row differ."""

    NEWEST = "newest"
    """the later one: what nobody has chosen otherwise"""
    LOCAL = "local"
    """what was found here, whatever its mtime"""
    PEERS = "peers"
    """what the peers have; what they deleted is judged by time as ever"""


class Verdict(enum.Enum):
    """What becomes of a found path when a peer's row names it."""

    ADOPT = "adopt"
    """the same bytes: the peer's row is ours"""
    TAKE = "take"
    """the peer's row wins, our bytes are kept outside the root"""
    BESIDE = "beside"
    """ours is later than anything the peer has: an edit beside it"""
    WAIT = "wait"
    """another peer may know better: nothing is done until all have answered"""
    OVER = "over"
    """ours wins by choice: a write over all that the peer has"""


def is_found(row: Row) -> bool:
    """Was the path found, and not judged yet?"""
    return marked(row.flags, Flag.FOUND)


def judge(row: Row, incoming: Version, now_us: int, prefer: Prefer = Prefer.NEWEST, *, last: bool = True) -> Verdict:
    """Decide for a row with `Flag.FOUND`; directories are found by kind alone.

    Nothing is called later than what one peer has until `last` (every other peer has answered): another may know that
    it was overwritten or deleted. A row with a version of its own counts as known to us: bytes that only it names are
    asked of other peers; `prefer` is not for such.
    """
    best = versions.winner(versions.merge(row.version, incoming))
    assert best is not None
    if _shows(row, best):
        return Verdict.ADOPT
    if row.version.heads:
        if best not in incoming.heads:
            return Verdict.WAIT
    elif prefer is Prefer.LOCAL:
        return Verdict.OVER
    elif prefer is Prefer.PEERS and best.kind is not Kind.TOMBSTONE:
        return Verdict.TAKE
    verdict = _by_time(row, best, now_us)
    return Verdict.WAIT if verdict is Verdict.BESIDE and not last else verdict


def _by_time(row: Row, best: Head, now_us: int) -> Verdict:
    stat = row.stat
    later = stat is not None and stat.kind is not Kind.DIR and best.dot.counter < stat.mtime_ns // 1000 <= now_us
    return Verdict.BESIDE if later and not _is_damage(row) else Verdict.TAKE


def _is_damage(row: Row) -> bool:
    """Have the bytes alone changed since the version that the row has? Its mtime was later than its writing then, and
    tells of no edit."""
    own, stat = versions.winner(row.version), row.stat
    if own is None or stat is None or not stat.kind is own.kind is Kind.FILE:
        return False
    return (stat.size, stat.mtime_ns) == (own.size, own.mtime_ns)


def judged(row: Row, verdict: Verdict, incoming: Version) -> tuple[Row, Version]:
    """What is to be decided on then: the row without a version that its bytes do not show, and what comes in.

    A version whose bytes are not here is forgotten: who has them says it again.
    """
    if verdict is Verdict.ADOPT:
        incoming = versions.merge(row.version, incoming)
    return forgotten(row), incoming


def forgotten(row: Row) -> Row:
    """A found row that knows of no version."""
    return Row(row.path, NEVER, row.stat, row.hash, row.seq, row.flags)


def dated(row: Row, run: int, now_us: int) -> Row:
    """A found row as a write of its own, with its mtime (at most now, at least 1) as the counter."""
    assert row.stat is not None
    mtime_us = row.stat.mtime_ns // 1000 if row.stat.kind is not Kind.DIR else 1
    counter = max(1, min(mtime_us, now_us))
    head = observe.head_of(row.stat, row.hash, Dot(counter, run))
    return Row(row.path, versions.beside(row.version, head), row.stat, row.hash, row.seq, row.flags & ~Flag.FOUND)


def over(row: Row, incoming: Version, dot: Dot) -> Row:
    """What lies at a found or held row as a write over all of `incoming`; `dot` is on top of both versions."""
    return rewritten(Row(row.path, versions.merge(row.version, incoming), row.stat, row.hash, row.seq, row.flags), dot)


class Left(enum.Enum):
    """What becomes of a found path that has a version when every peer has answered and none could settle it."""

    WRITE = "write"
    """its bytes are those of its version, mode or mtime alone differ: a write over it"""
    FORGET = "forget"
    """the bytes of its version are gone everywhere: what lies there is found anew, without one"""
    REMOVE = "remove"
    """nothing lies there: the row leaves without a tombstone"""


def left(row: Row) -> Left:
    """Decide for a row with `Flag.FOUND` and a version."""
    best = versions.winner(row.version)
    assert best is not None
    if _shows(row, best):
        return Left.WRITE
    return Left.REMOVE if row.stat is None else Left.FORGET


def rewritten(row: Row, dot: Dot) -> Row:
    """What lies at a found or held row as a write over its version."""
    return observe.written(row, row.stat, row.hash, dot, row.flags & ~APART)


def doubted(row: Row, newest_ns: int) -> bool:
    """May a power loss have torn this file, and left size and times as its row has them?

    Content is written back within `DOUBT_NS`, so that only what was changed in that time before the loss can be torn;
    the last change that any row knows of, at `newest_ns` (ctime), was not after it.
    """
    stat = row.stat
    return stat is not None and stat.kind is Kind.FILE and stat.ctime_ns >= newest_ns - DOUBT_NS


def torn(row: Row, stat: Stat | None, now_ns: int) -> bool:
    """Has a file lost what was written to it? It is that of its row, has another size, and nobody has written since:
    that would have given it a later ctime, which nobody can set but by the clock (`now_ns`, since 1970). Of what a kill
    interrupted the mtime alone is known.
    """
    own = row.stat
    if own is None or stat is None or not stat.kind is own.kind is Kind.FILE:
        return False
    if (stat.ino, stat.btime_ns) != (own.ino, own.btime_ns) or stat.size == own.size:
        return False
    if not own.ctime_ns:
        return stat.mtime_ns == own.mtime_ns
    at_once = marked(row.flags, Flag.RACY)  # what was written right after may have the same
    set_back = own.ctime_ns > now_ns  # what was written since may have an earlier one
    return not set_back and stat.ctime_ns < own.ctime_ns + (not at_once)


def _shows(row: Row, head: Head) -> bool:
    """Does the root show these bytes, whatever their mode and mtime?"""
    stat = row.stat
    if stat is None or stat.kind is not head.kind:
        return stat is None and head.kind is Kind.TOMBSTONE
    match stat.kind:
        case Kind.DIR:
            return True
        case Kind.SYMLINK:
            return stat.target == head.target
        case _:
            return bool(row.hash) and row.hash == head.hash
