"""A hundred thousand changes or deletions that wait for a cut to end: they drain in bounded memory, none is lost."""

import time
from collections.abc import Callable

from tests.support.asking import wait_for
from tests.support.compose import Region, Site, said, two_regions
from tests.support.faults import cut
from tests.support.memory import megabytes, watched
from tests.support.tree import Tree

OLD, NEW = 10_000, 45_000
"""Files that both have before, of which each edits a quarter and deletes another; files that each makes."""
QUEUED = NEW + OLD // 2
MOST_MEGABYTES = 300
"""Of all processes of a sidecar's container together, without the page cache."""
GONE = 100_000
"""Files that both have, and one deletes."""
LONG = 900.0

_BEFORE = f"""
import os
for number in range({OLD}):
    os.makedirs(f"old/{{number % 100}}", exist_ok=True)
    with open(f"old/{{number % 100}}/{{number}}", "w") as file:
        file.write("before")
"""
_DURING = """
import os
me, part = {me!r}, {part}
for number in range({new}):
    os.makedirs(f"{{me}}/{{number % 300}}", exist_ok=True)
    with open(f"{{me}}/{{number % 300}}/{{number}}", "w") as file:
        file.write(f"{{me}} {{number}}" * 20)
for number in range(part, {old}, 4):
    with open(f"old/{{number % 100}}/{{number}}", "w") as file:
        file.write(f"edited in {{me}}")
for number in range(part + 1, {old}, 4):
    os.unlink(f"old/{{number % 100}}/{{number}}")
"""

_ALIKE = f"""
import os
for number in range({GONE}):
    os.makedirs(f"gone/{{number % 300}}", exist_ok=True)
    with open(f"gone/{{number % 300}}/{{number}}", "w") as file:
        file.write(f"{{number}}")
"""


def is_queued(region: Region) -> bool:
    status = region.asked.status()
    return bool(status and not status["pending_local"] and status["peers"][0]["pending"] >= QUEUED)


def tombstones(region: Region) -> int:
    return int(region.asked.status().get("store", {}).get("tombstones", 0))


def held(region: Region) -> list[str]:
    return [hold["id"] for hold in region.asked.status().get("holds", [])]


def test_a_hundred_thousand_changes_on_both_sides_of_a_cut_drain_in_bounded_memory(
    record_property: Callable[[str, object], None],
) -> None:
    with two_regions() as project:
        site = Site(project, "backlog")
        site.make()
        site.msk.python(_BEFORE)
        site.wait_identical(LONG)
        before = {region.name: megabytes(region) for region in project.regions}
        with watched(project) as most:
            with cut(site):
                for part, corner in ((0, site.msk), (2, site.ams)):
                    corner.python(_DURING.format(me=corner.region.name, part=part, new=NEW, old=OLD))
                for region in project.regions:
                    wait_for(lambda region=region: is_queued(region), f"{region.name} has them queued", LONG, every=1.0)  # type: ignore[misc]
            began = time.monotonic()
            project.wait_settled(LONG)
            took = time.monotonic() - began
        tree = site.wait_identical(LONG)
        for name, peak in most.items():
            record_property(f"memory of {name}", f"{before[name]:.0f} MB before, {peak:.0f} MB at most")
        record_property(f"{2 * QUEUED} changes queued", f"drained in {took:.1f} s, {2 * QUEUED / took:.0f} a second")
        _verify(tree)
        assert max(most.values()) < MOST_MEGABYTES


def test_a_hundred_thousand_deletions_that_waited_for_a_cut_to_end_drain_once_they_are_approved(
    record_property: Callable[[str, object], None],
) -> None:
    with two_regions() as project:
        site = Site(project, "deletions")
        site.make()
        site.msk.python(_ALIKE)
        assert GONE == _files(site.wait_identical(LONG))
        before = {region.name: megabytes(region) for region in project.regions}
        msk, ams = project.regions
        msk.sidecar.stop()  # so that a scan finds them, not events, of which the kernel may drop some
        site.msk.python("import shutil; shutil.rmtree('gone')")
        project.cut(ams)
        msk.sidecar.start()
        wait_for(lambda: ["scan"] == held(msk), "the deletions are held in msk", LONG, every=1.0)
        with watched(project) as most:
            said(msk.sidecar, "sidecar", "approve", "scan")
            wait_for(lambda: tombstones(msk) >= GONE, "msk remembers them for ams", LONG, every=1.0)
            assert GONE == _files(project.trees(site.name)[1])
            project.mend(ams)
            began = time.monotonic()
            wait_for(lambda: ["changes"] == held(ams), "the deletions are held in ams", LONG, every=0.1)
            asked = time.monotonic()
            said(ams.sidecar, "sidecar", "approve", "changes")
            wait_for(lambda: not project.trees(site.name)[1], "ams has deleted them", LONG, every=1.0)
            took = time.monotonic() - asked
        assert {} == site.wait_identical(LONG)
        assert [[], []] == [held(region) for region in project.regions]
        for name, peak in most.items():
            record_property(f"memory of {name}", f"{before[name]:.0f} MB before, {peak:.0f} MB at most")
        record_property(f"{GONE} deletions queued", f"held after {asked - began:.1f} s, drained in {took:.1f} s")
        assert max(most.values()) < MOST_MEGABYTES


def _files(tree: Tree) -> int:
    return sum(facts[0] == "file" for facts in tree.values())


def _verify(tree: dict[str, tuple[object, ...]]) -> None:
    files = {path: facts[2] for path, facts in tree.items() if facts[0] == "file"}
    expected: dict[str, object] = {}
    for me, part in (("msk", 0), ("ams", 2)):
        expected |= {f"{me}/{n % 300}/{n}": len(f"{me} {n}" * 20) for n in range(NEW)}
        expected |= {f"old/{n % 100}/{n}": len(f"edited in {me}") for n in range(part, OLD, 4)}
    assert files.keys() == expected.keys()
    assert files == expected
