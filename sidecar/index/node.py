"""Who this node is: name, epoch, runs, and how it stopped the last time."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from sidecar.core.ageing import widens
from sidecar.index.database import Database, Node, Table
from sidecar.index.faults import IndexDamaged

_MASK: Final = (1 << 63) - 1
_COLUMNS: Final = "name, epoch, complete_since_us, last_counter, found_done, clean, boot_id, power_lost, scope"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One start of this node in this epoch: its random number, the first seq that it gave, and when (µs since 1970)."""

    run: int
    first_seq: int
    started_us: int


@dataclasses.dataclass(frozen=True, slots=True)
class Stop:
    """How the run before this one ended: `clean`, or not, and on which boot of the machine ("" if there was none).

    `volume_lost`: there is less of the root on the volume than of the index, or more.
    """

    clean: bool
    boot_id: str
    volume_lost: bool = False

    def lost_power(self, boot_id: str) -> bool:
        """May files be torn or missing? So it is after an unclean stop, now that the machine has booted anew, or the
        file system has lost what was not on the disk: a kill alone takes back no commit."""
        return not self.clean and (self.boot_id != boot_id or self.volume_lost)


class NodeTable(Table):
    """The part of the index that tells who it belongs to."""

    def __init__(self, db: Database, random: Callable[[], int]) -> None:
        super().__init__(db)
        self._random = random
        self.run = 0
        """the random number of this start; 0 before `start_run`"""
        self.unclean = False
        """did the run before this one end as by a kill?"""

    @property
    def node(self) -> str:
        """The name of this node, "" until it has one."""
        return self._db.node.name

    @property
    def epoch(self) -> int:
        """Random, made with the index."""
        return self._db.node.epoch

    @property
    def complete_since_us(self) -> int:
        """Every tombstone younger than this (µs since 1970) is here; 0 in a new index."""
        return self._db.node.complete_since_us

    @property
    def last_counter(self) -> int:
        """The highest counter that was noted with `set_last_counter`."""
        return self._db.node.last_counter

    @property
    def finding(self) -> bool:
        """Is what the first scans meet found, not written? So it is until `found_done`."""
        return self.new_index or self.power_lost

    @property
    def new_index(self) -> bool:
        """Is what it met first not settled yet?"""
        return not self._db.node.found_done

    @property
    def power_lost(self) -> bool:
        """Is what differs from its row found as well, not written? So it is after a power loss, until `found_done`."""
        return self._db.node.power_lost

    def set_power_lost(self) -> None:
        """The root shows that the volume lost what was written."""
        self._change(power_lost=True)

    def set_node(self, name: str) -> None:
        """Keep the name of this node."""
        self._change(name=name)

    def set_complete_since(self, us: int) -> None:
        """Tombstones older than this (µs since 1970) are being dropped, here or by a node that we took them from."""
        if us > self._db.node.complete_since_us:
            self._change(complete_since_us=us)

    def set_incomplete(self) -> None:
        """Rows left without tombstones and are to come back: as in a new index, nothing is taken for deleted."""
        if self._db.node.complete_since_us:
            self._change(complete_since_us=0)

    def set_scope(self, scope: str) -> None:
        """What is replicated, as `core.ageing.scope_of` says. Of what was not before, peers bring rows of any age."""
        before = self._db.node
        if scope != before.scope:
            self._change(scope=scope, complete_since_us=0 if widens(before.scope, scope) else before.complete_since_us)

    def set_last_counter(self, counter: int) -> None:
        """A dot with this counter was given."""
        self._change(last_counter=counter)

    def found_done(self) -> None:
        """Everything that the first scan found has a version."""
        self._change(found_done=True, power_lost=False)

    def start(self, boot_id: str, now_us: int, *, volume_lost: bool = False) -> Stop:
        """Begin a run on this boot of the machine, in one commit; how the one before ended, `volume_lost` as in `Stop`.

        After a power loss the root is to be found anew: in the same commit, so that no kill on the way forgets it.
        """
        before = Stop(self._db.node.clean, self._db.node.boot_id, volume_lost)
        with self._db.transaction():
            run = self.draw()
            self._record(run, now_us)
            self._change(clean=False, boot_id=boot_id)
            if before.lost_power(boot_id):
                self._change(power_lost=True)
        self.run, self.unclean = run, not before.clean
        return before

    def create(self) -> None:
        """Write the row of a new index, with an epoch."""
        epoch = self.draw()
        self._db.run("INSERT INTO node (id, name, epoch) VALUES (1, '', ?)", (epoch,))
        self._db.node = dataclasses.replace(self._db.node, epoch=epoch)

    def mark_clean(self) -> None:
        """This run is about to end in order."""
        self._change(clean=True)

    def renew_epoch(self, now_us: int) -> int:
        """This volume was rolled back: a new epoch, in which the run of this start is the first. The new epoch."""
        with self._db.transaction():
            self._change(epoch=self.draw())
            self._db.run("DELETE FROM runs")
            self._record(self.run, now_us)
        return self.epoch

    def runs(self) -> list[Run]:
        """Every run of this epoch, by first seq."""
        return [
            Run(*row)
            for row in self._db.all("SELECT run, first_seq, started_us FROM runs ORDER BY first_seq, started_us")
        ]

    def draw(self) -> int:
        """A random number of 63 bits that is not 0."""
        return self._random() & _MASK or 1

    def _record(self, run: int, now_us: int) -> None:
        self._db.run("INSERT INTO runs (run, first_seq, started_us) VALUES (?, ?, ?)", (run, self._db.seq + 1, now_us))

    def _change(self, **fields: Any) -> None:  # noqa: ANN401 - one field of Node or several
        columns = ", ".join(f"{field} = ?" for field in fields)
        self._db.run(f"UPDATE node SET {columns}", tuple(fields.values()))  # noqa: S608 - names of our own fields
        self._db.node = dataclasses.replace(self._db.node, **fields)


def load(db: Database) -> bool:
    """Read what the table holds into `db`; False: nothing, the index is new.

    Raises:
        IndexDamaged: there are rows, but nothing tells whose.
    """
    (highest,) = db.one("SELECT max(seq) FROM rows") or (None,)
    db.counts = dict(db.all("SELECT kind, n FROM row_counts"))
    row = db.one(f"SELECT {_COLUMNS}, removed_seq FROM node")  # noqa: S608 - our own names
    if row is None:
        if highest is not None:
            raise IndexDamaged("it does not say whose it is")
        return False
    name, epoch, complete_since_us, last_counter, found_done, clean, boot_id, power_lost, scope, removed_seq = row
    flags = (bool(found_done), bool(clean))
    db.node = Node(name, epoch, complete_since_us, last_counter, *flags, boot_id, bool(power_lost), scope)
    db.seq = max(highest or 0, removed_seq)
    return True
