"""From a dirty path to a row: what a local writer did becomes a version."""

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final, TypeAlias

from sidecar.core import observe, paths
from sidecar.core import version as versions
from sidecar.core.entry import Flag, Kind, Row, Stat, marked
from sidecar.core.ignore import Excluded, within_excluded
from sidecar.core.observe import Change
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Surprise, Unreachable
from sidecar.engine.replica import Replica

Trouble: TypeAlias = InUse | Unreachable
_THERE: Final = (Kind.FILE, Kind.DIR)

LEFT_LIMIT = 50_000
"""How many paths that just left are remembered, to tell where they went."""


def _nothing_is_withheld(_path: RelPath) -> bool:
    return False


def _nothing_is_excluded(_path: RelPath, _is_dir: bool) -> bool:
    return False


def _check_length(path: RelPath) -> None:
    if len(path) > paths.MAX_PATH:
        raise Unreachable(path, f"its path is longer than {paths.MAX_PATH} bytes", "shorten it: no peer takes it")


@dataclasses.dataclass(slots=True)
class Absorber:
    """Turns local changes into rows of `replica`.

    `withheld`: is nobody to hear that a path is gone? It waits, and the bytes of its row with it.
    `excluded`: what is never replicated gets no row.
    `finding`: this is the first scan of a new index, or after a power loss, so what no row names is found, not written;
    `power_lost`: so is what differs from its row, or is missing.
    """

    replica: Replica
    withheld: Callable[[RelPath], bool] = _nothing_is_withheld
    excluded: Excluded = _nothing_is_excluded
    finding: bool = False
    power_lost: bool = False
    unchanged: int = 0
    """looks that found nothing new: echoes among them"""
    _left: dict[int, Row] = dataclasses.field(default_factory=dict)
    _gone: Container[RelPath] = ()

    def absorb(
        self,
        dirty: Iterable[RelPath],
        looked: Mapping[RelPath, Stat] | None = None,
        gone: Container[RelPath] = (),
        *,
        left: bool = False,
    ) -> dict[RelPath, Trouble]:
        """Look at every path and write what changed. Returns the paths that could not be looked at, with InUse or
        Unreachable; with `looked`, InUse are also those that are no longer as they were then.

        What is there comes first, ancestors before it; then symlinks, which lead to it; then what has gone, so that a
        rename is told from a deletion, and a release leaves after `current` does. `gone` had gone before, with all that
        lay beneath, and no symlink has changed until then: what a file was renamed from there goes with it, so that a
        peer hears of both at once, and renames as well. `left`: a look has just told of all of it that it is gone.
        """
        self._gone = gone
        troubles: dict[RelPath, Trouble] = {}
        seen = [(path, None if left else self._seen(path, troubles)) for path in dirty]
        for path, stat in seen:
            if stat is not None and stat.kind in _THERE:
                # what a file has become since then an event tells, which comes after those that led here
                self._tried(path, troubles, looked, stat if stat.kind is Kind.FILE else None)
        for path, stat in seen:
            if stat is not None and stat.kind is Kind.SYMLINK:
                self._tried(path, troubles, looked)
        went = [path for path, stat in seen if stat is None and path not in troubles]
        for path in sorted(went, key=paths.depth, reverse=True):
            # what has come back since then an event tells as well
            self._tried(path, troubles, looked, is_gone=looked is None)
        self._gone = ()  # it holds for this order alone
        return troubles

    def _seen(self, path: RelPath, troubles: dict[RelPath, Trouble]) -> Stat | None:
        try:
            return self.replica.disk.look(path)
        except Unreachable as error:
            troubles[path] = error
            return None

    def _tried(
        self,
        path: RelPath,
        troubles: dict[RelPath, Trouble],
        looked: Mapping[RelPath, Stat] | None,
        seen: Stat | None = None,
        *,
        is_gone: bool = False,
    ) -> None:
        try:
            _check_length(path)
            stat = None if is_gone else seen or self.replica.disk.look(path)
            if looked is None or stat == looked[path]:
                self._taken_up(path, stat)
            else:
                troubles[path] = InUse(path)
        except Surprise:
            troubles[path] = InUse(path)
        except (InUse, Unreachable) as error:
            troubles[path] = error

    def refresh(self, path: RelPath) -> Row:
        """The row of `path` as the disk has it now, after a local change, if there was one, is written.

        Raises:
            InUse: the file is being written; Unreachable: it cannot be read, or its path is too long; Surprise: it
                changes under our eyes.
        """
        _check_length(path)
        return self._taken_up(path, self.replica.disk.look(path))

    def _taken_up(self, path: RelPath, stat: Stat | None) -> Row:
        row = self.replica.row(path)
        change = observe.compare(row, stat)
        if change is Change.NONE:
            self.unchanged += 1
            if stat is not None and stat.kind is Kind.SYMLINK and stat != row.stat:
                # it was made anew as it was, or chowned: the row must name the one that is to leave, when it is to
                return self.replica.store.put_stat(Row(path, row.version, stat, b"", row.seq, row.flags))
            return self._another_directory(row, stat)
        if stat is None:
            if self.withheld(path):
                raise Unreachable(path, "it was gone at a scan: held", "put it back, or `sidecar approve scan`")
            return self._vanished(row)
        if row.stat is None and within_excluded(self.excluded, path, stat.kind is Kind.DIR):
            return row  # a peer that has it names it
        if stat.kind is Kind.FILE:
            return self._file(row, stat, change)
        if row.stat is not None and row.stat.kind is Kind.DIR and not _is_same_directory(stat, row.stat):
            self._beneath_has_gone(path)
        return self._write(row, stat, b"")

    def _another_directory(self, row: Row, stat: Stat | None) -> Row:
        """A directory that took the place of one that was moved away: what its row knew beneath has gone with that."""
        old = row.stat
        if old is None or stat is None or stat.kind is not Kind.DIR or _is_same_directory(stat, old):
            return row
        self._beneath_has_gone(row.path)
        return self.replica.store.put_stat(Row(row.path, row.version, stat, b"", row.seq, row.flags))

    def _file(self, row: Row, seen: Stat, change: Change) -> Row:
        disk = self.replica.disk
        left = self._moved_from(row.path, seen) if change is not Change.ASK_HASH else None
        if left is not None and left.stat is not None and left.stat == seen:
            if disk.being_written(row.path):
                raise InUse(row.path)
            stat, digest = left.stat, left.hash  # its directory was renamed: nothing of it has changed
        else:
            stat, digest = disk.digest(row.path)
        if row.stat is not None and observe.shown(row, stat, digest):
            self.unchanged += 1
            return self.replica.store.put_stat(self._restated(row, stat, digest))
        if row.stat is not None and row.stat.kind is Kind.DIR:
            self._beneath_has_gone(row.path)
        came_from = left.path if left is not None and left.hash == digest else None
        written = self._write(row, stat, digest, came_from)
        if came_from is not None and not self.finding:
            self._leaves(came_from)
        return written

    def _leaves(self, path: RelPath) -> None:
        """A file was renamed from there: if that had gone before, it is written at once, not with what has gone."""
        if path not in self._gone and not any(above in self._gone for above in paths.ancestors(path)):
            return
        row = self.replica.row(path)
        is_file = row.stat is not None and row.stat.kind is Kind.FILE
        if is_file and not row.flags and self.replica.disk.look(path) is None and not self.withheld(path):
            self._deleted(row)

    def _restated(self, row: Row, stat: Stat, digest: bytes) -> Row:
        flags = (row.flags & ~Flag.RACY) | self.replica.racy(stat)
        return Row(row.path, row.version, stat, digest, row.seq, flags)

    def _write(self, row: Row, stat: Stat, digest: bytes, came_from: RelPath | None = None) -> Row:
        self._ancestors(row.path)
        racy = self.replica.racy(stat)
        if self._is_found(row):
            return self.replica.store.put_stat(Row(row.path, row.version, stat, digest, row.seq, Flag.FOUND | racy))
        content = row.stat is None or row.stat.kind is not stat.kind or row.hash != digest
        after = observe.written(row, stat, digest, self.replica.dots.on(row.version), racy)
        return self.replica.commit(after, local=True, content=content, came_from=came_from)

    def _is_found(self, row: Row) -> bool:
        return self.finding and (self.power_lost or not row.version.heads)

    def _ancestors(self, path: RelPath) -> None:
        for above in paths.ancestors(path):
            row = self.replica.row(above)
            best = versions.winner(row.version)
            if best is None or best.kind is not Kind.DIR:
                self.revive(above)

    def observed(self, path: RelPath, stat: Stat, digest: bytes) -> Row:
        """The row of a file that was seen with these bytes a moment ago, whatever its writer has done since."""
        row = self.replica.row(path)
        if row.stat is not None and observe.shown(row, stat, digest):
            return row
        return self._write(row, stat, digest)

    def revive(self, path: RelPath) -> None:
        """A directory that holds something live lives: a local write, beside a file that another node put there."""
        row, stat = self.replica.row(path), self.replica.disk.look(path)
        if stat is None or stat.kind is not Kind.DIR:
            raise Surprise
        best = versions.winner(row.version)
        if best is not None and best.kind is Kind.DIR:
            if row.stat is not None and row.stat.kind is Kind.DIR and row.stat.mode != stat.mode:
                raise Surprise  # a change of its mode is a write, which is looked at first
            if row.stat != stat:
                self.replica.store.put_stat(Row(path, row.version, stat, b"", row.seq, row.flags))
            return
        if self._is_found(row):
            if row.stat is None or row.stat.kind is not Kind.DIR:
                self.replica.store.put_stat(Row(path, row.version, stat, b"", row.seq, Flag.FOUND))
            return
        head = observe.head_of(stat, b"", self.replica.dots.on(row.version))
        # what the row says lay here was replaced by a local writer; what it does not, another node has put beside it
        replaced = row.stat is not None and row.stat.kind is not Kind.DIR
        keep_beside = best is not None and best.kind is not Kind.TOMBSTONE and not replaced
        version = versions.beside(row.version, head) if keep_beside else versions.write(row.version, head)
        self.replica.commit(Row(path, version, stat, b"", row.seq), local=True)

    def _vanished(self, row: Row) -> Row:
        assert row.stat is not None
        if row.stat.kind is Kind.DIR:
            self._beneath_has_gone(row.path)
        if marked(row.flags, Flag.FOUND) and not row.version.heads:
            self.replica.store.remove(row.path)
            return Row(row.path)
        best = versions.winner(row.version)
        if marked(row.flags, Flag.KEPT) and best is not None and best.kind is Kind.TOMBSTONE:
            return self.replica.store.put_stat(Row(row.path, row.version, None, b"", row.seq))
        if self._is_found(row):
            return self.replica.store.put_stat(Row(row.path, row.version, None, b"", row.seq, Flag.FOUND))
        self._remember(row)
        return self._deleted(row)

    def _deleted(self, row: Row) -> Row:
        after = observe.written(row, None, b"", self.replica.dots.on(row.version), Flag(0))
        return self.replica.commit(after, local=True)

    def _beneath_has_gone(self, directory: RelPath) -> None:
        beneath = self.replica.store.beneath(directory, live_only=True)
        for row in sorted(beneath, key=lambda r: paths.depth(r.path), reverse=True):
            if self.replica.disk.look(row.path) is None and not self.withheld(row.path):
                self._vanished(row)

    def _remember(self, row: Row) -> None:
        if row.stat is not None and row.stat.kind is Kind.FILE and row.hash:
            if len(self._left) >= LEFT_LIMIT:
                self._left.clear()
            self._left[row.stat.ino] = row

    def _moved_from(self, path: RelPath, stat: Stat) -> Row | None:
        """The row of what a file that appeared was before, as inode, birth time, size and mtime tell."""
        if not stat.btime_ns:
            return None
        left = self._left.pop(stat.ino, None)
        for row in [left] if left is not None else self.replica.store.by_inode(stat.ino):
            old = row.stat
            if old is None or row.path == path or not row.hash or marked(row.flags, Flag.RACY):
                continue
            same = (old.btime_ns, old.size, old.mtime_ns) == (stat.btime_ns, stat.size, stat.mtime_ns)
            if same and self.replica.disk.look(row.path) != old:
                return row
        return None


def _is_same_directory(stat: Stat, old: Stat) -> bool:
    return stat.kind is Kind.DIR and (stat.ino, stat.btime_ns) == (old.ino, old.btime_ns)
