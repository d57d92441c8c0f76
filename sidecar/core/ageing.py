"""When may a tombstone go, and what becomes of a row that a node lacks which has dropped some?

A tombstone goes when it is old, and every node that is known has it: who comes back later than that brings a deleted
path as if it were new. So a node remembers since when its tombstones are complete, and does not take a row that it
lacks and that nobody has written since: it may have been deleted. Who offers such a row holds it, until a person says.
"""

import dataclasses
import enum
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sidecar.core import version as versions
from sidecar.core.entry import MAX_NS, Flag, Head, Kind, Row, Version, marked
from sidecar.core.paths import RelPath


class NodeName(NamedTuple):
    """A node of a region."""

    region: str
    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """A node's index was the same as ours: it has every row up to `seq`, apart from the paths in `without`, which one
    side excludes, holds or refuses."""

    seq: int
    without: Collection[RelPath] = ()


class Lacked(enum.Enum):
    """What becomes of what a peer sends, by what is here."""

    NEW = "new"
    """it is decided on like anything else"""
    STALE = "stale"
    """it may have been deleted, and the tombstone be dropped: the peer is to hold it"""
    PAST = "past"
    """a deletion from before that of what is not here: there is nothing to do, nor to remember"""


def judge(row: Row, incoming: Version, complete_since_us: int) -> Lacked:
    """Decide for what lies at a path that was not found; `complete_since_us`: every tombstone younger than this (µs
    since 1970) is here. What is held here for the same reason is no better known here than elsewhere."""
    if marked(row.flags, Flag.FORGOTTEN) and row.version == incoming:
        return Lacked.STALE
    ours = versions.winner(row.version)
    if ours is not None:
        return Lacked.STALE if _revives(row.version, ours, incoming, complete_since_us) else Lacked.NEW
    best = versions.winner(incoming)
    if row.stat is not None or best is None or versions.newest(incoming) >= complete_since_us:
        return Lacked.NEW
    return Lacked.PAST if best.kind is Kind.TOMBSTONE else Lacked.STALE


def _revives(version: Version, ours: Head, incoming: Version, complete_since_us: int) -> bool:
    """Would an old write that we do not know beat a deletion of ours? That may be of what was made anew after it."""
    if ours.kind is not Kind.TOMBSTONE:
        return False
    best = versions.winner(versions.merge(version, incoming))
    if best is None or best.kind is Kind.TOMBSTONE:
        return False
    return best.dot.counter < complete_since_us and not versions.covers(version, best.dot)


def before_us(now_us: int, keep_us: int, contacts_us: Iterable[int]) -> int:
    """What was deleted before this (µs since 1970) is old, with the last contacts to every known node.

    Counted from the longest absence, so that what a node writes while it is away is younger than anything dropped.
    """
    return min((now_us, *contacts_us)) - keep_us


def agreed(known: Iterable[NodeName], agreements: Mapping[NodeName, Agreement | None]) -> Agreement | None:
    """What every known node has; None: one of them has not been seen to have anything."""
    each = [agreements.get(name) for name in known]
    if not each:
        return Agreement(MAX_NS)  # nobody else knows of anything
    there = [one for one in each if one is not None]
    if len(there) < len(each):
        return None
    return Agreement(min(one.seq for one in there), frozenset().union(*(one.without for one in there)))


def may_go(row: Row, before_us: int, agreement: Agreement) -> bool:
    """Is it a tombstone that is old, and that everybody has?"""
    best = versions.winner(row.version)
    dead = best is not None and best.kind is Kind.TOMBSTONE and row.stat is None and not row.flags
    old = versions.newest(row.version) < before_us
    return dead and old and row.seq <= agreement.seq and row.path not in agreement.without


def scope_of(exclude: Iterable[str], served_at: str, *, links_outside: bool) -> str:
    """What is replicated, in lines that `widens` compares."""
    lines = [f"not {pattern}" for pattern in exclude]
    return "\n".join([*lines, *(() if links_outside else ("not links outside",)), f"served at {served_at}"])


def widens(before: str, after: str) -> bool:
    """Is something replicated now that was not? Of that peers bring rows of any age."""
    return not set(before.split("\n")) <= set(after.split("\n"))


def is_absent(contact_us: int, now_us: int, forget_us: int) -> bool:
    """Was a node not heard of for so long that nobody waits for it any more?"""
    return now_us - contact_us > forget_us
