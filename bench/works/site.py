"""The two web roots as a work sees them, and waiting for one to become like the other."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

LIMIT: Final = 10.0
"""Seconds after which a single change counts as never arrived."""
LOOK: Final = 0.0001
"""Seconds between two looks at one file."""
GLANCE: Final = 0.05
"""Seconds between two looks at a directory of ten thousand names, each of which takes some milliseconds itself."""


class Late(Exception):
    """The trees did not become the same in time."""


class Side:
    """One region's web root."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.root = Path(f"/volumes/{region}/html/bench")
        self._push = f"/homes/{region}/push"
        self.by_hand = Path(f"/homes/{region}/by-hand").exists()
        """Has its way to the other side to be asked for? Then the writing is over before the clock starts."""
        self._pushing: threading.Thread | None = None

    def carry(self) -> None:
        """Have what was written here carried to the other side, if that has to be asked for; returns at once."""
        if self.by_hand:
            self.carried()
            self._pushing = threading.Thread(target=self._ask)
            self._pushing.start()

    def carried(self) -> None:
        """Wait for the end of what carry() began."""
        if self._pushing:
            self._pushing.join()

    def _ask(self) -> None:
        with socket.socket(socket.AF_UNIX) as asked:
            until(lambda: asked.connect_ex(self._push) == 0, time.perf_counter(), LIMIT)  # it may just be starting
            answer = asked.recv(16)
        if answer != b"0":
            print(f"rsync from {self.region} ended with {answer!r}", flush=True)

    def write(self, name: str, content: bytes) -> float:
        """Write a file as most programs do: open, write, close. When it was closed, as time.perf_counter() has it."""
        with (self.root / name).open("wb", buffering=0) as file:
            file.write(content)
            return time.perf_counter()

    def read(self, name: str) -> bytes | None:
        """None: there is no such file."""
        try:
            return (self.root / name).read_bytes()
        except OSError:
            return None

    def count(self, folder: str) -> int:
        """How many names a folder has; -1: there is none."""
        try:
            return len(os.listdir(self.root / folder))
        except OSError:
            return -1

    def holds(self, folder: str, files: Mapping[str, bytes]) -> bool:
        """Exactly these? Counted first: that is cheap to ask again and again."""
        return self.count(folder) == len(files) and all(
            self.read(f"{folder}/{name}") == content for name, content in files.items()
        )


class Site:
    """Both."""

    def __init__(self) -> None:
        self.msk, self.ams = Side("msk"), Side("ams")
        self.sides = (self.msk, self.ams)

    def prepared(self, folder: str, files: Mapping[str, bytes], within: float) -> None:
        """See to it that both sides have this folder and are the same in it, however it was before.

        Raises Late.
        """
        if all(side.holds(folder, files) for side in self.sides):
            return
        here = self.msk
        shutil.rmtree(here.root / folder, ignore_errors=True)
        (here.root / folder).mkdir()
        for name, content in files.items():
            here.write(f"{folder}/{name}", content)
        here.carry()
        if until(lambda: self.ams.holds(folder, files), time.perf_counter(), within) is None:
            raise Late(folder)
        here.carried()


def ignored(_count: int) -> None:
    """Nobody asks how many there were."""


def until(true: Callable[[], bool], since: float, within: float, pause: float = GLANCE) -> float | None:
    """Seconds from `since` until it is true; None: not within the limit."""
    while not true():
        if time.perf_counter() - since > within:
            return None
        time.sleep(pause)
    return time.perf_counter() - since


def identical(
    side: Side,
    folder: str,
    files: Mapping[str, bytes],
    since: float,
    within: float,
    seen: Callable[[int], None] = ignored,
) -> float | None:
    """Seconds from `since` until the folder has exactly these; None: not within the limit.

    They are counted until they are all there, and compared after that moment, as reading ten thousand takes a good part
    of a second; `seen` is told how many there were.
    """

    def counted() -> bool:
        count = side.count(folder)
        seen(count)
        return count == len(files)

    while (seconds := until(counted, since, within, GLANCE)) and seconds <= within:
        if side.holds(folder, files):
            return seconds
        time.sleep(GLANCE)
    return None


def arrival(side: Side, name: str, content: bytes, since: float, within: float) -> float | None:
    """Seconds from `since` until the file holds this; None: not within the limit."""
    return until(lambda: side.read(name) == content, since, within, LOOK)
