"""After as many batches as an hour of edits makes, a node holds what it held before: processes, descriptors, files."""

import collections
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for

AN_HOUR = 3600
"""Batches: an edit a second."""
WARM = 60
"""Changes on each side before it is looked at what is held: everything has been used once by then."""
NAMES = 40
"""Files that a side writes in turns."""
LONG = 40_000
"""Lines of what goes by rsync in any case; what is short may go in a frame."""
POOL = 4
"""Threads that asyncio's pool may have beside one for each core; it makes them as they are needed."""
REST = 15.0
"""Seconds without a change in what a node holds, after which it is at rest: spares go after ten."""
WITHIN = 60.0
"""Seconds until then."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        made.start()
        yield made


def family(pid: int) -> list[int]:
    """A process and all that descend from it, zombies too."""
    children = collections.defaultdict[int, list[int]](list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            after_name = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(after_name[1])].append(int(name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def counted(directory: Path) -> int:
    return sum(len(files) + len(folders) for _, folders, files in os.walk(directory))


def held(node: Sidecar) -> Mapping[str, int]:
    """What a node has of what must not grow."""
    names = collections.Counter[str]()
    for pid in family(node.pid):
        try:
            names[f"processes {Path(f'/proc/{pid}/comm').read_text().strip()}"] += 1
        except OSError:
            continue
    own = Path(f"/proc/{node.pid}")
    return names | {
        "descriptors": len(os.listdir(own / "fd")),
        "in the inbox": counted(node.state / "inbox"),
        "in the outbox": counted(node.state / "outbox"),
        "in the run directory": counted(node.run_dir),
    }


def edit(here: Sidecar, there: Sidecar, number: int) -> None:
    """One change, seen to arrive: a file written, now and then a rename, a deletion and a symlink as well."""
    name, text = f"{here.region}-{number % NAMES}", f"{number}\n" * (1 if number % 6 else LONG)
    (here.html / name).write_text(text)
    copy = there.html / name
    wait_for(lambda: copy.exists() and copy.read_text() == text, f"{name} {number} in {there.region}")
    if number % NAMES:
        return
    moved, link = f"{here.region}-moved", f"{here.region}-link"
    (here.html / name).rename(here.html / moved)
    wait_for((there.html / moved).exists, f"{moved} in {there.region}")
    (here.html / moved).unlink()
    (here.html / link).unlink(missing_ok=True)
    (here.html / link).symlink_to(f"{here.region}-{number}")
    wait_for(lambda: os.path.lexists(there.html / link), f"{link} in {there.region}")


def batches(pair: Regions) -> float:
    return sum(one.metric("georoot_batches_sent_total") for one in pair.all)


def edits(pair: Regions, count: int) -> None:
    """Of each side, both at once."""
    failed = list[BaseException]()

    def work(here: Sidecar, there: Sidecar) -> None:
        try:
            for number in range(count):
                edit(here, there, number)
        except BaseException as error:
            failed.append(error)
            raise

    msk, ams = pair.all
    workers = [threading.Thread(target=work, args=way) for way in ((msk, ams), (ams, msk))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed, failed
    pair.wait_identical()


def at_rest(pair: Regions) -> list[Mapping[str, int]]:
    """What both hold when that has not changed for some time: what the work before needed has been let go."""
    resting, since, end = [held(one) for one in pair.all], time.monotonic(), time.monotonic() + WITHIN
    while time.monotonic() - since < REST:
        time.sleep(0.5)
        now = [held(one) for one in pair.all]
        if now != resting:
            resting, since = now, time.monotonic()
        assert time.monotonic() < end, f"never at rest: {now}"
    return resting


def test_nothing_leaks_in_as_many_batches_as_an_hour_of_edits_makes(pair: Regions) -> None:
    edits(pair, WARM)
    resting, before = at_rest(pair), batches(pair)
    while batches(pair) - before < AN_HOUR:
        edits(pair, AN_HOUR // 8)
    assert resting == at_rest(pair)
    for one in pair.all:
        assert len(os.listdir(f"/proc/{one.pid}/task")) <= 1 + (os.cpu_count() or 1) + POOL
