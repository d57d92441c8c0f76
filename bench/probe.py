"""Times work on two web roots that lie side by side; runs in a container that mounts both volumes, prints JSON.

python probe.py WORK [COUNT]   MSK and AMS name the two web roots
"""

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

MSK, AMS = Path(os.environ["MSK"]), Path(os.environ["AMS"])
CORNER = "bench"
SIZE = 4096
HOLD_WINDOW = 61.0
"""Seconds after which what was deleted before does not count towards a hold any more (`hold_changes`)."""
LIMIT = 30.0
"""Seconds after which a change counts as missing."""

Result = dict[str, object]


def arrival(path: Path, content: bytes, since: float) -> float | None:
    """Seconds from `since` until `path` holds `content`; None: not within the limit."""
    while True:
        try:
            if path.read_bytes() == content:
                return time.perf_counter() - since
        except OSError:
            pass
        if time.perf_counter() - since > LIMIT:
            return None
        time.sleep(0.0001)


def summary(taken: list[float | None]) -> Result:
    there = sorted(one for one in taken if one is not None)
    at = {f"p{share}": round(1000 * there[min(len(there) - 1, len(there) * share // 100)], 2) for share in (50, 95, 99)}
    return {"ms": at | {"max": round(1000 * there[-1], 2)}, "count": len(taken), "missing": len(taken) - len(there)}


def singles(count: int) -> Result:
    """Single new files at random times, in turns in both directions."""
    rng, taken = random.Random(1), list[float | None]()
    for number in range(count):
        time.sleep(rng.uniform(0.02, 0.2))
        here, there = (MSK, AMS) if number % 2 else (AMS, MSK)
        name, content = f"{CORNER}/single-{number}", rng.randbytes(SIZE)
        with (here / name).open("wb") as file:
            file.write(content)
        taken.append(arrival(there / name, content, time.perf_counter()))
    return summary(taken)


def overwrites(count: int) -> Result:
    """One file overwritten again and again, each time when the last version has arrived."""
    rng, taken = random.Random(2), list[float | None]()
    for _ in range(count):
        time.sleep(rng.uniform(0.02, 0.2))
        content = rng.randbytes(SIZE)
        with (MSK / CORNER / "page").open("wb") as file:
            file.write(content)
        taken.append(arrival(AMS / CORNER / "page", content, time.perf_counter()))
    return summary(taken)


def until(true: Callable[[], bool], since: float) -> float:
    while not true():
        if time.perf_counter() - since > 10 * LIMIT:
            raise SystemExit("the regions do not become identical")
        time.sleep(0.02)  # to list ten thousand names takes the time of some files' way
    return time.perf_counter() - since


def holds(folder: Path, files: dict[str, bytes]) -> bool:
    """Does the folder hold exactly these files? Counted first, because that is cheap to ask again and again."""
    try:
        return len(os.listdir(folder)) == len(files) and all(
            (folder / name).read_bytes() == content for name, content in files.items()
        )
    except OSError:
        return False


def burst(count: int) -> Result:
    """Many new files at once, then their directory renamed, then deleted."""
    rng = random.Random(3)
    files = {f"file-{number}": rng.randbytes(SIZE) for number in range(count)}
    folder, moved = f"{CORNER}/burst", f"{CORNER}/moved"
    began = time.perf_counter()
    (MSK / folder).mkdir()
    for name, content in files.items():
        (MSK / folder / name).write_bytes(content)
    wrote = time.perf_counter() - began
    identical = until(lambda: holds(AMS / folder, files), began)
    began = time.perf_counter()
    (MSK / folder).rename(MSK / moved)
    renamed = until(lambda: holds(AMS / moved, files) and not (AMS / folder).exists(), began)
    time.sleep(HOLD_WINDOW)
    began = time.perf_counter()
    shutil.rmtree(MSK / moved)
    deleted = until(lambda: not (AMS / moved).exists(), began)
    time.sleep(HOLD_WINDOW)  # or the next work's own deletions would be held
    times = {"written": wrote, "identical": identical, "renamed": renamed, "deleted": deleted}
    return {"files": count, "seconds": {what: round(seconds, 3) for what, seconds in times.items()}}


WORK: dict[str, tuple[Callable[[int], Result], int]] = {
    "singles": (singles, 200),
    "overwrites": (overwrites, 100),
    "burst": (burst, 10_000),
}


def main(name: str, count: int | None = None) -> None:
    work, usual = WORK[name]
    for side in (MSK, AMS):
        shutil.rmtree(side / CORNER, ignore_errors=True)
    until(lambda: not (AMS / CORNER).exists() and not (MSK / CORNER).exists(), time.perf_counter())
    (MSK / CORNER).mkdir()
    until((AMS / CORNER).exists, time.perf_counter())
    try:
        print(json.dumps({"work": name, **work(count or usual)}))
    finally:
        shutil.rmtree(MSK / CORNER, ignore_errors=True)
        until(lambda: not (AMS / CORNER).exists(), time.perf_counter())


main(sys.argv[1], *map(int, sys.argv[2:]))
