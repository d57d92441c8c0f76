"""What two-way lsyncd gets wrong, and the like of it: a tenth of what the acceptance does."""

import pytest

from tests.support.casework import worked
from tests.support.compose import Site


@pytest.mark.parametrize(
    "case",
    [
        "recreated",
        "renamed",
        "deleted_and_edited",
        "edited_twice",
        "pairs",
        "directories",
        "programs",
        "checksummed",
        "reused",
    ],
)
def test_both_regions_come_to_the_same_and_nothing_is_lost(site: Site, case: str) -> None:
    worked(site, case, scale=0.1)
