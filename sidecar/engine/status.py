"""How a node is: the one shape that /api/status, the status file, the metrics and `sidecar status` share."""

import enum

import msgspec


class NodeState(enum.Enum):
    """What the node is doing."""

    STARTING = "starting"
    """it finishes what a kill interrupted"""
    SCANNING = "scanning"
    """its first scan: what was written while it was down is not known yet"""
    FINDING = "finding"
    """a new index, or a power loss: it waits for the peers named in `waits_for` before what it found becomes its own"""
    RUNNING = "running"
    DRAINING = "draining"
    """it was told to stop and sends what is pending"""


class HoldKind(enum.Enum):
    """Why something is held back. The value is the hold's id: there is one of each kind at a time."""

    SCAN = "scan"
    """a scan found that most of the tree is gone: it may be unmounted, emptied, or another directory"""
    CHANGES = "changes"
    """a peer deletes or replaces most of the tree"""
    TRASH = "trash"
    """the trash is full of what is younger than an hour: more cannot be replaced and kept"""
    ASSERT = "assert"
    """a person wants what lies here to win in every region, and has not approved yet what that means"""
    FORGOTTEN = "forgotten"
    """a region lacks what is here, and has dropped the tombstones of that time: was it deleted there?"""


class PathProblem(msgspec.Struct, frozen=True):
    """One path that is not replicated, or not applied, until somebody does something; the rest goes on."""

    path: str
    why: str
    hint: str = ""
    peer: str = ""
    """the region that could not take it, "" for this node"""


class PeerStatus(msgspec.Struct, frozen=True):
    """One peer region, as this node sees it. Times in seconds, -1 where unknown."""

    region: str
    address: str
    state: str
    """of the link to it: down, connecting, up"""
    problem: str
    """why it is not up, and what to do"""
    receiving: bool
    """its own link to this node is open"""
    node: str
    image: str
    rsync: str
    pending: int
    """paths whose last version it has not confirmed"""
    in_flight: int
    """batches sent and not answered"""
    lag: float
    """age of the oldest change that it has not confirmed; 0: it has everything"""
    clock_off: float
    """its clock is ahead of ours by so much"""
    last_contact: float
    compared: float = -1.0
    """age of the last comparison of the two indexes"""
    differing: int = 0
    """of its 1024 parts, how many differed at the last comparison"""
    offered_anew: int = 0
    """rows that were offered because of all comparisons since the start"""
    protocol: int = 0
    """what it spoke last, understood or not; 0: unknown"""


class HoldStatus(msgspec.Struct, frozen=True):
    """Something that is held back until somebody approves it: `sidecar approve ID`."""

    id: str
    why: str
    paths: int
    age: float
    """seconds"""

    @property
    def ways_out(self) -> str:
        """What a person may type."""
        if self.id == HoldKind.FORGOTTEN.value:
            trash, offer = (f"sidecar approve {self.id} --{how}" for how in ("trash", "offer"))
            return f"to delete them, into the trash: {trash}; to send them as new: {offer}"
        return f"to let it through: sidecar approve {self.id}; not to: sidecar reject {self.id}"


class ScanStatus(msgspec.Struct, frozen=True):
    """The last full scan. Times in seconds."""

    running: bool
    age: float
    """-1: none has ended yet"""
    took: float
    paths: int
    differing: int
    special: int
    """FIFOs, sockets and devices, which are never replicated"""


class WatchStatus(msgspec.Struct, frozen=True):
    """How changes are noticed."""

    directories: int
    limit: int
    """on watches of this user; -1: unknown"""
    sysctl: str
    """what sets that limit"""
    unwatched: int
    """directories for which there was no watch: they are polled"""
    overflows: int
    """how often the kernel's queue was full and events were lost; a scan finds what they would have told"""
    overflow_age: float
    """seconds since the last; -1: there was none"""
    poll_interval: float
    """seconds between two looks at what is polled"""
    polling: str
    """the kind of file system on which events of other machines are not seen, "" if all are"""


class StoreStatus(msgspec.Struct, frozen=True):
    """The index, the trash and the conflicts. Sizes in bytes."""

    files: int
    directories: int
    symlinks: int
    tombstones: int
    seq: int
    trash: int
    trash_bytes: int
    conflicts: int
    free_bytes: int
    """-1: the volume does not say"""
    complete_since: float = 0.0
    """unix seconds: of what was deleted before, tombstones were dropped; 0: all are there"""


class Status(msgspec.Struct, frozen=True):
    """One node."""

    region: str
    node: str
    image: str
    protocol: int
    state: NodeState
    paused: bool
    ready: bool
    """the web root may be served: the first scan is over and nothing local is broken; never depends on a peer"""
    alive: bool
    """the loop turns and its parts work"""
    uptime: float
    root: str
    layout: str
    exclude: tuple[str, ...]
    """the patterns of what is never replicated, the defaults among them"""
    waits_for: tuple[str, ...]
    pending_local: int
    """paths with an event that were not looked at yet"""
    warnings: tuple[str, ...]
    """what somebody should look at: a line each, with what to do"""
    holds: tuple[HoldStatus, ...]
    problems: tuple[PathProblem, ...]
    """at most 100 of them"""
    problem_count: int
    forgotten: int
    """nodes that were not heard of for forget_after, of regions of which no other node was"""
    scan: ScanStatus
    watch: WatchStatus
    store: StoreStatus
    peers: tuple[PeerStatus, ...]
