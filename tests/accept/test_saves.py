"""How a page is saved: a visitor of the other region sees old or new, each whole, and at the end the new one."""

import time
from collections.abc import Callable

import pytest

from tests.support.asking import wait_for
from tests.support.compose import WITHIN, Site
from tests.support.visitor import author, restoring_author, slow_author, version, visiting

SLOWLY = 10.0
REWRITES = 500


def test_what_is_written_slowly_in_place_is_seen_old_and_then_new(site: Site) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    with visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        site.msk.python(slow_author("page", 1, SLOWLY))
        wait_for(lambda: version(1)[0] in visit.letters, "the new one", WITHIN)
    assert [] == visit.wrong
    assert {version(0)[0], version(1)[0]} == visit.letters


@pytest.mark.parametrize("pause", [0.0, 0.005])
def test_what_is_rewritten_with_its_mtime_restored_while_it_is_sent_is_never_torn_and_arrives(
    site: Site, pause: float, record_property: Callable[[str, object], None]
) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    torn = site.msk.region.asked.metric("georoot_entries_settled_total", outcome="torn")
    with visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        site.msk.python(restoring_author("page", REWRITES, pause))
        last = version(REWRITES - 1)
        wait_for(lambda: last == site.ams.fetch("page").body, "the last one", WITHIN)
    torn = site.msk.region.asked.metric("georoot_entries_settled_total", outcome="torn") - torn
    record_property(
        f"{REWRITES} rewrites", f"{visit.answers} answers, {len(visit.letters)} letters, torn on the way {torn:.0f}"
    )
    assert [] == visit.wrong
    site.wait_identical()


def test_an_edit_that_restores_size_and_mtime_arrives(site: Site) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    for number in (25, 26):
        time.sleep(1.1)  # another second: whoever compares size and mtime sees the same file
        site.msk.python(restoring_author("page", number, 0))
        wait_for(lambda number=number: version(number - 1) == site.ams.fetch("page").body, "the edit", WITHIN)  # type: ignore[misc]
