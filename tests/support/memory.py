"""The memory of the sidecars of a project while something goes on, as the engine counts it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.compose import Project, Region


def megabytes(region: Region) -> float:
    """What all processes of a sidecar's container have for themselves, without the page cache."""
    stats = region.sidecar.stats(stream=False, one_shot=True)
    assert isinstance(stats, dict)
    told = stats["memory_stats"]["stats"]
    return float(told.get("anon", told.get("rss", 0))) / 1e6


@contextmanager
def watched(project: Project) -> Iterator[dict[str, float]]:
    """The most memory of each region's sidecar while the block lasts, by region."""
    most, done = {region.name: megabytes(region) for region in project.regions}, threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            for region in project.regions:
                most[region.name] = max(most[region.name], megabytes(region))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()
