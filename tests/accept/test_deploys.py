"""Deploys, four a second: a visitor who follows `current` in the other region meets no hole, no mix, no way back."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.compose import Project, Site, two_regions
from tests.support.deploying import SERVED_AT, WAYS, deployed

COUNT = 100
PAUSE = 0.25
LONG = 180
HOLD_CHANGES = {"GEOROOT_HOLD_CHANGES": "1000000"}
"""A hundred releases in a minute are most of the tree many times over."""


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with two_regions(SERVED_AT | HOLD_CHANGES) as made:
        yield made


@pytest.mark.parametrize("how", WAYS)
def test_a_visitor_of_deploys_meets_whole_releases_only(
    site: Site, how: str, record_property: Callable[[str, object], None]
) -> None:
    met = deployed(site, how, COUNT, PAUSE, LONG)
    record_property(f"a visitor of {COUNT} deploys, {how}", met)
    assert [] == met["wrong"], met
    assert met["visits"] > 0
    site.wait_identical(LONG)
