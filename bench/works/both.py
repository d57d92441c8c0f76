"""Both sides write 200 small files a second each, new ones and overwrites: how long every fifth takes to the other."""

import random
import threading
import time

from bench.outcome import Outcome, Size
from bench.works.site import LIMIT, Side, Site

RATE = 200
BYTES = 4096
COUNTER = 8
"""Bytes at the front of a file that count its versions."""
NAMES = 500
"""Names that a side writes in turns: the first round makes them, the later ones overwrite."""
EVERY = 5
"""One in so many is watched for: to look for all would take more of the machine than some tools do."""


class Watched:
    """A change that is on its way."""

    def __init__(self, there: Side, name: str, number: int, since: float) -> None:
        self.there, self.name, self.number, self.since = there, name, number, since

    def arrived(self) -> bool:
        """It, or what was written over it since."""
        read = self.there.read(self.name)
        return read is not None and len(read) == BYTES and int.from_bytes(read[:COUNTER]) >= self.number


def prepare(site: Site, _size: Size) -> None:
    for here in site.sides:
        for folder in site.sides:
            here.root.joinpath(f"both-{folder.region}").mkdir(exist_ok=True)


def write(here: Side, there: Side, seconds: float, watched: list[Watched]) -> None:
    rng, began = random.Random(here.region), time.perf_counter()
    for number in range(1, int(seconds * RATE) + 1):
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        name = f"both-{here.region}/{number % NAMES}"
        since = here.write(name, number.to_bytes(COUNTER) + rng.randbytes(BYTES - COUNTER))
        if number % EVERY == 0:
            watched.append(Watched(there, name, number, since))


def run(site: Site, size: Size) -> Outcome:
    watched, samples, never = list[Watched](), list[float](), 0
    msk, ams = site.sides
    writers = [
        threading.Thread(target=write, args=(here, there, size.seconds, watched))
        for here, there in ((msk, ams), (ams, msk))
    ]
    for writer in writers:
        writer.start()
    while watched or any(writer.is_alive() for writer in writers):
        for one in tuple(watched):
            if one.arrived():
                samples.append(time.perf_counter() - one.since)
            elif time.perf_counter() - one.since > LIMIT:
                never += 1
            else:
                continue
            watched.remove(one)
        time.sleep(0.0005)
    return Outcome(samples=tuple(samples), never=never)
