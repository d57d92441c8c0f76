"""Nothing happens: what the nodes take meanwhile, and how much memory they hold."""

import time

from bench.outcome import Outcome, Size
from bench.works.site import Site


def run(_site: Site, size: Size) -> Outcome:
    time.sleep(size.seconds)
    return Outcome(seconds=size.seconds)
