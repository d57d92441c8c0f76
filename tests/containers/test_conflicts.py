"""The same path is edited on both sides of a cut: both contents are there after it, and either can be taken."""

import json

from tests.support.compose import Region, Site, said
from tests.support.faults import cut


def listed(region: Region, path: str) -> list[str]:
    """The ids of the conflicts of a path, as the region's command lists them."""
    every = json.loads(said(region.sidecar, "sidecar", "conflicts", "--json"))["conflicts"]
    return [one["id"] for one in every if one["path"] == path]


def test_both_contents_of_a_cut_exist_and_the_other_one_can_be_taken_on_either_node(site: Site) -> None:
    pages = {"taken-in-msk": site.msk.region, "taken-in-ams": site.ams.region}
    for page in pages:
        site.msk.sh(f"echo first >{page}")
    site.wait_identical()
    with cut(site):
        for page in pages:
            site.msk.sh(f"echo from msk >{page}")
            site.ams.sh(f"echo from ams, and later >{page}")
    site.wait_identical()
    for page, region in pages.items():
        path = f"{site.name}/{page}"
        assert ["from ams, and later\n"] * 2 == [corner.read(page) for corner in site.both]
        (ident,) = listed(site.msk.region, path)
        assert [ident] == listed(site.ams.region, path)
        for one in site.project.regions:
            assert "from msk\n" == said(one.sidecar, "sidecar", "conflicts", "show", path, ident)
        said(region.sidecar, "sidecar", "conflicts", "take", path)
    site.wait_identical()
    for page, region in pages.items():
        path = f"{site.name}/{page}"
        assert ["from msk\n"] * 2 == [corner.read(page) for corner in site.both]
        assert [[], []] == [listed(one, path) for one in site.project.regions]
        said(region.sidecar, "sidecar", "restore", path)
    site.wait_identical()
    for page in pages:
        assert ["from ams, and later\n"] * 2 == [corner.read(page) for corner in site.both]
