"""Deploys of releases/N with a symlink `current`, and a visitor who follows it.

The standard library alone: it runs inside a container, by its source, in the directory of one region:
`deploy HOW COUNT PAUSE BASE` or `visit LAST WITHIN`. A release is SMALL files and a large one, whose bytes name it.
"""

import ctypes
import datetime as dt
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator

SMALL = 150
LARGE = 3_000_000
KEPT = 3
"""Releases that are there after a deploy."""
LINKED_AFTER = (0.5, 0.0, 0.1, 1.0)
"""Seconds for which `current` leads to a directory, release by release, before that is linked."""
NAMES = [f"part-{number % 10}/page-{number}" for number in range(SMALL)]
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def content(release: int, name: str) -> bytes:
    """What a file of a release holds."""
    line = f"{release} {name}\n".encode()
    size = LARGE if name == "large" else 200 + 37 * (len(name) + release + sum(name.encode()) % 100)
    return (line * (size // len(line) + 1))[:size]


def fill(directory: str, release: int) -> None:
    """All files of a release."""
    for name in [*NAMES, "large"]:
        path = f"{directory}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content(release, name))


def swap(target: str) -> None:
    """`current` leads to another release, by one rename."""
    os.symlink(target, "current.new")
    os.rename("current.new", "current")


def deploy(how: str, release: int, base: str) -> None:
    """One deploy: `in-place` or `moved`; with an `absolute` symlink beneath `base`; or `linked`: the release that
    `current` leads to is turned into a symlink to a copy of it, at once or when visitors elsewhere follow it."""
    where = f"releases/{release}"
    if how == "moved":
        fill(f"tmp-{release}", release)
        os.rename(f"tmp-{release}", where)
    else:
        fill(where, release)
    if how == "linked":
        shutil.copytree(where, f"store/{release}")
    swap(f"{base}/{where}" if how == "absolute" else where)
    if how == "linked":
        time.sleep(LINKED_AFTER[release % len(LINKED_AFTER)])
        os.symlink(f"../store/{release}", f"releases/{release}.new")
        libc = ctypes.CDLL(None, use_errno=True)
        paths = (os.fsencode(f"{where}.new"), os.fsencode(where))
        if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE):
            raise OSError(ctypes.get_errno(), "renameat2")
        shutil.rmtree(f"{where}.new")


def remove(how: str, release: int) -> None:
    """An old release goes."""
    if how == "linked":
        os.unlink(f"releases/{release}")
        shutil.rmtree(f"store/{release}")
    else:
        shutil.rmtree(f"releases/{release}")


def deploys(how: str, count: int, pause: float, base: str) -> None:
    """One deploy after another, each `pause` seconds after the last began, or at once when it is late."""
    os.makedirs("releases", exist_ok=True)
    began = time.monotonic()
    for release in range(1, count + 1):
        deploy(how, release, base)
        if release > KEPT:
            remove(how, release - KEPT)
        time.sleep(max(0.0, began + release * pause - time.monotonic()))


class Visitor:
    """Follows `current` in a tight loop, and notes everything that no author ever showed."""

    def __init__(self) -> None:
        self.reads = self.visits = self.at = 0
        self.seen = set[int]()
        self.wrong = list[str]()

    def visit(self, last: int, within: float) -> None:
        """Until the last release has been there for a second."""
        deadline = time.monotonic() + within
        until = deadline
        for name in self._names():
            if time.monotonic() > until:
                break
            self._read(name)
            if self.at == last:
                until = min(until, time.monotonic() + 1)
                last = -1
        if last != -1:
            self.wrong.append(f"release {last} is not here after {within} s, but {self.at}")

    def _names(self) -> Iterator[str]:
        """Pages of `current` one by one, now and then the large one, now and then a whole release."""
        while True:
            yield from NAMES
            yield "large"
            self._whole()

    def _read(self, name: str) -> None:
        try:
            with open(f"current/{name}", "rb") as file:
                data = file.read()
        except OSError as error:
            if self.at or os.path.lexists("current"):
                self._complain(f"{name}: {error.strerror}")
            else:
                time.sleep(0.001)
            return
        self.reads += 1
        self._judge(name, data, least=self.at)

    def _judge(self, name: str, data: bytes, least: int) -> None:
        found = re.match(rb"(\d+) ", data)
        release = int(found[1]) if found else 0
        if data != content(release, name):
            self._complain(f"{name}: torn, {len(data)} bytes: {data[:30]!r}")
        elif release < least:
            self._complain(f"{name}: back from release {least} to {release}")
        else:
            self.at = release
            self.seen.add(release)

    def _whole(self) -> None:
        """Every file of the release that is current, by its own name; counts if it is still one of the newest then."""
        try:
            where = os.readlink("current")
        except OSError:
            return
        release, missing = int(where.rpartition("/")[2]), list[str]()
        for name in NAMES:
            try:
                with open(f"releases/{release}/{name}", "rb") as file:
                    if file.read() != content(release, name):
                        missing.append(f"{name}: mixed")
            except OSError as error:
                missing.append(f"{name}: {error.strerror}")
        if int(os.readlink("current").rpartition("/")[2]) < release + KEPT - 1:
            self.visits += 1
            for one in missing[:3]:
                self._complain(f"in releases/{release}: {one}")

    def _complain(self, what: str) -> None:
        self.wrong.append(f"{dt.datetime.now(dt.UTC).time()} at {self.at}: {what}")

    def report(self) -> dict[str, object]:
        """What it met."""
        found = {"reads": self.reads, "visits": self.visits, "releases": len(self.seen), "count": len(self.wrong)}
        return {**found, "wrong": self.wrong[:20]}


if __name__ == "__main__":
    os.umask(0o022)
    if sys.argv[1] == "deploy":
        deploys(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
    else:
        visitor = Visitor()
        visitor.visit(int(sys.argv[2]), float(sys.argv[3]))
        json.dump(visitor.report(), sys.stdout)
