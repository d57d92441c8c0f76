"""More than a link carries at once: very large files that are cut off, a flood of small ones. Times are only told."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.compose import Project, Region, Site, said, two_regions
from tests.support.memory import megabytes, watched

GIB = 1 << 30
SIZE = 2 * GIB
FROM, CHANGED = SIZE // 8, SIZE // 2
"""Where a changed file differs, and in how much."""
LIMIT = "96M"
"""A second, as rsync has it: else all of it is there before anybody can be killed."""
SLACK = SIZE // 16
"""What was on its way when it was cut, sums of blocks, headers of packets, SSH's and frames."""
FILES = 100_000
MOST_MEGABYTES = 300
"""Of all processes of a sidecar's container together, without the page cache."""
LONG = 900.0

_WRITE = """
import os
with open("large", "{mode}") as file:
    file.seek({at})
    for _ in range({size} >> 20):
        file.write(os.urandom(1 << 20))
"""
_COME = """
import os, sys, time
least, until = int(sys.argv[1]), time.monotonic() + 240
def come():
    found = [0]
    for tree in ("inbox", "partial"):
        for top, _, names in os.walk("/volumes/ams/.sidecar/" + tree):
            for name in names:
                try:
                    found.append(os.lstat(os.path.join(top, name)).st_size)
                except OSError:
                    pass
    return max(found)
while come() < least and time.monotonic() < until:
    time.sleep(0.005)
print(come())
"""
_FLOOD = f"""
import os
for number in range({FILES}):
    os.makedirs(f"flood/{{number // 1000}}", exist_ok=True)
    with open(f"flood/{{number // 1000}}/{{number}}", "wb") as file:
        file.write(os.urandom(4096))
open("written", "w").close()
"""
_BESIDE = """
import json, os, time
took, there = [], "/volumes/msk/html/{site}"
while not os.path.exists("written"):
    name = f"small-{{len(took)}}"
    with open(name, "wb") as file:
        file.write(os.urandom(4096))
    closed = time.monotonic()
    while not os.path.exists(f"{{there}}/{{name}}"):
        assert time.monotonic() - closed < {long}, "it never arrived"
        time.sleep(0.001)
    took.append(time.monotonic() - closed)
    time.sleep(0.2)
took.sort()
print(json.dumps([len(took), took[len(took) // 2], took[len(took) * 95 // 100], took[-1]]))
"""


@pytest.fixture(scope="module")
def slow() -> Iterator[Project]:
    """Two regions; what they send has a limit."""
    with two_regions({"GEOROOT_BWLIMIT": LIMIT}) as made:
        yield made


def carried(region: Region) -> int:
    """Bytes that its sidecar has sent and received since it was started."""
    stats = region.sidecar.stats(stream=False, one_shot=True)
    assert isinstance(stats, dict)
    return sum(one["tx_bytes"] + one["rx_bytes"] for one in stats["networks"].values())


def wire_after_a_kill(site: Site, who: str, least: int) -> tuple[int, int]:
    """Kill one sidecar when so much has come: how much had, and the bytes that the other one carried until all is
    there."""
    killed, other = (site.msk.region, site.ams.region) if who == "sender" else (site.ams.region, site.msk.region)
    where = f"/volumes/ams/html/{site.name}"
    said(site.project.witness, "/usr/bin/python3", "-Bc", _COME, str(least), workdir=where)
    killed.sidecar.kill("KILL")
    before = carried(other)
    had = int(said(site.project.witness, "/usr/bin/python3", "-Bc", _COME, "0", workdir=where))
    killed.sidecar.start()
    site.wait_identical(LONG)
    return had, carried(other) - before


@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_two_gibibytes_go_on_where_a_kill_cut_them_off(
    slow: Project, record_property: Callable[[str, object], None], who: str
) -> None:
    site = Site(slow, f"resumed-{who}")
    site.make()
    site.msk.python(_WRITE.format(mode="wb", at=0, size=SIZE))
    had, wire = wire_after_a_kill(site, who, SIZE // 2)
    record_property(f"new, {who} killed", f"{had >> 20} MiB had come, {wire >> 20} more on the wire")
    assert SIZE // 2 <= had < SIZE
    assert wire <= SIZE - had + SLACK
    site.msk.python(_WRITE.format(mode="r+b", at=FROM, size=CHANGED))
    had, wire = wire_after_a_kill(site, who, FROM + CHANGED // 2)
    record_property(f"changed, {who} killed", f"{had >> 20} MiB had come, {wire >> 20} more on the wire")
    assert FROM + CHANGED // 2 <= had < FROM + CHANGED
    assert wire <= FROM + CHANGED - had + SLACK
    site.msk.python("import os; os.unlink('large')")
    site.wait_identical(LONG)


def test_a_hundred_thousand_new_files_take_bounded_memory_and_leave_the_other_side_its_turn(
    record_property: Callable[[str, object], None],
) -> None:
    with two_regions() as project:
        site = Site(project, "flood")
        site.make()
        before = {region.name: megabytes(region) for region in project.regions}
        began = time.monotonic()
        with watched(project) as most:
            flood = ["/usr/bin/python3", "-Bc", _FLOOD]
            project.witness.exec_run(flood, workdir="/volumes/msk/html/flood", detach=True)
            count, *times = json.loads(site.ams.python(_BESIDE.format(site=site.name, long=LONG)))
            tree = site.wait_identical(LONG)
        p50, p95, worst = (f"{1000 * one:.0f}" for one in times)
        record_property(f"{FILES} new files", f"identical after {time.monotonic() - began:.1f} s")
        record_property(f"{count} small ones of the other side", f"p50 {p50}, p95 {p95}, at most {worst} ms")
        for name, peak in most.items():
            record_property(f"memory of {name}", f"{before[name]:.0f} MB before, {peak:.0f} MB at most")
        assert FILES + count + 1 == sum(facts[0] == "file" for facts in tree.values())
        assert max(most.values()) < MOST_MEGABYTES
