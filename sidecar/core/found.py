"""Paths met by the first scan of a new index: old copies or new edits? Their mtime and the peers' rows tell.

A found path has no dot and is not sent. It is judged against the first row of a peer that names it; what no peer knows
becomes a write of its own, dated by its mtime, when every configured peer has answered. A person may choose otherwise
before the peers are heard (`Prefer`).
"""

import enum

from sidecar.core import observe
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Kind, Row, Version


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
    OVER = "over"
    """ours wins by choice: a write over all that the peer has"""


def judge(row: Row, incoming: Version, now_us: int, prefer: Prefer = Prefer.NEWEST) -> Verdict:
    """Decide for a row with `Flag.FOUND` and a stat; directories are found by kind alone."""
    best = versions.winner(incoming)
    assert row.stat is not None and best is not None
    stat = row.stat
    if stat.kind is best.kind:
        same = {
            Kind.DIR: True,
            Kind.SYMLINK: stat.target == best.target,
            Kind.FILE: bool(row.hash) and row.hash == best.hash,
        }
        if same[stat.kind]:
            return Verdict.ADOPT
    if prefer is Prefer.LOCAL:
        return Verdict.OVER
    if stat.kind is Kind.DIR or (prefer is Prefer.PEERS and best.kind is not Kind.TOMBSTONE):
        return Verdict.TAKE
    mtime_us = stat.mtime_ns // 1000
    return Verdict.BESIDE if best.dot.counter < mtime_us <= now_us else Verdict.TAKE


def dated(row: Row, run: int, now_us: int) -> Row:
    """A found row as a write of its own, with its mtime (at most now, at least 1) as the counter."""
    assert row.stat is not None
    mtime_us = row.stat.mtime_ns // 1000 if row.stat.kind is not Kind.DIR else 1
    counter = max(1, min(mtime_us, now_us))
    head = observe.head_of(row.stat, row.hash, Dot(counter, run))
    return Row(row.path, versions.beside(row.version, head), row.stat, row.hash, row.seq, row.flags & ~Flag.FOUND)


def over(row: Row, incoming: Version, dot: Dot) -> Row:
    """What lies at a found or held row as a write over all of `incoming`; `dot` is on top of both versions."""
    seen = Row(row.path, versions.merge(row.version, incoming), row.stat, row.hash, row.seq)
    return observe.written(seen, row.stat, row.hash, dot, row.flags & ~(Flag.FOUND | Flag.HELD))
