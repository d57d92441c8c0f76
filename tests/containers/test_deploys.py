"""A few deploys: a visitor who follows `current` in the other region meets no hole, no mix, nothing going back."""

import pytest

from tests.support.compose import Site
from tests.support.deploying import WAYS, deployed


@pytest.mark.parametrize("how", [way for way in WAYS if way != "absolute"])
def test_a_visitor_of_deploys_meets_whole_releases_only(site: Site, how: str) -> None:
    met = deployed(site, how, count=10, pause=0.25, within=60)
    assert [] == met["wrong"], met
    site.wait_identical()
