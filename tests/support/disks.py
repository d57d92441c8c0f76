"""A file system of its own for one region's volume, whose quota can be set, or which can fail, while all runs.

A privileged container makes it in a file, on a loop device of the machine, and both go with it.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
import pytest
from docker.models.containers import Container

from tests.support.compose import TEST_IMAGE, Project, idle, new_project, remove, said, two_regions

_MEGABYTES: Final = 256
# detached while it is open, the device is free again when whoever uses it last has ended: however the tests end
_DEVICE: Final = """
truncate -s {size}M /disk
device=$(losetup --find --show /disk)
exec 9<"$device"
sleep infinity >/dev/null 2>&1 &
losetup --detach "$device"
echo "$device"
"""
_MAKE: Final = {
    # once full, a quota of the whole file system cannot be raised (EDQUOT): a subvolume has it
    "btrfs": "mkfs.btrfs -q {device}; mount {device} /mnt; btrfs quota enable /mnt; btrfs subvolume create /mnt/volume;"
    " cd /mnt/volume",
    "ext4": "mkfs.ext4 -q -e remount-ro {device}; mount {device} /mnt; cd /mnt",
}
_MADE: Final = "mkdir html .sidecar; chown -R 33:33 ."
_OPTIONS: Final = {"btrfs": "subvol=volume", "ext4": "rw"}
_VOLUME: Final = """
volumes:
  ams:
    driver: local
    driver_opts: {{ type: {kind}, device: {device}, o: "{options}" }}
"""


@dataclass(frozen=True)
class Disk:
    """The file system that the volume of ams is on."""

    project: Project
    device: str
    _keeper: Container

    def limit(self, size: str) -> None:
        """Its quota, of a btrfs, as that writes it; `none` lifts it."""
        said(self._keeper, "btrfs", "qgroup", "limit", size, "0/256", "/mnt")

    def fail(self) -> None:
        """It finds itself damaged: ext4 takes no write any more, from whatever is open either."""
        said(self._keeper, "sh", "-c", f"echo test >/sys/fs/ext4/{Path(self.device).name}/trigger_fs_error")

    def repair(self) -> None:
        """Checked and mounted again, which takes all that uses it: the region is down meanwhile."""
        users = (self.project.ams.web, self.project.ams.sidecar, self.project.witness)
        for container in users:
            container.stop(timeout=20)
        said(self._keeper, "sh", "-c", f"e2fsck -fy {self.device} || test $? -eq 1")
        for container in reversed(users):
            container.start()


@contextlib.contextmanager
def on_a_disk(kind: str) -> Iterator[Disk]:
    """Two regions, the volume of ams on a file system of its own: btrfs has quotas, ext4 can fail.

    Whoever asks is skipped where the machine has no loop device, or no such file system.
    """
    name, client = new_project(), docker.from_env()
    try:
        keeper = idle(client, name, TEST_IMAGE, {"/dev": "/dev"}, user="0", privileged=True)
        device = _made(keeper, kind)
        if kind == "ext4":
            said(keeper, "umount", "/mnt")  # a repair needs it alone
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as otherwise:
            otherwise.write(_VOLUME.format(kind=kind, device=device, options=_OPTIONS[kind]))
            otherwise.flush()
            with two_regions(otherwise=Path(otherwise.name)) as project:
                yield Disk(project, device, keeper)
    finally:
        remove(client, name)
        client.close()


def _made(keeper: Container, kind: str) -> str:
    """The device of a file system that is mounted on /mnt."""
    done, device = _tried(keeper, _DEVICE.format(size=_MEGABYTES))
    if not done:
        pytest.skip(f"needs a loop device: {device}")
    done, problem = _tried(keeper, f"{_MAKE[kind].format(device=device)}; {_MADE}")
    if not done and kind not in said(keeper, "cat", "/proc/filesystems").split():
        pytest.skip(f"needs {kind}: {problem}")
    assert done, problem
    return device


def _tried(keeper: Container, script: str) -> tuple[bool, str]:
    """Did a script end well, and what did it say?"""
    done = keeper.exec_run(["sh", "-euc", script])
    assert isinstance(done.output, bytes)
    return 0 == done.exit_code, done.output.decode().strip()
