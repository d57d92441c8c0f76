"""What breaks, while both regions are worked on: afterwards they are identical, with every edit and every delete."""

import time
from collections.abc import Callable

import pytest

from tests.support import kills, quarrel
from tests.support.asking import wait_for
from tests.support.compose import WITHIN, Region, Site
from tests.support.faults import Fault, cut, killed, paused, restarting, stopped
from tests.support.writers import Writers

SILENCE = 2.0
KILLS = 3


@pytest.mark.parametrize("fault", [killed, stopped, restarting, cut, paused])
def test_both_sides_are_worked_on_while(site: Site, fault: Fault) -> None:
    quarrel.prepare(site)
    with fault(site):
        for corner in site.both:
            quarrel.edit(corner)
    quarrel.verify(site)
    before, after = site.project.silent(SILENCE)
    assert before == after


def test_an_edit_that_lost_is_kept(site: Site) -> None:
    def conflicts() -> int:
        return sum(region.asked.status()["store"]["conflicts"] for region in site.project.regions)

    before = conflicts()
    with cut(site):
        site.msk.sh("echo from msk >page")
        site.ams.sh("echo from ams, and later >page")
    site.wait_identical()
    assert "from ams, and later\n" == site.msk.read("page")
    assert conflicts() > before


def test_a_kill_in_the_middle_of_a_burst_loses_nothing(site: Site) -> None:
    site.msk.python("for n in range(1500): open(f'{n}', 'w').write(f'{n}' * 500)")
    with killed(site):
        pass
    assert 1500 == len(site.wait_identical())


def test_a_kill_9_of_a_sidecar_its_sshd_or_its_rsync_under_load_loses_nothing(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    kills.rounds(Writers(site), KILLS, "containers", record_property)


def test_a_sidecar_that_is_told_to_stop_sends_what_is_pending_and_ends_with_0(site: Site) -> None:
    site.msk.python("for n in range(300): open(f'{n}', 'w').write(f'{n}' * 500)")
    began = time.monotonic()
    site.msk.region.sidecar.stop()
    took = time.monotonic() - began
    try:
        assert 0 == site.msk.region.exit_code()
        assert took < 15
        there = site.ams.python("import os; print(len(os.listdir()))")
        assert 300 == int(there)
    finally:
        site.msk.region.sidecar.start()
    site.project.wait_settled()


def test_a_status_tells_that_the_peer_is_gone_and_that_it_is_back(site: Site) -> None:
    def link(of: Region) -> str:
        return "".join(peer["state"] for peer in of.asked.status().get("peers", ()))

    site.ams.region.sidecar.kill("KILL")
    try:
        wait_for(lambda: link(site.msk.region) != "up", "msk misses ams", WITHIN)
        assert site.msk.region.asked.status()["ready"]
        site.msk.sh("echo meanwhile >page")
        wait_for(lambda: site.msk.region.asked.status()["peers"][0]["pending"] > 0, "something is pending", WITHIN)
    finally:
        site.ams.region.sidecar.start()
    assert {"page"} == set(site.wait_identical())
