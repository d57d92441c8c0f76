"""kill -9 under load, again and again: a daemon, an sshd, a session of it, a connection, an rsync."""

import os
import time
from collections.abc import Callable

from tests.support import kills
from tests.support.compose import Site
from tests.support.writers import Writers

ROUNDS = 30
SEED = os.environ.get("FAULTS_SEED") or str(int(time.time()))


def test_a_kill_9_of_any_process_under_load_loses_nothing(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    kills.rounds(Writers(site), ROUNDS, SEED, record_property)
