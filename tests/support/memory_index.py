"""What an index holds beside its rows, in memory: who the node is, its runs, its peers, and what marks its rows have.

It answers what `engine.identity` and `engine.holds` ask of `index.store.Index`; what it is copied to is a snapshot.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from sidecar.core import compare
from sidecar.core import version as versions
from sidecar.core.compare import Sums
from sidecar.core.entry import Flag, Kind, Row, Version
from sidecar.core.move import Move
from sidecar.core.paths import RelPath
from sidecar.index.node import Run
from sidecar.index.peers import Forgotten, Peer
from tests.support.memory_store import MemoryStore


class MemoryIndex(MemoryStore):
    """The index of one node.

    Args:
        draw: gives the random number of an epoch.
    """

    def __init__(self, draw: Callable[[], int]) -> None:
        super().__init__()
        self._draw = draw
        self._runs: list[Run] = []
        self._peers: dict[tuple[str, str], Peer] = {}
        self._forgotten: dict[tuple[str, str], Forgotten] = {}
        self.epoch = draw()
        self.run = 0
        self.complete_since_us = 0
        self.forgets = 0
        """how often a node was forgotten"""
        self.new_index = True
        self.power_lost = False
        self.before = Row(RelPath(b""))
        """what the row was before that was put last"""

    def copy(self) -> "MemoryIndex":
        other = MemoryIndex(self._draw)
        other._rows, other._seq, other._moves = dict(self._rows), self._seq, dict(self._moves)
        other._runs, other._peers = list(self._runs), dict(self._peers)
        other._forgotten = dict(self._forgotten)
        other.epoch, other.run = self.epoch, self.run
        other.new_index, other.power_lost = self.new_index, self.power_lost
        other.complete_since_us, other.forgets = self.complete_since_us, self.forgets
        return other

    # -- rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A part of a slice that needs none of its own."""
        yield

    def put(self, row: Row) -> Row:
        self.before = self.get(row.path) or Row(row.path, Version())
        return super().put(row)

    def snapshot(self) -> tuple[dict[RelPath, Row], int, dict[RelPath, Move]]:
        """What a transaction takes back when it fails."""
        return dict(self._rows), self._seq, dict(self._moves)

    def restore(self, taken: tuple[dict[RelPath, Row], int, dict[RelPath, Move]]) -> None:
        """Take everything back that was put since `taken`."""
        self._rows, self._seq, self._moves = taken

    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def flagged(self, flag: Flag, limit: int = -1) -> list[Row]:
        rows = [row for row in self._rows.values() if row.flags & flag]
        return rows if limit < 0 else rows[:limit]

    def count_flagged(self, flag: Flag) -> int:
        return len(self.flagged(flag))

    def found(self, limit: int, *, symlinks: bool) -> list[Row]:
        rows = [row for row in self.flagged(Flag.FOUND) if not row.flags & Flag.HELD]
        is_link = (row.stat is not None and row.stat.kind is Kind.SYMLINK for row in rows)
        return [row for row, is_one in zip(rows, is_link, strict=True) if is_one == symlinks][:limit]

    def live_count(self) -> int:
        return sum(row.stat is not None for row in self._rows.values())

    # -- sums

    def sums(self) -> Sums:
        return compare.toggled(compare.EMPTY, (_number(row) for row in self._rows.values() if _is_summed(row)))

    def summands(self, paths: Iterable[RelPath], since_us: int = 0) -> list[int]:
        found = [row for row in map(self.get, paths) if row is not None and _is_summed(row)]
        return [_number(row) for row in found if not _is_dead(row) or versions.newest(row.version) >= since_us]

    # -- ageing

    def tombstones_older_than(self, us: int, limit: int, after: tuple[int, int] = (-1, 0)) -> list[Row]:
        old = [row for row in self._rows.values() if row.stat is None and versions.newest(row.version) < us]
        keyed = sorted(((versions.newest(row.version), row.seq), row.path) for row in old)
        return [self._rows[path] for key, path in keyed if key > after][:limit]

    def set_complete_since(self, us: int) -> None:
        self.complete_since_us = max(us, self.complete_since_us)

    def set_incomplete(self) -> None:
        self.complete_since_us = 0

    def forget_peer(self, region: str, node: str, now_us: int) -> None:
        gone = self._peers.pop((region, node))
        self._forgotten[region, node] = Forgotten(region, node, gone.contact_us, now_us)
        self.forgets += 1

    def forgotten(self) -> list[Forgotten]:
        return list(self._forgotten.values())

    def dead_summands(self, us: int, limit: int, after: tuple[int, int] = (-1, 0)) -> list[tuple[int, int, int]]:
        dead = [row for row in self._rows.values() if us and _is_dead(row) and versions.newest(row.version) < us]
        keyed = sorted((versions.newest(row.version), row.seq, _number(row)) for row in dead)
        return [one for one in keyed if one[:2] > after][:limit]

    # -- the node

    def start(self, run: int, now_us: int) -> None:
        """A run begins."""
        self.run = run
        self._runs.append(Run(run, self._seq + 1, now_us))

    def runs(self) -> list[Run]:
        return sorted(self._runs, key=lambda run: (run.first_seq, run.started_us))

    def renew_epoch(self, now_us: int) -> int:
        self.epoch = self._draw()
        self._runs = [Run(self.run, self._seq + 1, now_us)]
        return self.epoch

    @property
    def finding(self) -> bool:
        return self.new_index or self.power_lost

    def found_done(self) -> None:
        self.new_index = self.power_lost = False

    def sync(self) -> None:
        """Everything here is durable at once."""

    # -- peers

    def peer(self, region: str, node: str) -> Peer | None:
        return self._peers.get((region, node))

    def peers(self) -> list[Peer]:
        return list(self._peers.values())

    def meet(self, region: str, node: str, epoch: int, run: int, seq: int, now_us: int) -> None:
        self._forgotten.pop((region, node), None)
        old = self._peers.get((region, node))
        cursor = old.cursor if old is not None and old.epoch == epoch else 0
        self._peers[region, node] = Peer(region, node, epoch, run, seq, cursor, now_us, now_us)

    def heard(self, region: str, node: str, seq: int, now_us: int) -> None:
        old = self._peers.get((region, node))
        if old is None:
            return
        self._peers[region, node] = dataclasses.replace(old, seq=max(old.seq, seq), contact_us=now_us)

    def ask_anew(self) -> None:
        """Nothing counts as settled of any peer."""
        self._peers = {key: dataclasses.replace(peer, cursor=0) for key, peer in self._peers.items()}

    def set_cursor(self, region: str, node: str, epoch: int, cursor: int) -> None:
        old = self._peers.get((region, node))
        if old is not None and old.epoch == epoch:
            self._peers[region, node] = dataclasses.replace(old, cursor=cursor, seq=max(old.seq, cursor))


def _number(row: Row) -> int:
    return compare.sum_of(row.path, row.version)


def _is_summed(row: Row) -> bool:
    return not row.flags & (Flag.FOUND | Flag.HELD | Flag.FORGOTTEN)


def _is_dead(row: Row) -> bool:
    return _is_summed(row) and (row.stat is None or bool(row.flags & Flag.KEPT))
