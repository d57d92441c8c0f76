"""A node that is what a test says it is. The tests of `sidecar.cli` use it too."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry

from sidecar.engine.orders import (
    Behind,
    Claimed,
    Compared,
    ConflictItem,
    Conflicts,
    Joined,
    Pending,
    PendingOf,
    RegionVerified,
    Rejected,
    Restored,
    Synced,
    Trash,
    TrashItem,
    Verified,
    VerifyProgress,
    Waited,
    Way,
)
from sidecar.engine.status import (
    HoldStatus,
    NodeState,
    PathProblem,
    PeerStatus,
    ScanStatus,
    Status,
    StoreStatus,
    WatchStatus,
)
from sidecar.metrics import Metrics

AMS: Final = PeerStatus(
    region="ams",
    address="ams-sidecar:2222",
    state="up",
    problem="",
    receiving=True,
    node="ams",
    image="0.1.0",
    rsync="3.5.0",
    pending=3,
    in_flight=1,
    lag=0.25,
    clock_off=-0.002,
    last_contact=1.5,
    compared=41.0,
    differing=2,
    offered_anew=17,
)
CUT: Final = msgspec.structs.replace(
    AMS,
    region="nyc",
    address="nyc.example:2222",
    state="down",
    problem="Connection refused; is the sidecar there running?",
    receiving=False,
    node="",
    pending=-1,
    in_flight=0,
    lag=-1.0,
    clock_off=-1.0,
    last_contact=-1.0,
)
WELL: Final = Status(
    region="msk",
    node="msk",
    image="0.1.0",
    protocol=1,
    state=NodeState.RUNNING,
    paused=False,
    ready=True,
    alive=True,
    uptime=11_520.0,
    root="/srv/web/html",
    layout="beside",
    exclude=("*~", ".nfs*", "4913"),
    waits_for=(),
    pending_local=2,
    warnings=(),
    holds=(),
    problems=(),
    problem_count=0,
    forgotten=0,
    scan=ScanStatus(running=False, age=41.0, took=0.8, paths=1293, differing=7, special=0),
    watch=WatchStatus(
        directories=56,
        limit=8192,
        sysctl="fs.inotify.max_user_watches",
        unwatched=0,
        overflows=0,
        overflow_age=-1.0,
        poll_interval=10.0,
        polling="",
    ),
    store=StoreStatus(
        files=1234,
        directories=56,
        symlinks=3,
        tombstones=10,
        seq=4711,
        trash=5,
        trash_bytes=4_404_019,
        conflicts=1,
        free_bytes=21 << 30,
        complete_since=1_764_000_000.0,
    ),
    peers=(AMS,),
)
HELD: Final = HoldStatus("scan", "62 paths, most of the web root, were gone at a scan", 62, 300.0)
CONFLICT: Final = ConflictItem(b"a page-\xff", "0123456789abcdef" * 2, 2048, 1_764_000_000.5, 12, 1_764_000_001.0)
TRASHED: Final = TrashItem("76a5/1", b"old\x1b[2J", "file", 4096, "replaced", "ams", 1_764_000_000.0)
MET: Final = Compared(
    region="ams",
    problem="",
    same=120,
    here=3,
    here_bytes=300,
    there=5,
    there_bytes=2048,
    later_here=1,
    later_there=4,
    later_here_bytes=(10, 20),
    later_there_bytes=(40, 80),
    deleted=0,
    deleted_bytes=0,
)
LATE: Final = Behind("ams", "3 paths are not confirmed")
UNREADABLE: Final = PathProblem("private/a", "Permission denied", "give UID 33 access")


def but(status: Status = WELL, **changes: Any) -> Status:
    """`status`, but for `changes`."""
    return msgspec.structs.replace(status, **changes)


class FakeNode:
    """Reports `now`; what it counts are the metrics of a real node that has done nothing yet."""

    def __init__(self, now: Status = WELL) -> None:
        self.now = now
        self.metrics = Metrics()

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    def status(self) -> Status:
        return self.now


class FakeOrders:
    """Notes what it is asked, and answers; or raises `problem`."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.problem = problem
        self.behind: tuple[Behind, ...] = ()
        self.listed = Conflicts((CONFLICT,), 1)
        self.left = Trash((TRASHED,))
        self.gone = 3
        self.lost: bytes = b"what lost"
        self.unsent = Pending((PendingOf("ams", "", 3, 2048, (b"a-\xff", b"b"), 1, (b"c\x1b",)),), ())
        self.joined = Joined((MET,), done=True)
        self.restored = Restored(1, (b"page",), 0, ())
        self.verified = Verified(7, (), 0, (RegionVerified("ams", "", (), 0, (), 0),))

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.problem is not None:
            raise self.problem

    async def approve(self, hold: str, way: Way | None) -> None:
        self._note("approve", hold, *([way.value] if way is not None else []))

    async def claim(self, path: bytes) -> Claimed:
        self._note("assert", path)
        return Claimed("assert", 120, 2048, self.gone)

    async def reject(self, hold: str) -> Rejected:
        self._note("reject", hold)
        return Rejected(62)

    def pause(self) -> None:
        self._note("pause")

    def resume(self) -> None:
        self._note("resume")

    async def join(self, prefer: str, within: float, *, act: bool) -> Joined:
        self._note("join", prefer, within, act)
        return self.joined

    async def verify(
        self, regions: Sequence[str], told: Callable[[VerifyProgress], None], *, checksum: bool
    ) -> Verified:
        self._note("verify", tuple(regions), checksum)
        told(VerifyProgress("ams", 1, 2))
        return self.verified

    async def wait(self, regions: Sequence[str], within: float) -> Waited:
        self._note("wait", tuple(regions), within)
        return Waited(self.behind)

    async def sync(self, within: float) -> Synced:
        self._note("sync", within)
        return Synced(self.behind)

    async def pending(self) -> Pending:
        self._note("pending")
        return self.unsent

    def conflicts(self) -> Conflicts:
        self._note("conflicts")
        return self.listed

    def conflict(self, path: bytes, ident: str) -> int:
        self._note("conflict", path, ident)
        fd = os.memfd_create("lost")
        os.write(fd, self.lost)
        return fd

    async def take(self, path: bytes, ident: str) -> None:
        self._note("take", path, ident)

    def trash(self, path: bytes, limit: int) -> Trash:
        self._note("trash", path, limit)
        return self.left

    async def restore(self, path: bytes, at: float | None) -> Restored:
        self._note("restore", path, at)
        return self.restored

    async def restore_since(self, since: float, peer: str) -> Restored:
        self._note("restore since", since, peer)
        return self.restored
