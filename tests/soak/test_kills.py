"""SOAK_KILLS (200) times kill -9 of any process under load; after each both regions are identical and silent."""

import os
import time
from collections.abc import Callable

from tests.support import kills
from tests.support.compose import Site
from tests.support.writers import Writers

KILLS = int(os.environ.get("SOAK_KILLS") or "200")
SEED = os.environ.get("SOAK_SEED") or str(int(time.time()))


def test_a_kill_9_at_any_moment_loses_nothing(site: Site, record_property: Callable[[str, object], None]) -> None:
    kills.rounds(Writers(site), KILLS, SEED, record_property)
