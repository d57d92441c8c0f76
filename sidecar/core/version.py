"""Dotted version vector sets: what a write covers, how two versions merge, which head wins.

After Preguiça, Baquero, Almeida, Fonte and Gonçalves, "Dotted Version Vectors: Logical Clocks for Optimistic
Replication" (2010). Plain vectors merged on conflict would give one vector to two contents and freeze the difference.
"""

from typing import Final

from sidecar.core.entry import Dot, Head, Kind, Version

_RANK: Final = {Kind.TOMBSTONE: 0, Kind.FILE: 1, Kind.SYMLINK: 1, Kind.DIR: 2}

DAY_US: Final = 86_400_000_000
"""A dot further ahead of our clock than this is refused: it would win every conflict for ever."""


def counter_of(version: Version, run: int) -> int:
    """The highest counter of `run` that `version` has seen, 0 if none."""
    for known, counter in version.vector:
        if known == run:
            return counter
    return 0


def covers(version: Version, dot: Dot) -> bool:
    """Has `version` seen the write `dot`?"""
    return dot.counter <= counter_of(version, dot.run)


def merge(a: Version, b: Version) -> Version:
    """The version of somebody who has seen both: commutative, associative, idempotent."""
    if a == b or not b.vector:
        return a
    if not a.vector:
        return b
    if len(a.heads) == len(b.heads) == 1 and _is_before(a, b):
        return b  # most of all merges: one write on top of another
    seen = dict(a.vector)
    for run, counter in b.vector:
        if counter > seen.get(run, 0):
            seen[run] = counter
    heads = {head.dot: head for head in a.heads if head in b.heads or not covers(b, head.dot)}
    heads.update((head.dot, head) for head in b.heads if head in a.heads or not covers(a, head.dot))
    return Version(tuple(sorted(seen.items())), tuple(heads[dot] for dot in sorted(heads)))


def _is_before(a: Version, b: Version) -> bool:
    """Has `b`, of one head, seen all of `a`, of one head too, and `a` not that of `b`?"""
    for run, counter in a.vector:
        if counter > counter_of(b, run):
            return False
    return covers(b, a.heads[0].dot) and not covers(a, b.heads[0].dot)


def next_counter(version: Version, last: int, now_us: int) -> int:
    """The counter of a new write on top of `version`: above all that it saw, all that we gave, and the time."""
    return max(last, now_us, max((counter for _, counter in version.vector), default=0)) + 1


def write(version: Version, head: Head) -> Version:
    """`version` after a local write of `head`, whose dot must be new: one head that covers all before it."""
    seen = dict(version.vector)
    seen[head.dot.run] = head.dot.counter
    return Version(tuple(sorted(seen.items())), (head,))


def beside(version: Version, head: Head) -> Version:
    """`version` with `head` as a concurrent edit: it covers nothing."""
    return merge(version, Version(((head.dot.run, head.dot.counter),), (head,)))


def winner(version: Version) -> Head | None:
    """The head that the web root shows; every node picks the same, in whatever order it heard of them."""
    if len(version.heads) == 1:
        return version.heads[0]
    return max(version.heads, key=lambda head: (_RANK[head.kind], head.dot), default=None)


def losers(version: Version) -> tuple[Head, ...]:
    """The other heads whose bytes differ from the winner's and from a tombstone: together they are a conflict."""
    best = winner(version)
    if best is None or not version.heads[1:]:
        return ()
    return tuple(h for h in version.heads if h.kind is not Kind.TOMBSTONE and h != best and not h.same_content(best))


def without(version: Version, digest: bytes) -> Version:
    """`version` as somebody knows it who has seen the losing heads with these bytes and does not list them any more:
    whoever merges it forgets them too."""
    gone = {head.dot for head in losers(version) if head.hash == digest}
    return Version(version.vector, tuple(head for head in version.heads if head.dot not in gone))


def newest(version: Version) -> int:
    """The highest counter in the vector (µs): when this path was last written by anybody."""
    if len(version.vector) == 1:
        return version.vector[0][1]
    return max((counter for _, counter in version.vector), default=0)
