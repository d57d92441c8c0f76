"""A directory renamed as a whole: may its rows be, and what becomes of them? The same wherever they are the same.

One dot names the rename at every path that it concerns: a dot has to be new to a path, not to a node.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from sidecar.core import paths
from sidecar.core import version as versions
from sidecar.core.entry import NO_FLAGS, Dot, Head, Kind, Row, Stat
from sidecar.core.paths import MAX_PATH, RelPath

MOST: Final = 30_000
"""Rows of one rename, at and beneath either name: they are in memory until it is over, some 700 bytes each."""


class Move(msgspec.Struct, frozen=True, array_like=True):
    """`old` became `new` by the write `dot`; the directory has this inode and birth time.

    `region` is the peer that said so, "" for a local writer. `sure`: the rows are to follow whatever lies there by now,
    as peers may have heard of it, or some of them have followed.
    """

    old: RelPath
    new: RelPath
    dot: Dot
    ino: int
    btime_ns: int
    region: str
    sure: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """The rows of a directory that may be renamed: `live` are those that say something lies there, the directory first
    and each before what is in it.

    `sum` is the exclusive or of `compare.sum_of` of all rows at and beneath both names, `newest` their highest counter.
    """

    live: Sequence[Row]
    sum: int
    newest: int


def tree(rows: Sequence[Row], graves: Sequence[Row], old: RelPath, new: RelPath, total: int) -> Tree | None:
    """What may be renamed from `old` to `new`, by the rows at and beneath each, which make `total`; None: not as a
    whole.

    Every row has one head, shows it and bears no mark; at and beneath `new` all are deletions.
    """
    if not all(map(_is_plain, (*rows, *graves))) or any(row.stat is not None for row in graves):
        return None
    live = [row for row in rows if row.stat is not None]
    top = live[0] if live else None
    if top is None or top.path != old or top.stat is None or top.stat.kind is not Kind.DIR:
        return None
    if any(len(row.path) - len(old) + len(new) > MAX_PATH for row in live):
        return None
    return Tree(live, total, max(versions.newest(row.version) for row in (*rows, *graves)))


def _is_plain(row: Row) -> bool:
    if row.flags.value or len(row.version.heads) != 1:
        return False
    (head,) = row.version.heads
    if row.stat is None:
        return head.kind is Kind.TOMBSTONE
    return row.stat.kind is head.kind and row.hash == head.hash and row.stat.target == head.target


def lies(row: Row, stat: Stat) -> bool:
    """Does just that lie there which the row tells of? Of a directory times say nothing; renaming one changes nothing
    of what is in it."""
    known = row.stat
    if known is None or known.kind is not Kind.DIR:
        return known == stat
    return (stat.kind, stat.ino, stat.mode, stat.btime_ns) == (known.kind, known.ino, known.mode, known.btime_ns)


def under(path: RelPath, old: RelPath, new: RelPath) -> RelPath:
    """What a path at or beneath `old` is called at or beneath `new`."""
    return RelPath(new + path[len(old) :])


class Step(msgspec.Struct, frozen=True, gc=False):
    """One row to be written: of `row` what it becomes under its new name, or, if it `leaves`, under its old one."""

    row: Row
    leaves: bool


def steps(live: Iterable[Row]) -> list[Step]:
    """The rows to be written, in the order in which a peer that goes path by path needs to hear of them.

    What a file was renamed from ends with it, so that such a peer renames too; where there are symlinks, which lead to
    what lies beside them, they come before anything ends.
    """
    rows = list(live)
    links = [row for row in rows if _kind(row) is Kind.SYMLINK]
    made: list[Step] = []
    for row in rows:
        kind = _kind(row)
        if kind is not Kind.SYMLINK:
            made.append(Step(row, False))
        if not links and kind is Kind.FILE:
            made.append(Step(row, True))
    made += [Step(row, leaves=False) for row in links]
    ending = rows if links else [row for row in rows if _kind(row) is Kind.DIR]
    return made + [Step(row, leaves=True) for row in reversed(ending)]


def _kind(row: Row) -> Kind:
    return row.stat.kind if row.stat is not None else Kind.TOMBSTONE


def written(step: Step, before: Row, move: Move) -> Row | None:
    """The row that `before` becomes by `step`; None: whoever wrote it has heard of the rename."""
    if versions.covers(before.version, move.dot):
        return None
    if step.leaves:
        return Row(before.path, versions.write(before.version, Head(move.dot, Kind.TOMBSTONE)), None, b"", before.seq)
    (old,) = step.row.version.heads
    head = Head(move.dot, old.kind, old.size, old.mtime_ns, old.mode, old.hash, old.target)
    return Row(before.path, versions.write(before.version, head), step.row.stat, step.row.hash, before.seq, NO_FLAGS)


def concerns(path: RelPath, old: RelPath, new: RelPath) -> bool:
    """Is the path one of the two names, above or beneath one?"""
    return any(path == one or paths.beneath(path, one) or paths.beneath(one, path) for one in (old, new))
