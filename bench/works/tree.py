"""The same tree of small files on both sides, a hundred to a directory: made before anything runs."""

import os
import random
from pathlib import Path

from bench.outcome import Outcome, Size
from bench.works.site import Site

IN_A_DIRECTORY = 100
BYTES = 200
WRITTEN = 1_700_000_000
"""Its mtime, in seconds: the same on both sides, and long ago."""


def run(site: Site, size: Size) -> Outcome:
    for side in site.sides:
        make(side.root.parent, size.files)
    return Outcome()


def make(root: Path, count: int) -> None:
    """Of `count` files beneath `root`/tree."""
    rng = random.Random(5)
    for first in range(0, count, IN_A_DIRECTORY):
        number = first // IN_A_DIRECTORY
        folder = f"{root}/tree/{number // IN_A_DIRECTORY}/{number}"
        os.makedirs(folder)
        for name in range(min(IN_A_DIRECTORY, count - first)):
            with open(f"{folder}/{name}", "wb", buffering=0) as file:
                file.write(rng.randbytes(BYTES))
                os.utime(file.fileno(), (WRITTEN, WRITTEN))
        os.utime(folder, (WRITTEN, WRITTEN))
