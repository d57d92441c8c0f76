"""A node whose clock is an hour off, either way, and files with mtimes of any age: identical, and both nodes warn."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.asking import wait_for
from tests.support.compose import TEST_IMAGE, WITHIN, Project, Site, said, two_regions
from tests.support.faults import cut
from tests.support.writers import Writers

HOUR = 3600
_OTHERWISE = """
services:
  ams-sidecar:
    image: {image}
    entrypoint: [/usr/bin/tini, --, /usr/local/bin/sidecar]
    command: [run]
    environment:
      LD_PRELOAD: /usr/$$LIB/faketime/libfaketime.so.1
      FAKETIME: "{offset:+d}"
      FAKETIME_DONT_FAKE_MONOTONIC: "1"
      NO_FAKE_STAT: "1"
"""


@pytest.fixture(scope="module", params=[HOUR, -HOUR], ids=["ahead", "behind"])
def offset(request: pytest.FixtureRequest) -> int:
    """Seconds that the clock of ams is ahead."""
    return int(request.param)


@pytest.fixture(scope="module")
def shifted(offset: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two regions; the clock of the sidecar in ams is off."""
    otherwise = tmp_path_factory.mktemp("compose") / "clock.yaml"
    otherwise.write_text(_OTHERWISE.format(image=TEST_IMAGE, offset=offset), "utf-8")
    with two_regions(otherwise=Path(otherwise)) as made:
        yield made


def test_a_clock_that_is_an_hour_off_changes_nothing_but_who_wins_a_conflict(shifted: Project, offset: int) -> None:
    site = Site(shifted, "clock")
    site.make()
    for region, off in ((site.msk.region, offset), (site.ams.region, -offset)):
        wait_for(lambda region=region: region.asked.status()["warnings"], f"{region.name} warns", WITHIN)  # type: ignore[misc]
        (warning,) = region.asked.status()["warnings"]
        assert "the clock of" in warning and "the clock of" in said(region.sidecar, "sidecar", "status")
        assert abs(off - region.asked.metric("georoot_peer_clock_offset_seconds")) < 5
        assert 1 == region.asked.metric("georoot_warnings")
    writers = Writers(site)
    with writers.at_work("clock", 5.0):
        pass
    writers.verify()
    with cut(site):
        site.ams.sh("echo first, in ams >page; echo only in ams >ams/own")
        time.sleep(1.0)
        site.msk.sh("echo second, in msk >page")
    site.wait_identical()
    wins, loses = ("first, in ams\n", "second, in msk") if offset > 0 else ("second, in msk\n", "first, in ams")
    assert wins == site.msk.read("page")
    for region in shifted.regions:
        assert "clock/page" in said(region.sidecar, "sidecar", "conflicts")
        assert loses == said(region.sidecar, "sidecar", "conflicts", "show", "clock/page").strip()
    site.ams.sh("rm page ams/own")
    assert not {"page", "ams/own"} & set(site.wait_identical())


def test_mtimes_of_any_age_arrive_and_a_restored_one_hides_no_edit(shifted: Project) -> None:
    site = Site(shifted, "mtimes")
    site.make()
    for side, other in ((site.msk, site.ams), (site.ams, site.msk)):
        me = side.region.name
        side.python(f"""
import os, time
soon = time.time_ns() + 3600 * 10**9
for name, ns in (("1970", 0), ("before", -10**18), ("hour", soon), ("2100", 4102444800 * 10**9)):
    with open("{me}-" + name, "w") as file:
        file.write(name)
    os.utime("{me}-" + name, ns=(ns, ns))
""")
        site.wait_identical()
        side.python(f"""
import os
for name in ("1970", "before", "hour", "2100"):
    stat = os.stat("{me}-" + name)
    with open("{me}-" + name, "w") as file:
        file.write(name[::-1])
    os.utime("{me}-" + name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
""")
        site.wait_identical()
        assert "0791" == other.read(f"{me}-1970")
        assert "ruoh" == other.read(f"{me}-hour")
