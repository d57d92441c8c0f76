"""One file overwritten again and again, when the last version has arrived; what a reader of the copy meets."""

import collections
import random
import time

from bench.outcome import Outcome, Size
from bench.works.site import LIMIT, LOOK, Site

NAME = "page"
BYTES = 4096


def prepare(site: Site, _size: Size) -> None:
    site.prepared("overwrites", {NAME: bytes(BYTES)}, LIMIT)


def run(site: Site, size: Size) -> Outcome:
    rng, samples, never = random.Random(2), list[float](), 0
    met = collections.Counter(reads=0, missing=0, empty=0, torn=0)
    old, path, end = bytes(BYTES), f"overwrites/{NAME}", time.monotonic() + size.budget
    versions = {old}

    def look() -> bytes | None:
        read = site.ams.read(path)
        met["reads"] += 1
        met["missing"] += read is None
        met["empty"] += read == b""
        met["torn"] += bool(read) and read not in versions
        return read

    for _ in range(size.overwrites):
        pause = time.perf_counter() + rng.uniform(0.02, 0.2)
        while time.perf_counter() < pause:
            look()
            time.sleep(LOOK)
        new = rng.randbytes(BYTES)
        versions.add(new)
        since = site.msk.write(path, new)
        site.msk.carry()
        while (there := look() == new) is False and time.perf_counter() - since < LIMIT:
            time.sleep(LOOK)
        if there:
            samples.append(time.perf_counter() - since)
        else:
            never += 1
        site.msk.carried()
        if time.monotonic() > end:
            break
    return Outcome(samples=tuple(samples), never=never, counts=dict(met))
