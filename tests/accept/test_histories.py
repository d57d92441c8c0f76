"""The simulation at full size, seeds from 0 on, in two processes: 20 000 histories of three nodes, 2 000 of deploys and
as many of owned paths.

SIM_HISTORIES=100000 runs more. What fails is told with its seed and the command that shows it again.
"""

import os
import time
from collections.abc import Callable
from typing import Final

from tests.support import many

HISTORIES: Final = int(os.environ.get("SIM_HISTORIES") or "20000")
A_TENTH: Final = 10
"""There are so many histories for one of deploys, for one of owned paths, and for one of long absences."""


def test_all_histories_end_alike_with_nothing_lost_and_every_visitor_meets_whole_releases(
    record_property: Callable[[str, object], None],
) -> None:
    began, histories, deploys = time.monotonic(), 0, 0
    work = [(seeds, range(seeds.start // A_TENTH, seeds.stop // A_TENTH)) for seeds in many.chunks(0, HISTORIES)]
    for ran, deployed, failure in many.run(work):
        assert not failure, failure
        histories += ran
        deploys += deployed
    record_property("histories of three nodes", histories)
    record_property("histories of deploys, of owned paths, and of long absences", deploys)
    record_property("seconds", round(time.monotonic() - began))
    assert HISTORIES == histories
