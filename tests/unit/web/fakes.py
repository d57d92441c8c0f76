"""A node that is what a test says it is. The tests of `sidecar.cli` use it too."""

from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry

from sidecar.engine.status import NodeState, PathProblem, PeerStatus, ScanStatus, Status, StoreStatus, WatchStatus
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
    scan=ScanStatus(running=False, age=41.0, took=0.8, paths=1293, differing=7, special=0),
    watch=WatchStatus(directories=56, limit=8192, unwatched=0, overflows=0, polling=""),
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
    ),
    peers=(AMS,),
)
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
