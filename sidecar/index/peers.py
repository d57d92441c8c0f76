"""What is remembered of the nodes that spoke to this one."""

import dataclasses
from typing import Final

from sidecar.index.database import Table

MAX_NODES: Final = 16
"""Nodes of one region that are remembered: it has one, or another after it under a new name."""

_MEET = """
    INSERT INTO peers (region, node, epoch, run, seq, cursor, first_us, contact_us) VALUES (?, ?, ?, ?, ?, 0, ?, ?)
    ON CONFLICT (region, node) DO UPDATE SET
        cursor = CASE WHEN epoch = excluded.epoch THEN cursor ELSE 0 END,
        epoch = excluded.epoch, run = excluded.run, seq = excluded.seq, contact_us = excluded.contact_us
"""
_FORGET = """
    DELETE FROM peers WHERE region = ?1 AND node NOT IN (
        SELECT node FROM peers WHERE region = ?1 ORDER BY node = ?2 DESC, contact_us DESC LIMIT ?3)
"""
_FORGET_ONE = """
    INSERT OR REPLACE INTO forgotten (region, node, contact_us, at_us)
    SELECT region, node, contact_us, ? FROM peers WHERE region = ? AND node = ?
"""
_LATEST = """
    DELETE FROM forgotten
    WHERE (region, node) NOT IN (SELECT region, node FROM forgotten ORDER BY at_us DESC, region, node LIMIT ?)
"""
FORGOTTEN = 100
"""Nodes that were forgotten and are remembered as such: with Pods of changing names there is no end of them."""
_PEER = "SELECT region, node, epoch, run, seq, cursor, first_us, contact_us FROM peers"


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """One node of a region: its epoch, the last `run` seen of it and the highest `seq` of that run, and `cursor`, its
    seq up to which everything is settled here. Times in µs since 1970."""

    region: str
    node: str
    epoch: int
    run: int
    seq: int
    cursor: int
    first_us: int
    contact_us: int


@dataclasses.dataclass(frozen=True, slots=True)
class Forgotten:
    """A node that was forgotten: its last contact, and when that was. Times in µs since 1970."""

    region: str
    node: str
    contact_us: int
    at_us: int


class PeerTable(Table):
    """The part of the index that knows the peers."""

    def peer(self, region: str, node: str) -> Peer | None:
        """What is known of a node."""
        row = self._db.one(f"{_PEER} WHERE region = ? AND node = ?", (region, node))
        return Peer(*row) if row is not None else None

    def peers(self) -> list[Peer]:
        """Every node that is known, by region and name."""
        return [Peer(*row) for row in self._db.all(f"{_PEER} ORDER BY region, node")]

    def meet(self, region: str, node: str, epoch: int, run: int, seq: int, now_us: int) -> None:
        """A node said hello. A new epoch clears what was settled of the old one; above `MAX_NODES` of a region, those
        that were not heard of for longest are forgotten: what they have is offered anew if they come back."""
        with self._db.transaction():
            self._db.run(_MEET, (region, node, epoch, run, seq, now_us, now_us))
            self._db.run(_FORGET, (region, node, MAX_NODES))
            self._db.run("DELETE FROM forgotten WHERE region = ? AND node = ?", (region, node))

    def heard(self, region: str, node: str, seq: int, now_us: int) -> None:
        """A node lives, and has given `seq` in the run that it named in hello."""
        sql = "UPDATE peers SET seq = max(seq, ?), contact_us = ? WHERE region = ? AND node = ?"
        self._db.run(sql, (seq, now_us, region, node))

    def set_cursor(self, region: str, node: str, epoch: int, cursor: int) -> None:
        """Everything up to `cursor` of this epoch of a node is settled here; another epoch's is ignored."""
        sql = "UPDATE peers SET cursor = ?, seq = max(seq, ?) WHERE region = ? AND node = ? AND epoch = ?"
        self._db.run(sql, (cursor, cursor, region, node, epoch))

    def ask_anew(self) -> None:
        """Nothing of any peer counts as settled here: each offers all that it has when it greets next."""
        self._db.run("UPDATE peers SET cursor = 0")

    def forget_peer(self, region: str, node: str, now_us: int) -> None:
        """Nothing is known of this node any more, but that it was once."""
        with self._db.transaction():
            self._db.run(_FORGET_ONE, (now_us, region, node))
            self._db.run("DELETE FROM peers WHERE region = ? AND node = ?", (region, node))
            self._db.run(_LATEST, (FORGOTTEN,))

    def forgotten(self) -> list[Forgotten]:
        """The nodes that were forgotten and have not come back, the latest hundred, by region and name."""
        sql = "SELECT region, node, contact_us, at_us FROM forgotten ORDER BY region, node"
        return [Forgotten(*row) for row in self._db.all(sql)]
