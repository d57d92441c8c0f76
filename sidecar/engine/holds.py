"""What is held back until a person approves it: everything else goes on."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec
import structlog

from sidecar.core import holds, paths
from sidecar.core.entry import Flag
from sidecar.core.paths import RelPath
from sidecar.engine.status import HoldKind
from sidecar.errors import GeorootError
from sidecar.fs import durable
from sidecar.index.store import Index

log = structlog.get_logger(__name__)


@dataclasses.dataclass(slots=True)
class Hold:
    """One hold: how many `paths` it concerns, of which region ("": this node, or all), since when (unix seconds).

    `size`: of the path for which the trash had no room, in bytes. `rejected`: a person wants what is here to win; it
    ends when the region has offered everything again. Of an assertion: the path that it is `beneath` ("": the whole
    root), and how many paths that are `gone` it deletes elsewhere.
    """

    kind: HoldKind
    paths: int
    region: str
    since: float
    size: int = 0
    rejected: bool = False
    beneath: bytes = b""
    gone: int = 0

    @property
    def why(self) -> str:
        """In a line."""
        return f"{self._reason}; rejected: what is here wins" if self.rejected else self._reason

    @property
    def _reason(self) -> str:
        match self.kind:
            case HoldKind.SCAN:
                return f"{self.paths} paths, most of the web root, were gone at a scan: is the right one mounted?"
            case HoldKind.CHANGES:
                return f"{self.paths} deletions or replacements came, most of the web root{self._of}"
            case HoldKind.TRASH:
                return f"{self.paths} replacements{self._of} would make the trash of this hour larger than trash_max"
            case HoldKind.ASSERT:
                where = f" of {paths.shown(self.beneath)}" if self.beneath else ""
                deleted = f", {self.gone} that are gone here be deleted there" if self.gone else ""
                return f"{self.paths} paths{where} are to win in every region as they are here{deleted}"
            case HoldKind.FORGOTTEN:
                told = f"{self.region or 'a region'} does not know any more"
                return (
                    f"{self.paths} paths are not there, older than the deletions remembered: {told} if it deleted them"
                )

    @property
    def _of(self) -> str:
        return f", from {self.region}" if self.region else ""


class Holds:
    """Decides what is held, and remembers it.

    Args:
        path: the file that keeps what is held, for the next start.
        regions: the peers.
        scan_limit, change_limit: how many paths, if they are most of the tree too.
        trash_room: may so many bytes more go to the trash?
        monotonic: seconds.
        released: called with the kind of a hold that ends: what it held back is to be offered, or scanned, anew; where
            it raises, that of a peer does not end.
    """

    def __init__(
        self,
        index: Index,
        path: str,
        *,
        regions: Iterable[str],
        scan_limit: int,
        change_limit: int,
        trash_room: Callable[[int], bool],
        released: Callable[[HoldKind], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._path = path
        self._regions = frozenset(regions)
        self._scan_limit = scan_limit
        self._change_limit = change_limit
        self._trash_room = trash_room
        self._released = released
        self._monotonic = monotonic
        self._windows: dict[str, holds.Window] = {}
        self._approved: set[str] = set()
        self._scan_approved = False
        self._gone: frozenset[RelPath] | None = None
        """what the hold of a scan is about; None: that of the run before, all of it until the first scan"""
        self._above: frozenset[RelPath] = frozenset()
        self.active = {hold.kind: hold for hold in self._kept()}

    # -- what is asked

    def scan(self, gone: Collection[RelPath], count: int) -> bool:
        """A scan found these paths gone, `count` with what lay beneath them: is that held?

        Once it is, it is until nothing of it is gone: who puts files back must not lose the other half meanwhile.
        """
        most = self.is_much(count)
        held = bool(gone) and (most or HoldKind.SCAN in self.active) and not self._scan_approved
        self._scan_approved = False
        self._gone = frozenset(gone) if held else frozenset()
        self._above = frozenset(above for path in self._gone for above in paths.ancestors(path))
        if held:
            self._begin(HoldKind.SCAN, "").paths = count
        else:
            self._end(HoldKind.SCAN)
        return held

    def is_much(self, count: int) -> bool:
        """Are so many paths that are gone too many for nobody to be asked?"""
        return holds.too_much(count, self._index.live_count(), self._scan_limit)

    def withheld(self, path: RelPath) -> bool:
        """Is nobody to hear that this path is gone, because the hold of a scan concerns it or something beneath it?"""
        if HoldKind.SCAN not in self.active:
            return False
        if self._gone is None or path in self._gone or path in self._above:
            return True
        return any(above in self._gone for above in paths.ancestors(path))

    def change(self, region: str, size: int, held: bool = False) -> str:
        """`region` is about to delete or replace a path of `size` bytes here: "", or why that is held.

        `held`: what another region would do with the path is held already; that is held, and approved, whoever passes
        it on.
        """
        if region in self._approved:
            return ""
        of_peers = [kind for kind in (HoldKind.CHANGES, HoldKind.TRASH) if kind in self.active]
        for kind in of_peers:
            if held or self.active[kind].region in (region, ""):
                return self._one_more(kind)
        if held and not of_peers:
            return ""
        window = self._windows.get(region)
        if window is None:
            window = self._windows[region] = holds.Window()
        count = window.add(self._monotonic())
        if count > self._change_limit and holds.too_much(count, self._index.live_count(), self._change_limit):
            self._begin(HoldKind.CHANGES, region)
            return self._one_more(HoldKind.CHANGES)
        if not self._trash_room(size):
            self._begin(HoldKind.TRASH, region, size)
            return self._one_more(HoldKind.TRASH)
        return ""

    def approve(self, kind: HoldKind) -> bool:
        """What is held goes on; False: there is no such hold. It stays held where that cannot be asked for anew."""
        hold = self.active.get(kind)
        if hold is None:
            return False
        if kind is HoldKind.SCAN:
            self._scan_approved = True
            self._end(kind)
            self._released(kind)
        else:
            self._released(kind)
            self._approve({hold.region} if hold.region else self._regions)
            self._end(kind)
        log.info("approved", hold=kind.value, paths=hold.paths)
        return True

    def claim(self, beneath: RelPath, here: int, gone: int) -> Hold:
        """A person wants this to win everywhere, and is asked once more; it takes the place of an earlier wish."""
        self.active.pop(HoldKind.ASSERT, None)
        hold = Hold(HoldKind.ASSERT, here, "", time.time(), beneath=beneath, gone=gone)
        self._add(hold)
        return hold

    def claimed(self) -> None:
        """It was done, or will not be."""
        self._end(HoldKind.ASSERT)

    def forgotten(self, region: str, count: int) -> None:
        """`region` cannot tell whether it deleted so many paths more that are here."""
        self._begin(HoldKind.FORGOTTEN, region).paths += count

    def gone(self) -> frozenset[RelPath] | None:
        """What the hold of a scan is about: nothing without one, None until the first scan of this run is over."""
        return self._gone if HoldKind.SCAN in self.active else frozenset()

    def brought_back(self) -> None:
        """What the hold of a scan was about is no longer gone, as far as anybody knows."""
        self._gone = self._above = frozenset()
        self._end(HoldKind.SCAN)

    def reject(self, kind: HoldKind) -> bool:
        """Of what a peer would do, nothing is done: what is here wins. False: there is no such hold."""
        hold = self.active.get(kind)
        if hold is None:
            return False
        self._released(kind)
        log.info("rejected", hold=kind.value, paths=hold.paths)
        hold.rejected = True
        self._uncount(hold.region)
        self._keep()
        return True

    def rejects(self, region: str) -> bool:
        """Does a person want that what is here wins over what `region` would do, where that is held?"""
        return any(hold.rejected and hold.region in (region, "") for hold in self.active.values())

    def _approve(self, regions: Iterable[str]) -> None:
        for region in regions:
            self._approved.add(region)
            self._uncount(region)

    def _uncount(self, region: str) -> None:
        """What `region` ("": any) did so far is judged with what is held, and counts no more towards the next hold."""
        for one in (region,) if region else tuple(self._regions):
            self._windows.pop(one, None)

    def offered(self, region: str) -> None:
        """`region` has offered everything it has: an approval was for that, and so was a rejection."""
        self._approved.discard(region)
        if self.rejects(region):
            self.look_again()

    def look_again(self) -> None:
        """Has the peer taken back what is held, or has the trash room for it by now?"""
        if HoldKind.FORGOTTEN in self.active:
            self.active[HoldKind.FORGOTTEN].paths = paths_held = self._index.count_flagged(Flag.FORGOTTEN)
            if not paths_held:
                self._end(HoldKind.FORGOTTEN)
        held = [kind for kind in (HoldKind.CHANGES, HoldKind.TRASH) if kind in self.active]
        rows = self._index.count_flagged(Flag.HELD) if held else 0
        for kind in held:
            self.active[kind].paths = rows
            if not rows:
                self._end(kind)
            elif kind is HoldKind.TRASH and self._trash_room(self.active[kind].size):
                self._released(kind)
                self._end(kind)

    # -- what is remembered

    def _begin(self, kind: HoldKind, region: str, size: int = 0) -> Hold:
        if kind not in self.active:
            self._add(Hold(kind, 0, region, time.time(), size))
        return self.active[kind]

    def _add(self, hold: Hold) -> None:
        self.active[hold.kind] = hold
        log.warning("held until it is approved", hold=hold.kind.value, peer=hold.region)
        self._keep()

    def _one_more(self, kind: HoldKind) -> str:
        self.active[kind].paths += 1
        return (
            f"held as `{kind.value}`: `sidecar approve {kind.value}` lets it through, `sidecar reject {kind.value}` not"
        )

    def _end(self, kind: HoldKind) -> None:
        if self.active.pop(kind, None) is not None:
            log.info("no longer held", hold=kind.value)
            self._keep()

    def _keep(self) -> None:
        try:
            self._note(msgspec.json.encode(list(self.active.values())))
        except GeorootError as error:  # the rows that are marked say that something is held, if not for whom
            log.warning("what is held cannot be noted", problem=str(error))

    def _note(self, held: bytes) -> None:
        durable.publish(self._path, held)

    def _noted(self) -> bytes:
        return Path(self._path).read_bytes()

    def _kept(self) -> list[Hold]:
        """What was held when the run before ended."""
        try:
            kept = msgspec.json.decode(self._noted(), type=list[Hold])
        except (OSError, msgspec.MsgspecError):
            kept = []
        rows = self._index.count_flagged(Flag.HELD)
        kept = self._with_forgotten(kept)
        ours = [hold for hold in kept if hold.kind not in {HoldKind.CHANGES, HoldKind.TRASH}]
        of_peers = [hold for hold in kept if hold not in ours]
        for hold in of_peers:
            hold.paths = rows
        if rows and not of_peers:
            return [*kept, Hold(HoldKind.CHANGES, rows, "", time.time())]
        return kept if rows else ours

    def _with_forgotten(self, kept: list[Hold]) -> list[Hold]:
        """What was held, with what the rows say of what regions do not know any more."""
        rows = self._index.count_flagged(Flag.FORGOTTEN)
        noted = [hold for hold in kept if hold.kind is HoldKind.FORGOTTEN] or [
            Hold(HoldKind.FORGOTTEN, rows, "", time.time())
        ]
        for hold in noted:
            hold.paths = rows
        return [hold for hold in kept if hold.kind is not HoldKind.FORGOTTEN] + (noted if rows else [])
