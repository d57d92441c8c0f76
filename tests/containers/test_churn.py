"""Both sides work at once, for a tenth of what the acceptance does."""

from collections.abc import Callable

from tests.support import churn
from tests.support.compose import Site


def test_both_sides_work_at_once_and_nothing_is_lost(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    sides = churn.churn(site, seed="1", seconds=6, rate=110)
    churn.verify(site, sides, record_property, silence=2)
