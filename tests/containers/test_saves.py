"""How a page is saved: a visitor of the other region sees old or new, each whole, and at the end the new one."""

from tests.support.asking import wait_for
from tests.support.compose import WITHIN, Site
from tests.support.visitor import author, restoring_author, slow_author, version, visiting


def test_what_is_written_slowly_or_with_its_mtime_restored_is_never_torn_and_arrives(site: Site) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    with visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        site.msk.python(slow_author("page", 1, 1.0))
        wait_for(lambda: version(1)[0] in visit.letters, "the slow one", WITHIN)
        assert {version(0)[0], version(1)[0]} == visit.letters
        site.msk.python(restoring_author("page", 50, 0))
        wait_for(lambda: version(49) == site.ams.fetch("page").body, "the last one", WITHIN)
    assert [] == visit.wrong
    site.wait_identical()
