"""A cut of a minute, and a peer that accepts and never answers, under load on both sides: status says what is wrong."""

import time
from collections.abc import Callable

import pytest

from tests.support.asking import wait_for
from tests.support.compose import Region, Site, said
from tests.support.faults import Fault, cut, paused
from tests.support.writers import Writers

CUT, PAUSED = 60.0, 40.0
NOTICED = 55.0
"""Seconds in which a node must say that its peer is gone: it asks every 5 s, and waits for 20."""


def complains(region: Region) -> bool:
    """Do status, metrics and command all say that the peer is gone, and that the region is well nevertheless?"""
    status = region.asked.status()
    (peer,) = status["peers"]
    return bool(
        peer["state"] != "up"
        and peer["problem"]
        and peer["pending"] > 0
        and status["ready"]
        and region.asked.metric("georoot_peer_up", peer=peer["region"]) == 0
        and region.asked.metric("georoot_peer_pending_entries", peer=peer["region"]) > 0
        and peer["problem"].split(";")[0][:40] in said(region.sidecar, "sidecar", "status")
    )


@pytest.mark.parametrize("fault", [cut, paused])
def test_a_peer_that_is_silent_under_load_is_told_and_made_up_for(
    site: Site, record_property: Callable[[str, object], None], fault: Fault
) -> None:
    writers = Writers(site)
    asked = site.project.regions if fault is cut else (site.msk.region,)
    lasts = CUT if fault is cut else PAUSED
    with writers.at_work(fault.__name__, lasts + 6.0):
        time.sleep(3.0)
        with fault(site):
            began = time.monotonic()
            for region in asked:
                wait_for(lambda region=region: complains(region), f"{region.name} says so", NOTICED, every=0.5)  # type: ignore[misc]
            noticed = time.monotonic() - began
            time.sleep(max(0.0, lasts - noticed))
    began = time.monotonic()
    tree = writers.verify()
    record_property(
        f"{fault.__name__} for {lasts:.0f} s",
        f"told within {noticed:.0f} s, {writers.done} changes, {len(tree)} paths identical and silent"
        f" {time.monotonic() - began:.1f} s after the work ended",
    )
    for region in site.project.regions:
        assert 1 == region.asked.metric("georoot_peer_up")
