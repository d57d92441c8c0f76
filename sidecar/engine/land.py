"""From an entry of a peer to a row and a change of the root: merge, decide, put it there, look again if surprised."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.core import ageing, found, paths
from sidecar.core import version as versions
from sidecar.core.ageing import Lacked
from sidecar.core.entry import Flag, Head, Kind, Row, Stat, Version
from sidecar.core.found import Prefer, Verdict
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.ignore import Excluded, within_excluded
from sidecar.core.links import Resolver
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.plan import Known, Merge, Show, Want, lacking, plan
from sidecar.core.ports import (
    CopyOf,
    DiskFull,
    InUse,
    Itself,
    Keep,
    Missing,
    Moved,
    NotEmpty,
    Out,
    Source,
    Staged,
    Stored,
    Surprise,
    Unreachable,
)
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.guard import Guard
from sidecar.engine.landed import Landed, NotDone, not_now
from sidecar.engine.replica import Replica

APPLIED: Final = Landed(Outcome.APPLIED)
SURPRISES: Final = 8
"""How often an entry is decided anew because a local writer was faster, before the peer is asked to send it later."""
_STALE: Final = "older than the deletions that are remembered: held as `forgotten` by the region that has it"


def _nobody() -> None:
    return None


def _always() -> int:
    return 0


@dataclasses.dataclass(slots=True)
class Lander:
    """Lands entries in `replica`; `excluded` paths are none of ours; `links_outside`: symlinks may leave the root."""

    replica: Replica
    absorber: Absorber
    resolver: Resolver
    excluded: Excluded
    guard: Guard
    directories: Directories
    links_outside: bool = False
    last: bool = True
    """has every other peer offered all that it has? Then a found path is judged by this one's row"""
    prefer: Prefer = Prefer.NEWEST
    """who wins where a found path and a peer's differ"""
    waits: Callable[[], None] = _nobody
    """called when a peer's row is to be asked for again, after the others have answered"""
    complete_since: Callable[[], int] = _always
    """every tombstone younger than this (µs since 1970) is here"""
    looked: set[RelPath] = dataclasses.field(default_factory=set)
    """whose rows tell what lay there a moment ago, when this slice began; each is asked for once"""
    _leaving: Mapping[RelPath, Entry] = dataclasses.field(default_factory=dict)
    _ours: dict[RelPath, bool] = dataclasses.field(default_factory=dict)
    """is nothing above the names of this directory, itself included, excluded?"""

    def land(self, entry: Entry, staged: Staged | None, batch: Mapping[RelPath, Entry]) -> Landed:
        """Land one entry. `staged` is its file, if it has one with the announced hash; `batch` the tombstones that
        travel with it, by path: what leaves in the same batch is moved, not copied."""
        self._leaving = batch
        self.directories.unmade.discard(entry.path)
        refused = self.refused(entry)
        if refused is not None:
            return refused
        for attempt in range(SURPRISES):
            try:
                return (None if attempt else self._gone_at_once(entry)) or self._once(entry, staged)
            except NotDone as instead:
                return instead.landed
            except Surprise:
                self.directories.forget()
                continue
            except Missing:
                return Landed(Outcome.TORN if entry.how is How.STAGED else Outcome.WANT)
            except (InUse, Unreachable, DiskFull) as error:
                if isinstance(error, DiskFull) and _is_directory(entry):
                    self.directories.did_not_fit(entry.path)
                return not_now(error)
        return Landed(Outcome.BUSY)

    def knows(self, entry: Entry) -> bool:
        """Is its version here already, so that nothing is to be done, whatever lies there?"""
        row = self.replica.store.get(entry.path)
        if row is None or row.flags.value or versions.losers(row.version) or self.refused(entry) is not None:
            return False
        return versions.merge(row.version, entry.version) == row.version

    def refused(self, entry: Entry) -> Landed | None:
        """Why nothing is done with an entry, whatever lies here; None: something may be."""
        best = versions.winner(entry.version)
        if best is None or any(not versions.covers(entry.version, head.dot) for head in entry.version.heads):
            return Landed(Outcome.REFUSED, hint="a version whose vector does not cover its heads")
        if self._is_excluded(entry.path, best.kind is Kind.DIR):
            return Landed(Outcome.EXCLUDED)
        if versions.newest(entry.version) > self.replica.dots.now_us() + versions.DAY_US:
            return Landed(Outcome.REFUSED, hint="written more than a day in the future: check the clocks")
        if best.kind is Kind.SYMLINK and not self.links_outside and self.resolver.leaves(entry.path, best.target):
            return Landed(Outcome.HELD, hint="the symlink leaves the web root: see the setting links")
        return None

    def _is_excluded(self, path: RelPath, is_dir: bool) -> bool:
        above = paths.parent(path)
        if above not in self._ours:
            self._ours[above] = above == ROOT or not within_excluded(self.excluded, above, True)
        return not self._ours[above] or self.excluded(path, is_dir)

    def _gone_at_once(self, entry: Entry) -> Landed | None:
        """A file that is to go needs no look before that: one is made right before it leaves the root, and if it is not
        as its row says, that is a surprise. None: it is something else, and nothing was done."""
        row = self.replica.row(entry.path)
        if not goes_at_once(row, entry):
            return None
        action = plan(row, entry.version, self.replica.disk.have, self.replica.disk.kept)
        if not isinstance(action, Show) or action.head.kind is not Kind.TOMBSTONE or action.missing:
            return None
        self._show(row, action.version, action.head, None, entry)
        if len(action.version.heads) > 1:
            self.keep_loser(self.replica.row(entry.path).version, None, entry)
        return APPLIED

    def _once(self, entry: Entry, staged: Staged | None) -> Landed:
        row, incoming = self._as_looked_at(entry) or self.absorber.refresh(entry.path), entry.version
        if found.is_found(row):
            verdict = found.judge(row, incoming, self.replica.dots.now_us(), self.prefer, last=self.last)
            if verdict is Verdict.WAIT:
                return self._waits(row)
            row, incoming = self._judged(row, verdict, incoming)
        else:
            self._not_past(row, incoming)
        source = self._source(entry, staged)

        def have(digest: bytes) -> bool:
            return offers(source, digest) or shows(row, digest) or self.replica.disk.have(digest)

        def kept(digest: bytes) -> bool:
            in_hand = staged is not None and staged.hash == digest
            return in_hand or shows(row, digest) or self.replica.disk.kept(digest)

        missing: tuple[bytes, ...] = ()
        match plan(row, incoming, have, kept):
            case Known():
                self.keep_loser(row.version, staged, entry)
                return Landed(Outcome.KNOWN)
            case Want(digest):
                return self.lacks(entry, digest)
            case Merge(version, missing):
                self.keep_loser(version, staged, entry)
                after = Row(row.path, version, row.stat, row.hash, row.seq, row.flags & ~Flag.FORGOTTEN)
                self.replica.commit(after, local=False, content=False, heard=entry.version)
            case Show(version, head, missing):
                self._show(row, version, head, source, entry)
                now = self.replica.row(entry.path).version
                self.keep_loser(now, staged, entry)
                if now != version:
                    # a directory survived it: what was to be shown is a losing head now
                    missing = lacking(now, kept)
        return Landed(Outcome.WANT, missing[0]) if missing else Landed(Outcome.APPLIED)

    def _as_looked_at(self, entry: Entry) -> Row | None:
        """The row, if what lay there was looked at just before and is a file, or nothing, that a file replaces: the
        step that does so looks again, and what is not as its row says is a surprise. None: it is to be looked at."""
        if entry.path not in self.looked:
            return None
        self.looked.discard(entry.path)
        best, row = versions.winner(entry.version), self.replica.row(entry.path)
        is_file = row.stat is None or row.stat.kind is Kind.FILE
        return row if is_file and best is not None and best.kind is Kind.FILE and not row.flags else None

    def _not_past(self, row: Row, incoming: Version) -> None:
        """Is it to be decided on? Raises NotDone: it was, or may have been, deleted so long ago that nobody knows."""
        match ageing.judge(row, incoming, self.complete_since()):
            case Lacked.STALE:
                raise NotDone(Landed(Outcome.STALE, hint=_STALE))
            case Lacked.PAST:
                raise NotDone(Landed(Outcome.KNOWN))
            case Lacked.NEW:
                return

    def _waits(self, row: Row) -> Landed:
        """Another peer may know better. Our own version is offered to this one; without one, this one's is asked for
        again when all have answered."""
        if row.version.heads:
            return Landed(Outcome.KNOWN)
        self.waits()
        return Landed(Outcome.HELD, hint="found, and later than this: it waits until every region has answered")

    def _judged(self, row: Row, verdict: Verdict, incoming: Version) -> tuple[Row, Version]:
        row, incoming, dots = *found.judged(row, verdict, incoming), self.replica.dots
        if verdict is Verdict.BESIDE:
            row = self.replica.commit(found.dated(row, dots.run, dots.now_us()), local=True)
        elif verdict is Verdict.OVER:
            row = self.replica.commit(found.over(row, incoming, dots.on(incoming)), local=True)
        return row, incoming

    @staticmethod
    def lacks(entry: Entry, digest: bytes) -> Landed:
        """The answer to an entry whose winner's bytes are not here."""
        best = versions.winner(entry.version)
        if best is None or best.hash != digest:
            return Landed(Outcome.WANT, digest)
        return Landed(Outcome.TORN if entry.how is How.STAGED else Outcome.WANT)

    # -- where the bytes come from

    def _source(self, entry: Entry, staged: Staged | None) -> Source | None:
        if staged is not None:
            return staged
        if entry.how is not How.FROM:
            return None
        old_path = paths.checked(entry.name)
        try:
            old = self.absorber.refresh(old_path)
        except (InUse, Unreachable):
            return None
        best = versions.winner(entry.version)
        if old.stat is None or best is None or old.stat.kind is not Kind.FILE or old.hash != best.hash:
            return None
        leaving = self._leaving.get(old_path)
        if leaving is not None:
            action = plan(old, leaving.version, self.replica.disk.have, self.replica.disk.kept)
            if isinstance(action, Show) and action.head.kind is Kind.TOMBSTONE:
                return Moved(old_path, old.stat)
        self.guard.gives(old_path)
        return CopyOf(old_path, old.stat)

    def _has_moved(self, path: RelPath) -> None:
        """A rename took the content away: its tombstone, which comes later in this batch, is written now, or a look in
        between would take it for a local deletion."""
        heard = self._leaving[path].version
        row = self.replica.row(path)
        after = Row(path, versions.merge(row.version, heard), None, b"", row.seq)
        self.replica.commit(after, local=False, heard=heard)

    # -- showing another winner

    def _show(self, row: Row, version: Version, head: Head, source: Source | None, entry: Entry) -> None:
        self.directories.changes(row.path)
        self.guard.ask(row, version, head)
        if head.kind is Kind.TOMBSTONE:
            self._remove(row, version, entry)
            return
        self.directories.make_above(row.path)
        replaced = head.kind is not Kind.DIR and row.stat is not None and row.stat.kind is Kind.DIR
        if replaced and self.directories.lives(row.path):
            self.directories.survives(row, version, entry.version)
            return
        stat = self._put(row, version, head, source)
        if replaced:
            self.directories.left(row.path)
        after = Row(row.path, version, stat, head.hash, row.seq, self.replica.racy(stat))
        self.replica.commit(after, local=False, heard=entry.version)

    def _remove(self, row: Row, version: Version, entry: Entry) -> None:
        stat, flags = None, Flag(0)
        if row.stat is not None:
            is_dir = row.stat.kind is Kind.DIR
            if is_dir and self.directories.lives(row.path):
                self.directories.survives(row, version, entry.version)
                return
            try:
                self.replica.disk.remove(row.path, Out(row.stat, row.hash, self.keep(row, version)))
            except NotEmpty:
                if not is_dir or self.directories.lives(row.path):
                    raise Surprise from None
                stat, flags = row.stat, Flag.KEPT
        self.replica.commit(Row(row.path, version, stat, b"", row.seq, flags), local=False, heard=entry.version)

    def _put(self, row: Row, version: Version, head: Head, source: Source | None) -> Stat:
        old, disk = row.stat, self.replica.disk
        same_kind = old is not None and old.kind is head.kind
        if old is not None and same_kind and (head.kind is Kind.DIR or row.hash == head.hash != b""):
            return disk.set_meta(row.path, head, old)
        out = Out(old, row.hash, self.keep(row, version)) if old is not None else None
        if head.kind is not Kind.FILE:
            return disk.put(row.path, head, Itself(), out)
        if source is None or not offers(source, head.hash):
            source = Stored(head.hash)
        stat = disk.put(row.path, head, source, out)
        if isinstance(source, Moved):
            self._has_moved(source.path)
        return stat

    def keep(self, row: Row, version: Version) -> Keep:
        """What leaves the root is a conflict's as long as a head still names it."""
        if row.hash and any(h.kind is Kind.FILE and h.hash == row.hash for h in versions.losers(version)):
            return Keep.CONFLICT
        if found.is_found(row):
            return Keep.LOST
        best = versions.winner(version)
        return Keep.DELETED if best is not None and best.kind is Kind.TOMBSTONE else Keep.REPLACED

    def keep_loser(self, version: Version, staged: Staged | None, entry: Entry) -> None:
        """Staged bytes that did not win but are a head's are kept; those that another path's are kept for both."""
        disk = self.replica.disk
        for head in versions.losers(version):
            if head.kind is not Kind.FILE:
                continue
            if staged is not None and staged.hash == head.hash and not disk.kept(head.hash):
                disk.keep_staged(entry.path, staged)
            else:
                disk.keep_also(entry.path, head.hash)


def _is_directory(entry: Entry) -> bool:
    best = versions.winner(entry.version)
    return best is not None and best.kind is Kind.DIR


def goes_at_once(row: Row, entry: Entry) -> bool:
    """Is it the deletion of what is here a file, of which its row tells all? It is looked at when it goes."""
    best, stat = versions.winner(entry.version), row.stat
    is_deletion = best is not None and best.kind is Kind.TOMBSTONE
    return is_deletion and stat is not None and stat.kind is Kind.FILE and bool(row.hash) and not row.flags


def shows(row: Row, digest: bytes) -> bool:
    """Does the root show these bytes there?"""
    return row.stat is not None and row.stat.kind is Kind.FILE and row.hash == digest


def offers(source: Source | None, digest: bytes) -> bool:
    """Are they what the source brings?"""
    if isinstance(source, Staged):
        return source.hash == digest
    return isinstance(source, CopyOf | Moved)
