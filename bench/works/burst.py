"""Many new 4 KiB files at once: from the first write until both sides are the same."""

import random
import shutil
import threading
import time

from bench.outcome import Outcome, Size
from bench.works.site import Site, identical

FOLDER = "burst"
WITHIN = 120.0


def files(size: Size) -> dict[str, bytes]:
    """The same at every call: the works after this one know them too."""
    rng = random.Random(3)
    return {f"file-{number}": rng.randbytes(4096) for number in range(size.files)}


def prepare(site: Site, _size: Size) -> None:
    shutil.rmtree(site.msk.root / FOLDER, ignore_errors=True)


def run(site: Site, size: Size) -> Outcome:
    made, timeline = files(size), list[tuple[float, int]]()
    since = time.perf_counter()

    def write() -> None:
        (site.msk.root / FOLDER).mkdir()
        for name, content in made.items():
            site.msk.write(f"{FOLDER}/{name}", content)

    def seen(there: int) -> None:
        timeline.append((round(time.perf_counter() - since, 3), max(0, there)))

    writing = threading.Thread(target=write)
    writing.start()
    if site.msk.by_hand:
        writing.join()
        since = time.perf_counter()
        site.msk.carry()
    seconds = identical(site.ams, FOLDER, made, since, WITHIN, seen)
    writing.join()
    return Outcome(seconds=seconds, timeline=tuple(timeline))
