"""The longest paths, of which no system call takes the whole, and longer ones."""

import os
from pathlib import Path

import pytest

from tests.node.sidecars import Sidecar, regions
from tests.support.asking import wait_for

LONGEST = 4095
"""Bytes of a path beneath the web root."""


def deepen(top: Path, length: int) -> None:
    """Make directories and a file whose path beneath `top` has `length` bytes."""
    at, left = os.open(top, os.O_RDONLY | os.O_DIRECTORY), length
    while left > 255:
        size = min(200, left - 2)
        name = f"{length}".ljust(size, "d")
        os.mkdir(name, dir_fd=at)
        within = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at, left = within, left - size - 1
    with open("f" * left, "w", opener=lambda name, flags: os.open(name, flags, 0o644, dir_fd=at)) as file:
        file.write(f"{length} bytes")
    os.close(at)


def deep(top: Path) -> dict[int, str]:
    """What the files beneath hold, by the length of their paths."""
    found = dict[int, str]()
    for where, _, names, at in os.fwalk(top):
        for name in names:
            with open(name, opener=lambda name, flags, at=at: os.open(name, flags, dir_fd=at)) as file:  # type: ignore[misc]
                found[len(os.path.join(where, name)) - len(f"{top}/")] = file.read()
    return found


def too_long(one: Sidecar) -> list[dict[str, str]]:
    return [it for it in one.status().get("problems", ()) if f"longer than {LONGEST} bytes" in " ".join(it.values())]


@pytest.mark.parametrize("down", [False, True])
def test_the_longest_paths_arrive_and_longer_ones_are_told_and_hold_up_nothing(tmp_path: Path, down: bool) -> None:
    lengths = (LONGEST // 2, LONGEST - 1, LONGEST)
    with regions(tmp_path, "msk", "ams") as pair:
        msk, ams = pair.all
        if not down:
            pair.start()
        for length in (*lengths, LONGEST + 1, LONGEST + 300):
            deepen(msk.html, length)
        for one in pair.all if down else ():
            one.start()
        (msk.html / "after").write_text("after")
        expected = {length: f"{length} bytes" for length in lengths} | {len("after"): "after"}
        wait_for(lambda: expected == deep(ams.html), "what is not too long", 30.0)
        wait_for(lambda: {"4096", "4395"} == {it["path"][:4] for it in too_long(msk)}, "both are told", 30.0)
        os.rename(msk.html / "after", msk.html / "still")
        wait_for((ams.html / "still").exists, "it goes on")
        assert msk.running and ams.running
