"""Two roots that meet for the first time: how a peer's paths and ours compare, before anything is done about it."""

import collections
import dataclasses
import enum

from sidecar.core import found, observe
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Kind, Row, Version, marked
from sidecar.core.found import Verdict


class Relation(enum.Enum):
    """How what lies here at a path compares with a peer's row of it; a path that the peer never had has none."""

    SAME = "same"
    THERE = "there"
    """the peer alone has it"""
    LATER_HERE = "later here"
    """both have it, they differ, and ours is the later"""
    LATER_THERE = "later there"
    DELETED = "deleted"
    """the peer deleted it after ours was written"""


@dataclasses.dataclass(slots=True)
class Sum:
    """So many paths, and the sizes of their files here and at the peer, in bytes."""

    paths: int = 0
    here: int = 0
    there: int = 0


@dataclasses.dataclass(slots=True)
class Tally:
    """All that a peer offered, by relation; its zero value has seen nothing."""

    _sums: dict[Relation, Sum] = dataclasses.field(default_factory=lambda: collections.defaultdict(Sum))

    def add(self, row: Row | None, incoming: Version, now_us: int) -> None:
        """One more path of the peer; `row` is ours."""
        how = relation(row, incoming, now_us)
        if how is None:
            return
        best, total = versions.winner(incoming), self._sums[how]
        total.paths += 1
        total.there += best.size if best is not None else 0
        total.here += size_of(row)

    def of(self, *relations: Relation) -> Sum:
        """The sum over these."""
        sums = [self._sums[one] for one in relations if one in self._sums]
        return Sum(sum(s.paths for s in sums), sum(s.here for s in sums), sum(s.there for s in sums))

    @property
    def met(self) -> Sum:
        """What lies here of the paths that the peer has, or had."""
        return self.of(Relation.SAME, Relation.LATER_HERE, Relation.LATER_THERE, Relation.DELETED)


def relation(row: Row | None, incoming: Version, now_us: int) -> Relation | None:
    """How `row` compares with a peer's row, as things are; None: the peer has nothing there that concerns us."""
    best = versions.winner(incoming)
    if best is None:
        return None
    if row is None or row.stat is None:
        return None if best.kind is Kind.TOMBSTONE else Relation.THERE
    if observe.head_of(row.stat, row.hash, Dot(0, 0)).same_content(best):
        return Relation.SAME
    if marked(row.flags, Flag.FOUND) and not row.version.heads:
        later_there = found.judge(row, incoming, now_us) is not Verdict.BESIDE
    else:
        later_there = versions.winner(versions.merge(row.version, incoming)) == best
    if best.kind is Kind.TOMBSTONE:
        return Relation.DELETED if later_there else None
    return Relation.LATER_THERE if later_there else Relation.LATER_HERE


def size_of(row: Row | None) -> int:
    """The size of the file that lies there, in bytes."""
    return row.stat.size if row is not None and row.stat is not None and row.stat.kind is Kind.FILE else 0
