"""A large file that is cut off goes on where it was: what had arrived is not sent again. Bytes are counted."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.node.test_carry import wire_bytes
from tests.support.asking import wait_for

MIB = 1 << 20
SIZE = 16 * MIB
LIMIT = "8M"
"""A second: else all of it is there before anything can be cut."""
FROM, CHANGED = 2 * MIB, 12 * MIB
"""Where a changed file differs, and in how much."""
SLACK = 2 * MIB
"""What was on its way when it was cut, sums of blocks, frames, SSH's own."""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env["GEOROOT_BWLIMIT"] = LIMIT
        yield made


def content(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def come(ams: Sidecar) -> int:
    """Bytes of it that lie in the state: of what is in transfer, or was."""
    sizes = [0]
    for tree in ("inbox", "partial"):
        for where, _, names in os.walk(ams.state / tree):
            for name in names:
                with suppress(OSError):
                    sizes.append(os.lstat(os.path.join(where, name)).st_size)
    return max(sizes)


def end_those_of(word: str, *, but: int = 0) -> None:
    """Kill what names this on its command line."""
    for name in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            if int(name) not in (os.getpid(), but) and word.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                os.kill(int(name), signal.SIGKILL)


def cut(msk: Sidecar, _ams: Sidecar) -> None:
    for config in ("ssh_config", "ssh_config_bulk"):
        end_those_of(f"{msk.run_dir}/{config}.ams\0-M")


def kill_sender(msk: Sidecar, _ams: Sidecar) -> None:
    msk.kill()
    msk.start()


def kill_receiver(_msk: Sidecar, ams: Sidecar) -> None:
    ams.kill()
    end_those_of(f"{ams.state}/")
    ams.start()


def kill_rsync(_msk: Sidecar, ams: Sidecar) -> None:
    end_those_of(f"{ams.state}/")


Cut = Callable[[Sidecar, Sidecar], None]
CUTS: list[Cut] = [cut, kill_sender, kill_receiver, kill_rsync]


def wire_after(two: Regions, ended: Cut, least: int) -> tuple[int, int]:
    """Cut it when so much has come: how much had, and the bytes on the wire after that until all is there."""
    msk, ams = two.all
    wait_for(lambda: come(ams) >= least, "so much has come")
    ended(msk, ams)
    had, before = come(ams), wire_bytes()
    two.wait_identical()
    return had, wire_bytes() - before


@pytest.mark.parametrize("ended", CUTS)
def test_a_new_file_goes_on_where_it_was_cut_off(two: Regions, ended: Cut) -> None:
    two.start()
    msk, ams = two.all
    (msk.html / "uploads").mkdir()
    (msk.html / "uploads/new.iso").write_bytes(content(1))
    had, wire = wire_after(two, ended, SIZE // 2)
    assert SIZE // 2 <= had < SIZE
    assert wire <= SIZE - had + SLACK
    assert content(1) == (ams.html / "uploads/new.iso").read_bytes()
    assert [] == list((ams.state / "partial/msk").rglob("*")), "nothing of it is left"


@pytest.mark.parametrize("ended", CUTS)
def test_a_changed_file_goes_on_where_it_was_cut_off(two: Regions, ended: Cut) -> None:
    two.start()
    msk, ams = two.all
    old = content(2)
    (msk.html / "video").write_bytes(old)
    two.wait_identical()
    new = old[:FROM] + content(3, CHANGED) + old[FROM + CHANGED :]
    (msk.html / "video").write_bytes(new)
    had, wire = wire_after(two, ended, FROM + CHANGED // 2)
    assert FROM + CHANGED // 2 <= had < FROM + CHANGED
    assert wire <= FROM + CHANGED - had + SLACK
    assert new == (ams.html / "video").read_bytes()
