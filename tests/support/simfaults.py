"""What becomes of volumes: an index lost, old content beside a new index, a snapshot restored, a new volume.

A fault may take with it what lay on that volume alone; what that is, is written down here, and no more is forgiven.
"""

import dataclasses
from random import Random
from typing import Final

from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from tests.support.memory_disk import Contents, excluded
from tests.support.simnode import SimNode, Volume, Written

FAULTS: Final = frozenset({"lose", "old", "roll", "empty", "power"})
"""lose: the index is gone, the content stays; old: the index is gone and the web root is that of a snapshot; roll: the
whole volume is that of a snapshot; empty: a new volume under the same name; power: the machine stopped without notice,
and some files are torn or missing."""
TORN: Final = 0.4
"""Of so many files."""


class Faults:
    """The snapshots of all nodes, and what went with their volumes."""

    def __init__(self, nodes: list[SimNode]) -> None:
        self._nodes = nodes
        self._snapshots = {node.name: node.volume() for node in nodes}
        self._unknown: dict[str, list[Written]] = {node.name: [] for node in nodes}
        """writes that no index knows of, until one is restored that does"""
        self._intended: dict[int, Written] = {}
        """writes that an intent alone knows of"""
        self.struck = False
        self._power_lost = False
        self.torn: dict[bytes, bytes] = {}
        """what the bytes were that a power loss tore"""
        self.lost: set[bytes] = set()
        """contents that lay on a volume alone"""

    def snapshot(self, node: SimNode) -> None:
        """Of the volume as it is now; it takes the place of the one before."""
        self._snapshots[node.name] = node.volume()

    def strike(self, node: SimNode, what: str, chance: Random) -> None:
        """A fault of the volume of a node that is down."""
        self.struck = True
        snapshot = self._snapshots[node.name]
        before = node.disk.contents() | {inode.content for inode in node.disk.inbox.values()}
        match what:
            case "lose":
                node.lose_index()
            case "old":
                node.lose_index(_old_files(node, snapshot))
            case "roll":
                node.restore(snapshot)
            case "power":
                node.lose_power(self._torn(node, chance))
            case _:
                node.lose_index(Contents())
        self.lost |= before.difference(*(other.disk.contents() for other in self._nodes))
        self.forget()

    def _torn(self, node: SimNode, chance: Random) -> dict[RelPath, bytes | None]:
        """What becomes of files: their bytes, or None for a missing one."""
        self._power_lost = True
        torn: dict[RelPath, bytes | None] = {}
        whole = {p: i for p, i in node.disk.files.items() if i.kind is Kind.FILE and i.content not in self.torn}
        for path, inode in whole.items():
            if not excluded(path, False) and chance.random() < TORN:
                torn[path] = b"%" + inode.content[1:] if chance.random() < 0.7 else None
        for path, content in torn.items():
            node.wrote(path, content)
            if content is not None:
                self.torn[content] = node.disk.files[path].content
        return torn

    def forget(self) -> None:
        """Indexes know of less than before: what none of them knows of, nor an intent, has not taken place."""
        for other in self._nodes:
            writes = [*other.written, *self._unknown[other.name]]
            self._sort(other, {id(written) for written in writes if self._is_known(written)})

    def settle(self) -> None:
        """What was only intended when a volume went was applied since, or was lost with it; so was what a power loss
        left nowhere: a version is forgotten where its bytes are not, if nobody has it."""
        if self._power_lost:
            self.forget()
        intended, self._intended = self._intended, {}
        for other in self._nodes:
            gone = {id(w) for w in other.written if id(w) in intended and not self._is_covered(w)}
            self._sort(other, {id(w) for w in other.written} - gone)

    def _sort(self, node: SimNode, known: set[int]) -> None:
        """Writes that nobody knows of have not taken place, until an index is restored that does."""
        writes = [*node.written, *self._unknown[node.name]]
        node.written = [written for written in writes if id(written) in known]
        self._unknown[node.name] = [written for written in writes if id(written) not in known]

    def _is_known(self, written: Written) -> bool:
        """Does any index cover this write, or an intent?"""
        if self._is_covered(written):
            return True
        intents = [intent for node in self._nodes if (intent := node.intents.get(written.path)) is not None]
        moved = {move.dot for node in self._nodes for move in node.store.moves()}
        if moved & written.dots or any(versions.covers(intent.version, d) for intent in intents for d in written.dots):
            self._intended[id(written)] = written
            return True
        return False

    def _is_covered(self, written: Written) -> bool:
        rows = [row for node in self._nodes if (row := node.store.get(written.path)) is not None]
        return any(versions.covers(row.version, dot) for row in rows for dot in written.dots)


def _old_files(node: SimNode, snapshot: Volume) -> Contents:
    """The web root of a snapshot, copied back: new inodes, the old mtimes; trash and conflicts are today's."""
    now = node.disk.contents_now()
    ctime = node.disk.time_ns()
    files = {
        path: dataclasses.replace(inode, ino=node.disk.ino(), ctime_ns=ctime, btime_ns=ctime)
        for path, inode in snapshot.contents.files.items()
    }
    removed = now.removed - {inode.content for inode in now.inbox.values()}
    return dataclasses.replace(now, files=files, inbox={}, removed=removed, free=())
