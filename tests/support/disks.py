"""A file system of its own for one region's volume, which can fail while all runs.

A privileged container makes it in a file, on a loop device of the machine, and goes with it.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
from docker.models.containers import Container

from tests.support.compose import TEST_IMAGE, Project, idle, new_project, remove, said, two_regions

_MEGABYTES: Final = 256
_MAKE: Final = "mkfs.ext4 -q -e remount-ro {device} && mount {device} /mnt"
_MADE: Final = "mkdir /mnt/html /mnt/.sidecar && chown -R 33:33 /mnt"
_VOLUME: Final = """
volumes:
  ams:
    driver: local
    driver_opts: {{ type: ext4, device: {device} }}
"""


@dataclass(frozen=True)
class Disk:
    """The file system that the volume of ams is on."""

    project: Project
    device: str
    _keeper: Container

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
def on_a_disk() -> Iterator[Disk]:
    """Two regions, the volume of ams on an ext4 of its own."""
    name, client = new_project(), docker.from_env()
    try:
        keeper = idle(client, name, TEST_IMAGE, {"/dev": "/dev"}, user="0", privileged=True)
        said(keeper, "truncate", "-s", f"{_MEGABYTES}M", "/disk")
        device = said(keeper, "losetup", "--find", "--show", "/disk").strip()
        try:
            said(keeper, "sh", "-euc", f"{_MAKE.format(device=device)}; {_MADE}; umount /mnt")
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as otherwise:
                otherwise.write(_VOLUME.format(device=device))
                otherwise.flush()
                with two_regions(otherwise=Path(otherwise.name)) as project:
                    yield Disk(project, device, keeper)
        finally:
            said(keeper, "losetup", "--detach", device)
    finally:
        remove(client, name)
        client.close()
