"""What work has left in memory goes back when nothing is written any more."""

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core.frames import Batch, Frame, Lane, Settle
from sidecar.engine.receiving import Receiving
from tests.unit.engine.conftest import Starter
from tests.unit.index.conformance import row

ROWS = 30_000
GIVEN_BACK_KB = 6000
"""Of the 8 MiB of pages and the rows that are remembered."""


class Ended(Exception):
    """All that is asked for was done."""


class Circle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.self = self


class Watched(Batch, frozen=True, weakref=True, tag="batch"):
    """A batch of which it is seen when it goes."""


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """What a node froze is the collector's again."""
    yield
    gc.unfreeze()


def test_memory_is_given_back_when_nothing_was_written_for_a_while(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, done = start(), list[str]()

    def trimmed() -> None:
        raise Ended

    monkeypatch.setattr("sidecar.engine.housekeeping.REST", 0.01)
    monkeypatch.setattr(node.index, "release", lambda: done.append("pages"))
    monkeypatch.setattr("sidecar.engine.housekeeping.syscalls.malloc_trim", trimmed)
    with pytest.raises(Ended):
        asyncio.run(asyncio.wait_for(node.housekeeping.memory(), 10))
    assert ["pages"] == done


def test_circles_go_before_memory_is_given_back(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node, circles = start(), list[weakref.ref[Circle]]()

    def trimmed() -> None:
        assert circles[0]() is None
        raise Ended

    async def ran() -> None:
        running = asyncio.ensure_future(node.housekeeping.memory())
        await asyncio.sleep(0)
        circles.append(weakref.ref(Circle()))
        await asyncio.wait_for(running, 10)

    monkeypatch.setattr("sidecar.engine.housekeeping.REST", 0.01)
    monkeypatch.setattr("sidecar.engine.housekeeping.syscalls.malloc_trim", trimmed)
    gc.disable()
    try:
        with pytest.raises(Ended):
            asyncio.run(ran())
    finally:
        gc.enable()


def test_the_collector_does_not_look_again_at_what_there_was_when_the_node_began(start: Starter) -> None:
    node = start()

    async def ran() -> None:
        running = asyncio.ensure_future(node.housekeeping.memory())
        await asyncio.sleep(0)
        assert not any(one is node for one in gc.get_objects())
        running.cancel()

    asyncio.run(ran())


def test_nothing_keeps_a_batch_that_was_answered(start: Starter) -> None:
    node, said, answered = start(), list[Frame](), asyncio.Event()
    batch = Watched(Lane.SMALL, 1, "", 0, ())
    kept = weakref.ref(batch)
    way: Any = SimpleNamespace()

    def say(frame: Frame) -> None:
        said.append(frame)
        answered.set()

    async def ran(batch: Batch) -> None:
        ends = Receiving(
            "ams", node.inbox, node.landing, node.metrics, way=way, say=say, cut=lambda: pytest.fail("cut")
        )
        running = asyncio.ensure_future(ends.run())
        ends.arrived(batch, 1)
        del batch
        await asyncio.wait_for(answered.wait(), 30)
        await asyncio.sleep(0)  # the task that answered ends, and what looks after it
        await asyncio.sleep(0)
        gone.append(kept() is None)
        running.cancel()

    gone = list[bool]()
    waiting = ran(batch)
    del batch
    asyncio.run(waiting)
    assert isinstance(said[0], Settle)
    assert [True] == gone


def test_none_is_given_back_while_somebody_writes(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node, looks = start(), list[int]()
    monkeypatch.setattr(node.index, "release", lambda: pytest.fail("it was not at rest"))

    async def written_meanwhile(_seconds: float) -> None:
        looks.append(len(looks))
        if len(looks) == 20:
            raise asyncio.CancelledError
        node.index.put(row(b"page"))

    monkeypatch.setattr("sidecar.engine.housekeeping.asyncio.sleep", written_meanwhile)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(node.housekeeping.memory())
    assert 20 == len(looks)


def test_what_was_released_is_read_again(start: Starter) -> None:
    index = start().index
    put = [index.put(row(b"%d" % number, ino=number)) for number in range(100)]
    index.release()
    assert put == [index.get(one.path) for one in put]
    assert put[7:8] == index.by_inode(7)


def test_a_large_index_that_was_read_leaves_nothing_in_memory(tmp_path: Path) -> None:
    asked = f"""
import sys
from pathlib import Path
from sidecar.core.paths import ROOT, RelPath
from sidecar.fs import syscalls
from sidecar.index.store import Index
from tests.unit.index.conformance import row

def dirty():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

index = Index.open(Path(sys.argv[1]), lambda: 1001)
index.start_run("boot", 1)
with index.transaction():
    for number in range({ROWS}):
        index.put(row(b"%d/a-name-that-is-not-short-%d" % (number // 100, number), ino=number))
paths = [one.path for one in index.beneath(ROOT)]
for path in paths[:4000]:
    index.get(path)
before = dirty()
index.release()
syscalls.malloc_trim()
print(before - dirty())
"""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = (sys.executable, "-c", asked, str(tmp_path / "index.db"))
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) > GIVEN_BACK_KB
