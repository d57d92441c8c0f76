"""One large new file: from close() until the other side has all of it under its name."""

import os
import random
import time
from collections.abc import Iterator

from bench.outcome import Outcome, Size
from bench.works.site import Side, Site, until

NAME = "large"
WITHIN = 60.0
MIB = 1 << 20


def content(size: Size) -> Iterator[bytes]:
    """Of the file, a MiB at a time; random, so that no tool finds it twice. Seeded."""
    rng = random.Random(4)
    return (rng.randbytes(MIB) for _ in range(size.mib))


def same(site: Site, name: str) -> bool:
    """Byte for byte."""
    try:
        with (site.msk.root / name).open("rb") as here, (site.ams.root / name).open("rb") as there:
            while True:
                mine, theirs = here.read(MIB), there.read(MIB)
                if mine != theirs:
                    return False
                if not mine:
                    return True
    except OSError:
        return False


def length(side: Side, name: str) -> int:
    """-1: there is no such file."""
    try:
        return os.stat(side.root / name).st_size
    except OSError:
        return -1


def write(site: Site, size: Size) -> None:
    with (site.msk.root / NAME).open("wb") as file:
        file.writelines(content(size))


def run(site: Site, size: Size) -> Outcome:
    write(site, size)
    since = time.perf_counter()
    site.msk.carry()
    # A tool that writes in place is there when its bytes are, one that renames as soon as the length is.
    seconds = until(lambda: length(site.ams, NAME) == size.mib * MIB, since, WITHIN, 0.005)
    if seconds is not None and not same(site, NAME):
        seconds = until(lambda: same(site, NAME), since, WITHIN)
    return Outcome(seconds=seconds)
