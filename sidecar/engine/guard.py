"""May what lies here go because a peer says so? What may not is held, until a person decides."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from sidecar.core import found
from sidecar.core.entry import Flag, Head, Kind, Row, Version, marked
from sidecar.core.frames import Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.landed import Landed, NotDone
from sidecar.engine.replica import Replica

GIVEN: Final = 100_000
"""How many paths that a rename left are remembered until their deletion comes."""


def nothing_is_held(_size: int, _held: bool) -> str:
    """Whatever is deleted or replaced, nobody is asked."""
    return ""


def nothing_is_rejected() -> bool:
    """Of what is held, nothing was rejected."""
    return False


@dataclasses.dataclass(slots=True)
class Guard:
    """Asked before anything of `replica` is deleted or replaced for one peer."""

    replica: Replica
    holds: Callable[[int, bool], str] = nothing_is_held
    """may a path that holds so many bytes, and is held already or not, be deleted or replaced? "", or why it is held"""
    rejects: Callable[[], bool] = nothing_is_rejected
    """does what is here win, where it would be held?"""
    given: set[RelPath] = dataclasses.field(default_factory=set)
    """paths whose bytes were copied to where a rename brought them: that they go loses nothing, so nobody is asked"""
    _answered: dict[RelPath, str] = dataclasses.field(default_factory=dict)
    """what `holds` said already of what did not go yet"""

    def gives(self, path: RelPath) -> None:
        """The bytes at `path` are where a rename brought them: its deletion, which comes later, loses nothing."""
        if len(self.given) >= GIVEN:
            self.given.clear()
        self.given.add(path)

    def ask(self, row: Row, version: Version, head: Head) -> None:
        """May what lies there go, for `head`? Mode and mtime alone do not ask, nor does what a rename left. Raises
        NotDone."""
        stat = row.stat
        if stat is None:
            return
        if stat.kind is Kind.DIR:
            if head.kind is not Kind.DIR and self._holds_held(row.path):
                self._hold(row, "held with what is in it: see `sidecar status`")
            return
        if head.kind is Kind.TOMBSTONE and row.path in self.given and row.path not in self._answered:
            self.given.discard(row.path)
            return
        if stat.kind is head.kind and row.hash == head.hash and stat.target == head.target:
            return
        held = marked(row.flags, Flag.HELD)
        why = self._answered.pop(row.path) if row.path in self._answered else self.holds(stat.size, held)
        if why and self.rejects():
            raise NotDone(self._ours_wins(row, version))
        if why:
            self._hold(row, why)

    def why_not(self, row: Row) -> str:
        """Why what lies there may not be deleted, "" if it may; to be asked once of a path."""
        if row.stat is None or row.stat.kind is Kind.DIR or row.path in self.given:
            return ""
        return self.holds(row.stat.size, marked(row.flags, Flag.HELD))

    def answered(self, paths: Iterable[RelPath], why: str) -> None:
        """One of these, which go together or not at all, may not go: none of them is asked about again."""
        self._answered.update((path, why) for path in paths)

    def _hold(self, row: Row, why: str) -> NoReturn:
        held = Row(row.path, row.version, row.stat, row.hash, row.seq, row.flags | Flag.HELD)
        self.replica.store.put_stat(held)
        raise NotDone(Landed(Outcome.HELD, hint=why))

    def _ours_wins(self, row: Row, version: Version) -> Landed:
        """What lies here is written over all that the peer has: so it comes back there, from its trash if it can."""
        self.replica.commit(found.over(row, version, self.replica.dots.on(version)), local=True, content=False)
        return Landed(Outcome.KNOWN)

    def _holds_held(self, directory: RelPath) -> bool:
        """Is something in it whose deletion is held? Then the directory has not survived anything: it waits too."""
        return any(marked(row.flags, Flag.HELD) for row in self.replica.store.children(directory))
