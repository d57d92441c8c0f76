"""The directories above what lands, and those that are to go: one lives for as long as something in it does."""

import dataclasses
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Flag, Head, Kind, Row, Version, marked
from sidecar.core.frames import Outcome
from sidecar.core.paths import RelPath
from sidecar.core.ports import Itself, Keep, Out
from sidecar.engine.absorb import Absorber
from sidecar.engine.landed import Landed, NotDone
from sidecar.engine.replica import Replica, on_disk

UNMADE: Final = 100_000
"""How many directories that did not fit are remembered."""


@dataclasses.dataclass(slots=True)
class Directories:
    """The directories of `replica`, while the entries of one batch land."""

    replica: Replica
    absorber: Absorber
    unmade: set[RelPath] = dataclasses.field(default_factory=set)
    """directories that came over this connection and did not fit: what lies in them waits for them. Made here instead,
    such a directory would be a write of this node, later than what its writer may have put in its place since"""
    _live: set[RelPath] = dataclasses.field(default_factory=set)
    """directories that were live a moment ago"""

    def forget(self) -> None:
        """A local writer was faster, or directories left: what was live a moment ago may not be."""
        self._live.clear()

    def changes(self, path: RelPath) -> None:
        """What lies at `path` is about to change: it may be live no longer."""
        self._live.discard(path)

    def did_not_fit(self, path: RelPath) -> None:
        """The peer's directory could not be made, and comes again."""
        if len(self.unmade) < UNMADE:
            self.unmade.add(path)

    def make_above(self, path: RelPath) -> None:
        """A live path makes every directory above it live: a local write where it was not. Raises NotDone: one of them
        is on its way."""
        for above in paths.ancestors(path):
            if above in self._live:
                continue
            row = self.absorber.refresh(above)
            if row.stat is None or row.stat.kind is not Kind.DIR:
                if above in self.unmade:
                    raise NotDone(Landed(Outcome.AGAIN))
                head = Head(self.replica.dots.on(row.version), Kind.DIR, mode=0o755)
                keep = Keep.CONFLICT if row.version.heads else Keep.LOST
                out = Out(row.stat, row.hash, keep) if row.stat is not None else None
                stat = self.replica.disk.put(above, head, Itself(), out)
                row = Row(above, row.version, stat, b"", row.seq)
                self.replica.store.put_stat(row)
            self.absorber.revive(above)
            self._live.add(above)

    def lives(self, directory: RelPath) -> bool:
        """Is there anything live in the directory, written here or applied?"""
        there = [self.absorber.refresh(path) for path in self.replica.disk.names(directory)]
        there += self.replica.store.children(directory)
        return any(not marked(r.flags, Flag.KEPT) for r in on_disk(there))

    def survives(self, row: Row, version: Version, heard: Version) -> None:
        """Something live was met in a directory that was to go: it stays, and everybody hears of it."""
        self.replica.commit(Row(row.path, version, row.stat, b"", row.seq), local=False, heard=heard)
        self.absorber.revive(row.path)

    def left(self, directory: RelPath) -> None:
        """What was kept in a directory for its excluded names alone has left the root with it."""
        for row in on_disk(self.replica.store.beneath(directory)):
            self.replica.store.put_stat(Row(row.path, row.version, None, b"", row.seq))
