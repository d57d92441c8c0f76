"""A directory that something else takes the place of, in one step with all that dies beneath it: no visitor who follows
a path into it meets a hole.

Everything is judged before anything is done. Where the judging finds more than deletions (something lives there, or a
version is to be merged) path by path decides, as for any other entry.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from sidecar.core import found
from sidecar.core.entry import Flag, Head, Kind, Row, Version, marked
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.paths import RelPath
from sidecar.core.plan import Known, Merge, Show, Want, lacking, plan
from sidecar.core.ports import DiskFull, InUse, Itself, Missing, Out, Source, Staged, Stored, Surprise, Unreachable
from sidecar.engine.land import SURPRISES, Lander, offers, shows
from sidecar.engine.landed import Landed, not_now
from sidecar.engine.replica import on_disk

AGAIN: Final = Landed(Outcome.AGAIN)
Together: TypeAlias = Mapping[int, tuple[int, ...]]
"""As `core.replaced.replaced` makes it."""


def landed(
    lander: Lander,
    entries: Sequence[Entry],
    part: range,
    together: Together,
    holds: Callable[[int], bool],
    staged: Mapping[bytes, Staged],
    leaving: Mapping[RelPath, Entry],
) -> Iterator[tuple[int, Landed]]:
    """Land `part` of a batch: what became of each entry, by its index. The caller notes what was not applied before it
    asks for the next: `holds` tells whether what an entry leans on was. `leaving`: what a rename may take."""
    later = {at for by, beneath in together.items() if by in part for at in beneath}

    def one(at: int) -> Landed:
        entry = entries[at]
        if not holds(entry.leans):
            return AGAIN
        old = leaving.get(RelPath(entry.name)) if entry.how is How.FROM else None
        # what a rename would end may have to wait by now: then its content is copied
        return lander.land(entry, _file(entry, staged), leaving if old is None or holds(old.leans) else {})

    for at in part:
        if at in later:
            continue
        if at not in together:
            yield at, one(at)
            continue
        all_of_it = (*together[at], at)
        if not all(holds(entries[each].leans) for each in all_of_it):
            yield from ((each, AGAIN) for each in all_of_it)
            continue
        made = Whole(lander, entries[at], [entries[each] for each in together[at]]).land(_file(entries[at], staged))
        for each in all_of_it:
            yield each, made[entries[each].path] if made is not None else one(each)


def _file(entry: Entry, staged: Mapping[bytes, Staged]) -> Staged | None:
    return staged.get(entry.name or entry.path)


class NotWhole(Exception):
    """Path by path, then."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Going:
    """A path beneath the directory that is deleted with it."""

    entry: Entry
    row: Row
    version: Version


