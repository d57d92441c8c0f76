"""A web root that is emptied, replaced, moved away or unmounted, or loses most: nothing is deleted elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.asking import wait_for
from tests.support.compose import Project, Region, Site, said, two_regions
from tests.support.tree import Tree

PAGES = 10_000
MOST = 6_000
"""What is deleted of them where not all is: 60 %."""
FAULT = 3
LONG = 300.0
"""Seconds that anything may take with so many files; ten to thirty are usual."""


@pytest.fixture
def project() -> Iterator[Project]:
    """Two regions for each test: what others left would be deleted with the root, and count as part of the tree."""
    with two_regions() as made:
        yield made


def prepare(site: Site) -> Tree:
    site.msk.python(f"for n in range({PAGES}): open(f'page-{{n}}', 'w').write(str(n))")
    return site.wait_identical(LONG)


def root(region: Region) -> str:
    """Where the witness finds it."""
    return f"/volumes/{region.name}/html"


def witness(site: Site, script: str) -> str:
    return said(site.project.witness, "sh", "-euc", script)


def empty(site: Site, region: Region) -> None:
    aside = f"/tmp/{site.name}"
    witness(site, f"mkdir {aside}; cp -a {root(region)}/. {aside}; find {root(region)} -mindepth 1 -delete")


def is_held(region: Region, gone: int = PAGES) -> bool:
    """Do status, metrics and command all say that the scan's deletions are held, and what lets them through?"""
    holds = region.asked.status().get("holds", [])
    return bool(
        ["scan"] == [hold["id"] for hold in holds]
        and region.asked.metric("georoot_holds", hold="scan") >= gone
        and "sidecar approve scan" in said(region.sidecar, "sidecar", "status")
    )


@contextmanager
def held(site: Site, gone: int) -> Iterator[None]:
    """The sidecar of ams is down for the block, in which so much goes; that is held, and nothing else is."""
    site.ams.region.sidecar.stop()
    yield
    site.ams.region.sidecar.start()
    wait_for(lambda: is_held(site.ams.region, gone), "the deletions are held", LONG, every=0.1)
    other = f"beside-{site.name}"
    site.msk.sh(f"mkdir ../{other}; echo meanwhile >../{other}/meanwhile")
    wait_for(lambda: "meanwhile" in site.project.trees(other)[1], "the rest goes on", LONG, every=0.1)


def wait_let_go(region: Region) -> None:
    wait_for(lambda: [] == region.asked.status().get("holds"), "nothing is held any more", LONG, every=0.1)


def emptied_while_down(site: Site) -> Tree:
    """The root of ams is emptied while its sidecar is down; that is held; what msk still has."""
    with held(site, PAGES):
        empty(site, site.ams.region)
    return site.project.trees(site.name)[0]


def mostly_deleted_while_down(site: Site, before: Tree) -> Tree:
    """Most pages of ams are deleted while its sidecar is down; that is held, and msk has all; what ams has left."""
    with held(site, MOST):
        site.ams.python(f"import os\nfor n in range({MOST}): os.unlink(f'page-{{n}}')")
    there, left = site.project.trees(site.name)
    assert before == there
    assert PAGES - MOST == len(left)
    return left


def test_an_emptied_root_is_held_until_it_is_there_again(site: Site) -> None:
    before = prepare(site)
    there = emptied_while_down(site)
    assert before.items() <= there.items()
    witness(site, f"cp -a /tmp/{site.name}/. {root(site.ams.region)}/; rm -r /tmp/{site.name}")
    wait_let_go(site.ams.region)
    assert there == site.wait_identical(LONG)


def test_an_emptied_root_is_filled_again_by_one_command(site: Site) -> None:
    prepare(site)
    there = emptied_while_down(site)
    said(site.ams.region.sidecar, "sidecar", "reject", "scan")
    assert there == site.wait_identical(LONG)
    wait_let_go(site.ams.region)
    witness(site, f"rm -r /tmp/{site.name}")


def test_an_emptied_root_is_let_through_by_one_command_and_brought_back_by_one(site: Site) -> None:
    before = prepare(site)
    emptied_while_down(site)
    since = time.time()
    said(site.ams.region.sidecar, "sidecar", "approve", "scan")
    wait_for(lambda: not site.project.trees(site.name)[0], "msk has deleted it too", LONG, every=0.1)
    site.wait_identical(LONG)
    said(site.msk.region.sidecar, "sidecar", "restore", "--since", str(since), "--peer", "ams")
    after = site.wait_identical(LONG)
    assert {path: facts[3] for path, facts in before.items()} == {path: facts[3] for path, facts in after.items()}
    witness(site, f"rm -r /tmp/{site.name}")


def test_sixty_percent_deleted_while_the_sidecar_is_down_goes_through_by_one_command(site: Site) -> None:
    left = mostly_deleted_while_down(site, prepare(site))
    said(site.ams.region.sidecar, "sidecar", "approve", "scan")
    wait_for(lambda: left == site.project.trees(site.name)[0], "msk has deleted them too", LONG, every=0.1)
    assert left == site.wait_identical(LONG)
    for region in site.project.regions:
        wait_let_go(region)


def test_sixty_percent_deleted_while_the_sidecar_is_down_comes_back_by_one_command(site: Site) -> None:
    before = prepare(site)
    mostly_deleted_while_down(site, before)
    said(site.ams.region.sidecar, "sidecar", "reject", "scan")
    assert before == site.wait_identical(LONG)
    wait_let_go(site.ams.region)


def test_a_volume_that_was_replaced_by_an_empty_one_is_filled_by_the_other_region(site: Site) -> None:
    before = prepare(site)
    site.ams.region.sidecar.stop()
    witness(site, f"find {root(site.ams.region)} /volumes/ams/.sidecar -mindepth 1 -delete")
    site.ams.region.sidecar.start()
    assert before == site.wait_identical(LONG)
    assert [] == site.ams.region.asked.status()["holds"]


def test_a_root_that_is_moved_away_under_a_running_sidecar_ends_it_with_3_and_deletes_nothing(site: Site) -> None:
    before, ams = prepare(site), site.ams.region
    witness(site, f"mv {root(ams)} {root(ams)}.away")
    wait_for(lambda: ams.exit_code() == FAULT, "ams ends with 3", LONG, every=0.1)
    ams.sidecar.stop()
    assert before == site.project.trees(site.name)[0]
    witness(site, f"mkdir {root(ams)}")  # an empty directory, as a mount point is when nothing is mounted on it
    ams.sidecar.start()
    wait_for(lambda: is_held(ams), "the deletions are held", LONG, every=0.1)
    assert before == site.project.trees(site.name)[0]
    ams.sidecar.stop()
    witness(site, f"rmdir {root(ams)}; mv {root(ams)}.away {root(ams)}")
    ams.sidecar.start()
    assert before == site.wait_identical(LONG)
    assert [] == ams.asked.status()["holds"]
