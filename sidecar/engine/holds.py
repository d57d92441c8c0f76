"""What is held back until a person approves it: everything else goes on."""

import dataclasses
import enum
import time
from collections.abc import Callable, Iterable

import structlog

from sidecar.core import holds
from sidecar.core.entry import Flag
from sidecar.index.store import Index

log = structlog.get_logger(__name__)


class HoldKind(enum.Enum):
    """The value is the hold's id: there is one of each kind at a time."""

    SCAN = "scan"
    """a scan found that most of the tree is gone: it may be unmounted, emptied, or another directory"""
    CHANGES = "changes"
    """a peer deletes or replaces most of the tree"""
    TRASH = "trash"
    """the trash is full of what is younger than an hour: more cannot be replaced and kept"""


@dataclasses.dataclass(slots=True)
class Hold:
    """One hold: how many `paths` it concerns, of which region ("": this node), since when (unix seconds)."""

    kind: HoldKind
    paths: int
    region: str
    since: float

    @property
    def why(self) -> str:
        """In a line."""
        match self.kind:
            case HoldKind.SCAN:
                return f"{self.paths} paths, most of the web root, were gone at a scan: is the right one mounted?"
            case HoldKind.CHANGES:
                return f"{self.paths} deletions or replacements came, most of the web root{self._of}"
            case HoldKind.TRASH:
                return f"{self.paths} replacements{self._of} would make the trash of this hour larger than trash_max"

    @property
    def _of(self) -> str:
        return f", from {self.region}" if self.region else ""


class Holds:
    """Decides what is held, and remembers it.

    Args:
        regions: the peers.
        scan_limit, change_limit: how many paths, if they are most of the tree too.
        trash_room: may so many bytes more go to the trash?
        released: called with the kind of a hold that ended: what it held back is to be offered, or scanned, anew.
    """

    def __init__(
        self,
        index: Index,
        *,
        regions: Iterable[str],
        scan_limit: int,
        change_limit: int,
        trash_room: Callable[[int], bool],
        released: Callable[[HoldKind], None],
    ) -> None:
        self._index = index
        self._regions = frozenset(regions)
        self._scan_limit = scan_limit
        self._change_limit = change_limit
        self._trash_room = trash_room
        self._released = released
        self._windows: dict[str, holds.Window] = {}
        self._approved: set[str] = set()
        self._scan_approved = False
        self.active: dict[HoldKind, Hold] = {}
        held = sum(1 for _ in index.flagged(Flag.HELD))
        if held:
            self.active[HoldKind.CHANGES] = Hold(HoldKind.CHANGES, held, "", time.time())

    def scan(self, gone: int) -> bool:
        """A scan found so many paths gone: is that held?"""
        if self._scan_approved or not holds.too_much(gone, self._index.live_count(), self._scan_limit):
            self._scan_approved = False
            self._end(HoldKind.SCAN)
            return False
        self._begin(HoldKind.SCAN, "", gone)
        return True

    def change(self, region: str, size: int) -> str:
        """`region` is about to delete or replace a path of `size` bytes here: "", or why that is held."""
        if region in self._approved:
            return ""
        if HoldKind.CHANGES in self.active and self.active[HoldKind.CHANGES].region in (region, ""):
            return self._one_more(HoldKind.CHANGES)
        count = self._windows.setdefault(region, holds.Window()).add(time.monotonic())
        if count > self._change_limit and holds.too_much(count, self._index.live_count(), self._change_limit):
            self._begin(HoldKind.CHANGES, region, 0)
            return self._one_more(HoldKind.CHANGES)
        if not self._trash_room(size):
            self._begin(HoldKind.TRASH, region, 0)
            return self._one_more(HoldKind.TRASH)
        return ""

    def approve(self, kind: HoldKind) -> bool:
        """What is held goes on; False: there is no such hold."""
        hold = self.active.get(kind)
        if hold is None:
            return False
        log.info("approved", hold=kind.value, paths=hold.paths)
        if kind is HoldKind.SCAN:
            self._scan_approved = True
        else:
            self._approved |= {hold.region} if hold.region else self._regions
        self._end(kind)
        self._released(kind)
        return True

    def offered(self, region: str) -> None:
        """`region` has offered everything it has: an approval was for that."""
        self._approved.discard(region)

    def look_again(self) -> None:
        """Does the trash have room again?"""
        if HoldKind.TRASH in self.active and self._trash_room(0):
            self._end(HoldKind.TRASH)
            self._released(HoldKind.TRASH)

    def _begin(self, kind: HoldKind, region: str, paths: int) -> None:
        if kind not in self.active:
            self.active[kind] = Hold(kind, paths, region, time.time())
            log.warning("held until it is approved", hold=kind.value, why=self.active[kind].why)
        elif paths:
            self.active[kind].paths = paths

    def _one_more(self, kind: HoldKind) -> str:
        self.active[kind].paths += 1
        return f"held: see `sidecar status`, then `sidecar approve {kind.value}`"

    def _end(self, kind: HoldKind) -> None:
        self.active.pop(kind, None)
