"""Random work on both sides of random faults, round after round: after each both regions are identical and silent.

SOAK_MINUTES (10) says for how long, SOAK_SEED which rounds; the seed is shown with what was done.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.compose import Corner, Site, said
from tests.support.faults import Fault, cut, killed, paused, restarting, stopped

MINUTES = float(os.environ.get("SOAK_MINUTES") or "10")
SEED = int(os.environ.get("SOAK_SEED") or time.time())
WORK_SECONDS = (1.0, 6.0)
SILENCE = 1.0

_WORK = """
import contextlib, os, random, shutil, stat, time
rng, until = random.Random({seed!r}), time.monotonic() + {seconds}
def some(kinds):
    walked = [(top, dirs if kinds == "dirs" else files) for top, dirs, files in os.walk(".")]
    found = [os.path.join(top, name) for top, names in walked for name in names]
    return rng.choice(found) if found else "."
def fresh():
    return os.path.join(rng.choice([".", some("dirs")]), f"{{rng.randrange(40)}}")
def write(path, mode):
    with open(path, mode) as file:
        file.write(rng.randbytes(int(rng.paretovariate(0.4)) % 200_000))
def chmod(path, mode):
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.fchmod(fd, mode)
    os.close(fd)
def rmtree(path):
    if path != ".":
        shutil.rmtree(path)
WORK = (
    (12, lambda: write(fresh(), "wb")),
    (6, lambda: write(some("files"), "wb")),
    (3, lambda: write(some("files"), "ab")),
    (6, lambda: os.unlink(some("files"))),
    (4, lambda: os.rename(some("files"), fresh())),
    (2, lambda: os.rename(some("dirs"), fresh())),
    (4, lambda: os.makedirs(os.path.join(fresh(), f"{{rng.randrange(9)}}"))),
    (1, lambda: rmtree(some("dirs"))),
    (2, lambda: chmod(some("files"), rng.choice([0o644, 0o600, 0o755]))),
    (2, lambda: os.symlink(rng.choice(["0", "1/2", "nowhere"]), fresh())),
    (1, lambda: os.utime(some("files"), ns=(0, rng.randrange(10**18)))),
)
weights, works = zip(*WORK)
done = 0
while time.monotonic() < until:
    with contextlib.suppress(OSError, shutil.Error):
        rng.choices(works, weights)[0]()
        done += 1
    time.sleep(rng.expovariate(200))
print(done)
"""


@contextmanager
def nothing(_site: Site) -> Iterator[None]:
    """No fault at all."""
    yield


@contextmanager
def telling(what: str) -> Iterator[None]:
    """A failure says in which round it was."""
    try:
        yield
    except AssertionError as error:
        error.add_note(what)
        raise


FAULTS: tuple[Fault, ...] = (nothing, nothing, killed, restarting, cut, paused, stopped)


def approve(site: Site) -> int:
    """Let through what is held, as an operator would: random work does delete most of the tree at times."""
    site.project.wait_settled()
    held = [(region, hold["id"]) for region in site.project.regions for hold in region.asked.status()["holds"]]
    for region, hold in held:
        said(region.sidecar, "sidecar", "approve", hold)
    return len(held)


def work(corner: Corner, seed: str, seconds: float, counted: list[int]) -> Callable[[], None]:
    """One side's work of a round."""

    def run() -> None:
        counted.append(int(corner.python(_WORK.format(seed=seed, seconds=seconds))))

    return run


def test_random_work_and_faults_leave_both_regions_identical(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    rng, until, counted = random.Random(SEED), time.monotonic() + 60 * MINUTES, list[int]()
    rounds = approved = 0
    record_property("SOAK_SEED", SEED)
    while time.monotonic() < until:
        fault, seconds = rng.choice(FAULTS), rng.uniform(*WORK_SECONDS)
        with telling(f"round {rounds} of seed {SEED}: {fault.__name__}"):
            sides = [
                threading.Thread(target=work(corner, f"{SEED} {rounds} {corner.region.name}", seconds, counted))
                for corner in site.both
            ]
            for side in sides:
                side.start()
            time.sleep(rng.uniform(0, seconds))
            with fault(site):
                time.sleep(rng.uniform(0, seconds))
            for side in sides:
                side.join()
            rounds += 1
            approved += approve(site)
            site.wait_identical(within=120)
            assert rounds * 2 == len(counted)
            before, after = site.project.silent(SILENCE)
            assert before == after
            assert [0, 0] == [region.asked.status()["problem_count"] for region in site.project.regions]
    record_property("rounds", rounds)
    record_property("changes", sum(counted))
    record_property("holds approved", approved)
