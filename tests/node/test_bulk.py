"""Large files go over a connection of their own: a small one does not wait behind what the other has taken."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for

MIB = 1 << 20


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env["GEOROOT_BWLIMIT"] = "4M"
        made.start()
        yield made


def over(one: Sidecar, config: str) -> list[list[bytes]]:
    """The words of what runs over the connection that has this configuration."""
    wanted, found = f"{one.run_dir}/{config}.".encode(), list[list[bytes]]()
    for name in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            line = Path(f"/proc/{int(name)}/cmdline").read_bytes()
            if wanted in line:
                found.append(line.split(b"\0"))
    return found


def test_a_large_file_has_a_connection_of_its_own(two: Regions) -> None:
    msk, _ = two.all
    assert [] == over(msk, "ssh_config_bulk"), "there is none before it is needed"
    (msk.html / "video").write_bytes(os.urandom(16 * MIB))
    wait_for(lambda: [words for words in over(msk, "ssh_config_bulk") if words[0] == b"rsync"], "it is on its way")
    assert any(b"-M" in words for words in over(msk, "ssh_config_bulk"))
    assert not [words for words in over(msk, "ssh_config") if any(word.startswith(b"--block-size") for word in words)]
    two.wait_identical()


def test_a_large_file_comes_though_its_connection_is_killed(two: Regions) -> None:
    msk, _ = two.all
    for name, size in (("video", 16), ("later", 9)):
        (msk.html / name).write_bytes(os.urandom(size * MIB))
        wait_for(lambda: [words for words in over(msk, "ssh_config_bulk") if words[0] == b"rsync"], "it is on its way")
        killed = 0
        for process in os.listdir("/proc"):
            with suppress(OSError, ValueError):
                words = Path(f"/proc/{int(process)}/cmdline").read_bytes().split(b"\0")
                if f"{msk.run_dir}/ssh_config_bulk.ams".encode() in words and b"-M" in words:
                    os.kill(int(process), 9)
                    killed += 1
        assert killed
        two.wait_identical()
    assert "connection of large files down" in msk.said()
    assert "link down" not in msk.said(), "the other connection lives"