@dataclasses.dataclass(slots=True)
class Whole:
    """Lands `entry` in the place of a directory, with the tombstones `beneath` it, deepest first."""

    lander: Lander
    entry: Entry
    beneath: Sequence[Entry]
    _granted: set[RelPath] = dataclasses.field(default_factory=set)

    def land(self, staged: Staged | None) -> dict[RelPath, Landed] | None:
        """What became of them all; None: nothing was done, they are to land one by one."""
        if self.entry.how is How.FROM or any(self.lander.refused(e) for e in (self.entry, *self.beneath)):
            return None
        for _ in range(SURPRISES):
            try:
                return self._once(staged)
            except NotWhole:
                return None
            except Surprise:
                self.lander.directories.forget()
            except Missing:
                return self._wait(self.entry.path, self.lander.lacks(self.entry, b""))
            except (InUse, Unreachable, DiskFull) as error:
                where = self.entry.path if isinstance(error, DiskFull) else error.path
                return self._wait(where, not_now(error))
        return self._wait(self.entry.path, Landed(Outcome.BUSY))

    def _wait(self, path: RelPath, why: Landed) -> dict[RelPath, Landed]:
        """One of them cannot be done now: nothing of it is, so that the directory stays whole."""
        waiting = dict.fromkeys((e.path for e in (self.entry, *self.beneath)), AGAIN)
        waiting[path if path in waiting else self.entry.path] = why
        return waiting

    def _once(self, staged: Staged | None) -> dict[RelPath, Landed]:
        lander, path = self.lander, self.entry.path
        row = lander.absorber.refresh(path)
        if row.stat is None or row.stat.kind is not Kind.DIR or found.is_found(row) or marked(row.flags, Flag.KEPT):
            raise NotWhole
        match self._planned(row, self.entry, staged):
            case Want(digest):
                return self._wait(path, lander.lacks(self.entry, digest))
            case Show(version, head, _) if head.kind in (Kind.FILE, Kind.SYMLINK):
                pass
            case _:
                raise NotWhole
        going, known = self._judged()
        self._nothing_lives(going)
        self._closed(going)
        self._ask(going)
        lander.directories.make_above(path)
        self._exchange(row, version, head, staged, going)
        made = dict.fromkeys((one.entry.path for one in going), Landed(Outcome.APPLIED))
        made |= {entry.path: lander.land(entry, None, {}) for entry in known}
        lander.keep_loser(version, staged, self.entry)
        missing = lacking(version, lander.replica.disk.kept)
        made[path] = Landed(Outcome.WANT, missing[0]) if missing else Landed(Outcome.APPLIED)
        return made

    def _planned(self, row: Row, entry: Entry, staged: Staged | None) -> Known | Want | Merge | Show:
        disk = self.lander.replica.disk
        return plan(
            row,
            entry.version,
            lambda digest: offers(staged, digest) or shows(row, digest) or disk.have(digest),
            lambda digest: offers(staged, digest) or shows(row, digest) or disk.kept(digest),
        )

    # -- judging

    def _judged(self) -> tuple[list[_Going], list[Entry]]:
        """What leaves with the directory, and the tombstones of what does not lie here."""
        going, known = list[_Going](), list[Entry]()
        for entry in self.beneath:
            row = self.lander.absorber.refresh(entry.path)
            action = self._planned(row, entry, None)
            if found.is_found(row) or (row.stat is not None and marked(row.flags, Flag.KEPT)):
                raise NotWhole
            if isinstance(action, Show) and action.head.kind is Kind.TOMBSTONE:
                going.append(_Going(entry, row, action.version))
            elif isinstance(action, Known | Merge) and row.stat is None:
                known.append(entry)
            else:
                raise NotWhole
        return going, known

    def _nothing_lives(self, going: list[_Going]) -> None:
        """Beside what goes: neither by the rows, nor written by somebody whom nobody has heard yet."""
        lander, dying = self.lander, {one.row.path for one in going}
        if any(row.path not in dying for row in on_disk(lander.replica.store.beneath(self.entry.path))):
            raise NotWhole
        within = (one.row.path for one in going if one.row.stat is not None and one.row.stat.kind is Kind.DIR)
        for directory in (self.entry.path, *within):
            for name in lander.replica.disk.names(directory):
                if name not in dying:
                    lander.absorber.refresh(name)
                    raise NotWhole

    def _closed(self, going: list[_Going]) -> None:
        for one in going:
            is_file = one.row.stat is not None and one.row.stat.kind is Kind.FILE
            if is_file and self.lander.replica.disk.being_written(one.row.path):
                raise InUse(one.row.path)

    def _ask(self, going: list[_Going]) -> None:
        """May all of it go? If something may not, nothing does: it is held as a whole."""
        guard = self.lander.guard
        for row in (one.row for one in going if one.row.path not in self._granted):
            why = guard.why_not(row)
            if why:
                guard.answered((one.row.path for one in going), why)
                raise NotWhole
            self._granted.add(row.path)

    # -- doing

    def _exchange(self, row: Row, version: Version, head: Head, staged: Staged | None, going: list[_Going]) -> None:
        lander, replica = self.lander, self.lander.replica
        assert row.stat is not None, "it was judged to be a directory"
        leave = {
            one.row.path: Out(one.row.stat, one.row.hash, lander.keep(one.row, one.version))
            for one in going
            if one.row.stat is not None
        }
        out = Out(row.stat, b"", lander.keep(row, version))
        stat = replica.disk.put(row.path, head, _source(head, staged), out, leave)
        lander.directories.forget()
        for one in going:
            lander.guard.given.discard(one.row.path)
            after = Row(one.row.path, one.version, None, b"", one.row.seq)
            replica.commit(after, local=False, heard=one.entry.version)
        after = Row(row.path, version, stat, head.hash, row.seq, replica.racy(stat))
        replica.commit(after, local=False, heard=self.entry.version)


def _source(head: Head, staged: Staged | None) -> Source:
    if head.kind is not Kind.FILE:
        return Itself()
    return staged if staged is not None and staged.hash == head.hash else Stored(head.hash)
