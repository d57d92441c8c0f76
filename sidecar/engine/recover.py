"""What a kill interrupted: rows that were intended, bytes on their way out of the root, are told from local changes.

A batch lands in two commits with its renames between them, so after a kill a path may show what its row does not say
yet. The intents of the first commit tell: what was to be there and is there was applied, not written by anybody here.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import structlog

from sidecar.core import paths
from sidecar.core import version as versions
from sidecar.core.entry import Flag, Head, Kind, Row, Stat, Version
from sidecar.core.intent import Intent
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import InUse, Keep, Surprise, Unreachable
from sidecar.engine.replica import Replica
from sidecar.fs import keep, stage
from sidecar.fs.faults import Denied, Missing, Unstaged
from sidecar.fs.root import MADE, WebRoot
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

TRASH_HOURS: Final = 2
"""Directories of the trash, one an hour, in which something may lie that was not listed any more."""


class Recovery:
    """Finishes what the run before this one, or a transaction that failed, began: before anything looks at the root.

    Args:
        trash_name: gives a fresh name in the trash.
    """

    def __init__(
        self,
        replica: Replica,
        root: WebRoot,
        index: Index,
        trash_name: Callable[[], RelPath],
        now_us: Callable[[], int],
    ) -> None:
        self._replica = replica
        self._root = root
        self._index = index
        self._trash_name = trash_name
        self._now_us = now_us

    def run(self) -> int:
        """Write the rows of what was applied and list what left the root; how many intents there were.

        Raises:
            Retryable, NeedsHelp: as on a full disk; no row was written, the intents stay for the next call.
        """
        with self._index.transaction():
            intents = self._index.intents()
            losing = {head.hash for intent in intents for head in versions.losers(intent.version)}
            if intents:
                self._list_trash(losing)
            self._keep_what_came_out(intents, losing)
            for intent in intents:
                self._list_conflicts(intent)
                self._applied(intent)
            self._index.clear_intents()
        if intents:
            log.info("what a kill interrupted was finished", intents=len(intents))
        return len(intents)

    # -- rows

    def _applied(self, intent: Intent) -> None:
        """Write the row that was intended if the disk shows it, or showed it before a local writer came."""
        row, head = self._replica.row(intent.path), versions.winner(intent.version)
        if head is None:
            return
        try:
            stat = self._replica.disk.look(intent.path)
            shown, taken = self._shows(intent, head, stat, row), False
            if shown is None and (another := self._another(intent, stat, row)) is not None:
                # it wins since a local writer took away what did
                (head, shown), taken = another, True
        except (Surprise, InUse, Unreachable):
            return
        if shown is None:
            return
        digest = head.hash if head.kind is Kind.FILE else b""
        flags = self._replica.racy(shown[0]) if shown[0] is not None else Flag(0)
        version = versions.merge(row.version, intent.version)
        taken = taken or self._taken_away(row, version)
        if taken:
            # a local writer was faster than the rename, and nobody saw: what the row says lay here was deleted
            gone = Head(self._replica.dots.on(version), Kind.TOMBSTONE)
            version = versions.merge(versions.write(row.version, gone), intent.version)
        if version == row.version:
            # the row knew it before, and nobody is to hear of it again
            self._replica.store.put_stat(Row(intent.path, version, shown[0], digest, row.seq, flags))
            return
        # told like any other: after a transaction that failed, links may be up
        self._replica.commit(Row(intent.path, version, shown[0], digest, row.seq, flags), local=taken)

    def _another(self, intent: Intent, stat: Stat | None, row: Row) -> tuple[Head, tuple[Stat | None]] | None:
        """The head of the peer that the disk shows though it was not to win, and its stat."""
        for head in intent.version.heads:
            if head not in row.version.heads and head.kind is not Kind.TOMBSTONE:
                shown = self._shows(intent, head, stat, row)
                if shown is not None:
                    return head, shown
        return None

    def _taken_away(self, row: Row, version: Version) -> bool:
        """Would the row list a head whose bytes lay here and went neither to the conflicts nor to the trash?"""
        lost = row.stat is not None and row.stat.kind is Kind.FILE and not self._replica.disk.have(row.hash)
        return lost and any(head.hash == row.hash for head in versions.losers(version))

    def _shows(self, intent: Intent, head: Head, stat: Stat | None, row: Row) -> tuple[Stat | None] | None:
        """The stat for the row, in a tuple; None: it was not applied, the peer will send it again."""
        if stat is None:
            return (None,) if head.kind is Kind.TOMBSTONE else None
        if stat.kind is not head.kind:
            return None
        match head.kind:
            case Kind.DIR:
                # a directory that was there before shows by its mode alone whether it was touched
                if row.stat is None:
                    return (msgspec.structs.replace(stat, mode=head.mode),)
                return (stat,) if stat.mode == head.mode else None
            case Kind.SYMLINK:
                return (stat,) if (stat.target, stat.mtime_ns) == (head.target, head.mtime_ns) else None
            case _:
                return self._shows_file(intent, head, stat)

    def _shows_file(self, intent: Intent, head: Head, stat: Stat) -> tuple[Stat] | None:
        if intent.ino and stat.ino == intent.ino:
            # whoever touched it since: the row says what was placed, and the next look tells
            return (_placed(stat, head),)
        intact = (stat.size, stat.mtime_ns, stat.mode) == (head.size, head.mtime_ns, head.mode)
        if intact and self._replica.disk.digest(intent.path)[1] == head.hash:
            return (stat,)
        return None

    # -- bytes

    def _keep_what_came_out(self, intents: list[Intent], losing: set[bytes]) -> None:
        """What lies in the inbox and is not what was staged, or made, for an intent came out of the root."""
        staged = {intent.staged: intent for intent in intents if intent.ino}
        made = {head.hash for intent in intents for head in intent.version.heads}
        for name, stat in list(stage.leftovers(self._root)):
            row, intent = self._owner_of(stat), staged.get(name)
            if row is not None:
                self._keep(name, row.path, stat, row.hash, losing)
            elif stat.kind is not Kind.FILE:
                continue
            elif intent is not None and stat.ino != intent.ino:
                self._keep(name, intent.path, stat, self._hash(name), losing)
            elif name.startswith(MADE + b"/") and (digest := self._hash(name)) not in made:
                # a local writer's, which no row names yet: an exchange met it
                self._keep(name, ROOT, stat, digest, losing)

    def _hash(self, name: RelPath) -> bytes:
        try:
            return stage.stage_file(self._root, name).hash
        except Unstaged:
            return b""

    def _keep(self, name: RelPath, path: RelPath, stat: Stat, digest: bytes, losing: set[bytes]) -> None:
        if stat.kind is Kind.FILE and digest in losing:
            keep.to_conflicts(self._root, self._root.inbox, name, digest)
            self._index.add_conflict(path, digest, self._now_us())
            return
        trash_name = self._trash_name()
        keep.out_to_trash(self._root, name, trash_name)
        self._index.add_trash(trash_name, path, stat, digest, Keep.REPLACED, "", self._now_us())

    def _list_trash(self, losing: set[bytes]) -> None:
        """What went to the trash by a rename whose commit never came."""
        hours = sorted(name for name, stat in self._root.trash.listdir(ROOT).entries if stat.kind is Kind.DIR)
        for hour in hours[-TRASH_HOURS:]:
            for leaf, stat in self._root.trash.listdir(RelPath(hour)).entries:
                name = paths.join(RelPath(hour), leaf)
                row = self._owner_of(stat)
                if row is None or any(kept.name == name for kept in self._index.trash_of(row.path)):
                    continue
                if stat.kind is Kind.FILE and row.hash in losing:
                    keep.to_conflicts(self._root, self._root.trash, name, row.hash)
                    self._index.add_conflict(row.path, row.hash, self._now_us())
                else:
                    self._add_trash(name, row)

    def release_conflicts(self) -> None:
        """At start: bytes that a conflict no longer needs are on their way to the trash, where they are listed."""
        for leaf, stat in self._root.conflicts.listdir(ROOT).entries:
            digest = _digest(leaf)
            if stat.kind is not Kind.FILE or not digest or self._index.has_conflict(digest):
                continue
            listed = [name for name in self._index.trash_named(digest) if self._root.trash.lstat(name) is None]
            if not listed and not self._index.new_index:  # an index that is no more listed it
                listed = [self._trash_name()]
                self._index.add_trash(listed[0], ROOT, stat, digest, Keep.CONFLICT, "", self._now_us())
            if listed:
                keep.conflict_to_trash(self._root, digest, listed[0])

    def list_unlisted(self) -> None:
        """A new index lists what lies in the trash already, of paths that nobody knows any more."""
        if not self._index.new_index:
            return
        with self._index.transaction():
            for hour in (
                RelPath(name) for name, stat in self._root.trash.listdir(ROOT).entries if stat.kind is Kind.DIR
            ):
                for leaf, stat in self._root.trash.listdir(hour).entries:
                    name = paths.join(hour, leaf)
                    if not self._index.lists_trash(name):
                        self._index.add_trash(name, ROOT, stat, b"", Keep.LOST, "", min(_when(leaf), self._now_us()))

    def _list_conflicts(self, intent: Intent) -> None:
        for head in versions.losers(intent.version):
            if head.kind is Kind.FILE and keep.has_conflict(self._root, head.hash, head.size):
                self._index.add_conflict(intent.path, head.hash, self._now_us())

    def _owner_of(self, stat: Stat) -> Row | None:
        """The row that says this very file lies in the root, where it does not lie any more."""
        for row in self._index.by_inode(stat.ino):
            old = row.stat
            if old is None or (old.kind, old.btime_ns) != (stat.kind, stat.btime_ns):
                continue
            try:
                now = self._root.lstat(row.path)
            except Denied:
                continue
            if now is None or now.ino != stat.ino:
                return row
        return None

    def _add_trash(self, name: RelPath, row: Row) -> None:
        assert row.stat is not None
        self._index.add_trash(name, row.path, row.stat, row.hash, Keep.REPLACED, "", self._now_us())

    def clean_inbox(self) -> None:
        """At start: what earlier runs left staged goes; no rsync of theirs can still be running."""
        for name, stat in self._root.inbox.listdir(ROOT).entries:
            if stat.kind is Kind.DIR:
                for leaf in self._names(RelPath(name)):
                    stage.drop(self._root.inbox, paths.join(RelPath(name), leaf))

    def _names(self, directory: RelPath) -> Iterator[bytes]:
        try:
            yield from (leaf for leaf, _ in self._root.inbox.listdir(directory).entries)
        except Missing:
            return


def _digest(leaf: bytes) -> bytes:
    try:
        return bytes.fromhex(leaf.decode("ascii"))
    except ValueError:
        return b""


def _when(leaf: bytes) -> int:
    """When it left, in µs: `Keeping.trash_name` gave it the name."""
    try:
        return int(leaf, 16) // 1000
    except ValueError:
        return 0


def _placed(stat: Stat, head: Head) -> Stat:
    """The stat of what was placed, of which only inode, size and mtime are known."""
    return Stat(Kind.FILE, head.size, head.mtime_ns, head.mode, stat.ino, 0, stat.btime_ns)
