"""Many histories in several processes: chunks of seeds, each with what failed in it."""

import logging
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from typing import Final

import structlog

from tests.support import deploys, histories, owned
from tests.support.simlink import Link

PROCESSES: Final = 2
CHUNK: Final = 100
"""Seeds that one process runs before it tells."""


def silence() -> None:
    """What the engine would log of each history is dropped."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def of_histories(seeds: range) -> str:
    """How to see the first history that fails again, "" if none does."""
    found = histories.first_failing(Link, seeds)
    return histories.told(*found) if found is not None else ""


def of_deploys(seeds: range) -> str:
    """How to see the first deploys at which a visitor meets something wrong again, "" if there are none."""
    found = deploys.first_failing(Link, seeds)
    return deploys.told(*found) if found is not None else ""


def chunks(first: int, count: int) -> Iterator[range]:
    """`count` seeds from `first` on, in chunks."""
    yield from (range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK))


def of_owned(seeds: range) -> str:
    """How to see the first history of owned paths that fails again, "" if none does."""
    return next(filter(None, map(owned.failure, seeds)), "")


def of_aged(seeds: range) -> str:
    """How to see the first history again in which a node was away for long and something goes wrong."""
    found = histories.first_failing(Link, seeds, histories.aged)
    return histories.told(*found, histories.aged, "away") if found is not None else ""


def of_all(work: tuple[range, range]) -> tuple[int, int, str]:
    """Histories; then deploys, histories of owned paths, and of long absences: how many there were of each, and the
    first failure."""
    failure = of_histories(work[0]) or of_deploys(work[1]) or of_owned(work[1]) or of_aged(work[1])
    return len(work[0]), len(work[1]), failure


def run(work: Iterable[tuple[range, range]]) -> Iterator[tuple[int, int, str]]:
    """Run them in `PROCESSES` processes; as they end, how many they were and the first failure."""
    waiting: set[Future[tuple[int, int, str]]] = set()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), silence) as pool:
        for part in work:
            waiting.add(pool.submit(of_all, part))
            if len(waiting) >= 2 * PROCESSES:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        yield from (one.result() for one in as_completed(waiting))
