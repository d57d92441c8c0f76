"""What must hold when everything is at rest: the oracle of the simulation.

After Hughes, Pierce, Arts and Norell, "Mysteries of Dropbox" (2016): the roots are alike; every content that was
written is current, was overwritten or deleted by a writer, or lies in the trash or the conflicts of some node; the
heads of every path are exactly those writes that no later writer had seen, so nothing deleted is back unless a
concurrent edit revived it; and looking once more writes and moves nothing.

What a fault of a volume takes with it (`simfaults`) is not asked for: bytes that lay on that volume alone, losing
heads whose bytes are nowhere any more, or only where a lost index had listed them, and writes that no index knows of
any more. With such a deletion, what it deleted is there again wherever anybody had it; with such an edit, what it
replaced. A write that one index still covers must hold as any other. What was only found may become a write, unless it
is a copy of something that is known to have been overwritten.
"""

from random import Random
from typing import Protocol

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row
from sidecar.core.paths import RelPath
from tests.support.memory_disk import excluded
from tests.support.simlink import Link
from tests.support.simnode import SimNode, Written, Wrong, fact_of, has_bytes
from tests.support.simwriters import HALF


class Rested(Protocol):
    """What is looked at."""

    nodes: list[SimNode]
    links: list[Link]

    @property
    def struck(self) -> bool:
        """Was there a fault of a volume?"""

    @property
    def torn(self) -> dict[bytes, bytes]:
        """By torn bytes, what they were."""

    @property
    def lost(self) -> set[bytes]:
        """Contents that went with a volume."""

    def settle(self, chance: Random) -> None:
        """Run until everything is at rest."""


def check(world: Rested) -> None:
    """Everything that must hold when all is at rest.

    Raises:
        Wrong: something does not.
    """
    _roots_are_identical(world)
    _versions_are_those_written(world)
    for node in world.nodes:
        _rows_say_what_is_there(node)
        _losers_are_kept(node)
        if missing := node.disk.removed - node.disk.contents() - node.destroyed:
            raise Wrong(f"{node.name} replaced or deleted bytes and did not keep them: {missing}")
    everywhere = set[bytes]().union(*(node.disk.contents() | node.destroyed for node in world.nodes))
    if lost := _contents(world) - everywhere - world.lost - {HALF, b"excluded"}:
        raise Wrong(f"bytes are lost: {lost}")
    _no_echo(world)


def _contents(world: Rested) -> set[bytes]:
    """Every content that a local writer wrote in full."""
    return {HALF}.union(*(node.finished for node in world.nodes))


def visible(node: SimNode) -> dict[RelPath, tuple[object, ...]]:
    """The root of a node without the directories that stay there alone."""
    kept = {row.path for row in node.store.rows() if row.flags & Flag.KEPT}
    return {path: seen for path, seen in node.disk.shown().items() if path not in kept}


def difference(
    one: dict[RelPath, tuple[object, ...]], other: dict[RelPath, tuple[object, ...]]
) -> dict[RelPath, object]:
    """The paths at which two roots differ, with what both have."""
    return {p: (one.get(p), other.get(p)) for p in sorted(one.keys() | other.keys()) if one.get(p) != other.get(p)}


def _roots_are_identical(world: Rested) -> None:
    first = visible(world.nodes[0])
    for node in world.nodes[1:]:
        if differs := difference(first, visible(node)):
            raise Wrong(f"the roots of {world.nodes[0].name} and {node.name} differ: {differs}")
    for path, seen in first.items():
        if seen[0] is Kind.FILE and seen[1] in world.torn:
            _is_all_that_is_left(world, path, world.torn[seen[1]])
        elif seen[0] is Kind.FILE and seen[1] not in _contents(world):
            raise Wrong(f"{path!r} shows bytes that nobody wrote: {seen[1]!r}")


def _is_all_that_is_left(world: Rested, path: RelPath, bytes_: bytes) -> None:
    """Torn bytes are shown where what they were is nowhere any more, or nobody knows that it was written there."""
    writes = [w for node in world.nodes for w in node.written if w.path == path]
    known = any(head.hash.rstrip(b"\0") == bytes_ for w in writes if not w.found for head in w.after.heads)
    if known and any(bytes_ in node.disk.contents() for node in world.nodes):
        raise Wrong(f"{path!r} shows what a power loss left of {bytes_!r}, which is still there")


def _versions_are_those_written(world: Rested) -> None:
    """The heads are those writes that no later writer had seen; every node knows them and shows the same winner."""
    writes = [written for node in world.nodes for written in node.written]
    there = set[bytes]().union(*(node.disk.held_fast() for node in world.nodes)) if world.struck else None
    by_path: dict[RelPath, set[Dot]] = {}
    for written in writes:
        by_path.setdefault(written.path, set()).update(written.dots)
    for path, dots in by_path.items():
        here = [w for w in writes if w.path == path]
        alive = {dot for dot in dots if not any(w.superseded(dot) for w in here)}
        _no_old_copy_is_an_edit(here, alive)
        gone = {head.dot for w in here for head in w.after.heads if _is_nowhere(head, there)}
        for node in world.nodes:
            row = node.store.get(path)
            heads = {head.dot for head in row.version.heads} if row is not None else set()
            dropped = {h.dot for w in here for h in w.after.heads if _may_be_dropped(node, h)}
            if heads - alive - _beside(world, row, alive) or alive - heads - gone - dropped:
                raise Wrong(f"{node.name} has the heads {heads} of {path!r}, not {alive}")
            if row is not None:
                _the_greatest_wins(node, row)
    for node in world.nodes[1:]:
        for row in node.store.rows():
            if _version(world.nodes[0], row.path) != row.version and not _is_dropped_by(world.nodes[0], row):
                raise Wrong(f"{node.name} has another version of {row.path!r} than {world.nodes[0].name}")


def _beside(world: Rested, row: Row | None, alive: set[Dot]) -> set[Dot]:
    """Old writes that came back beside a newer one: a path that was made anew where its tombstone had been dropped, of
    which a node that was away for long has an old version, lists both."""
    heads = row.version.heads if row is not None else ()
    if not any(head.dot in alive and head.kind is not Kind.TOMBSTONE for head in heads):
        return set()
    since = max(node.store.complete_since_us for node in world.nodes)
    return {head.dot for head in heads if head.dot.counter < since}


def _may_be_dropped(node: SimNode, head: Head) -> bool:
    return head.kind is Kind.TOMBSTONE and head.dot.counter < node.store.complete_since_us


def _is_dropped_by(node: SimNode, row: Row) -> bool:
    return node.store.get(row.path) is None and all(_may_be_dropped(node, head) for head in row.version.heads)


def _is_nowhere(head: Head, there: set[bytes] | None) -> bool:
    return there is not None and head.kind is Kind.FILE and head.hash.rstrip(b"\0") not in there


def _no_old_copy_is_an_edit(writes: list[Written], alive: set[Dot]) -> None:
    """A found file is no edit of its own where somebody knows that it was written, and overwritten, before.

    Unless its mtime was later than its writing: then nothing tells it from an edit.
    """
    for copy in [w for w in writes if w.found]:
        for head in [h for h in copy.after.heads if h.dot in copy.dots and h.kind is Kind.FILE]:
            for original in [w for w in writes if not w.found and w.at_ns < copy.at_ns]:
                for old in [h for h in original.after.heads if h.dot in original.dots and fact_of(h) == fact_of(head)]:
                    if old.dot not in alive and old.mtime_ns <= old.dot.counter * 1000:
                        raise Wrong(f"an old copy of {copy.path!r} passes for an edit: {head}, written as {old}")


def _the_greatest_wins(node: SimNode, row: Row) -> None:
    ranks = (Kind.TOMBSTONE, Kind.FILE, Kind.DIR)
    best = max(row.version.heads, key=lambda h: (ranks.index(Kind.FILE if h.target else h.kind), h.dot))
    if versions.winner(row.version) != best:
        raise Wrong(f"{node.name} shows {versions.winner(row.version)} at {row.path!r}, not {best}")


def _version(node: SimNode, path: RelPath) -> object:
    row = node.store.get(path)
    return row.version if row is not None else None


def _rows_say_what_is_there(node: SimNode) -> None:
    rows = {row.path: row for row in node.store.rows()}
    for path in node.disk.files.keys() | rows.keys():
        inode, row = node.disk.files.get(path), rows.get(path)
        if excluded(path, False):
            continue
        if row is None or row.stat != (inode.stat() if inode is not None else None):
            if row is not None and inode is not None and inode.kind is Kind.DIR and row.stat is not None:
                continue  # times of directories are not compared
            raise Wrong(f"{node.name} believes {row} of {path!r}, there is {inode}")
        best = versions.winner(row.version)
        if (inode is None) != (best is None or best.kind is Kind.TOMBSTONE) and not row.flags & Flag.KEPT:
            raise Wrong(f"{node.name} shows {inode} at {path!r}, the winner is {best}")


def _losers_are_kept(node: SimNode) -> None:
    for row in node.store.rows():
        for head in versions.losers(row.version):
            if head.kind is Kind.FILE and not has_bytes(node, row.path, head.hash):
                raise Wrong(f"{node.name} lists {head} of {row.path!r} and has not its bytes")


def _no_echo(world: Rested) -> None:
    """Looking at everything once more writes no row and moves no content."""
    before = [(node.store.max_seq(), len(node.written)) for node in world.nodes]
    sent = [link.sender.content_sent if link.sender is not None else 0 for link in world.links]
    for node in world.nodes:
        known = {row.path for row in node.store.rows()}
        node.absorb(sorted(known.union(path for path in node.disk.files if not excluded(path, False))))
    world.settle(Random(0))
    if before != [(node.store.max_seq(), len(node.written)) for node in world.nodes]:
        raise Wrong("looking at everything once more wrote rows")
    if sent != [link.sender.content_sent if link.sender is not None else 0 for link in world.links]:
        raise Wrong("looking at everything once more moved content")
