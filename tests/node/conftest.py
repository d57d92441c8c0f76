"""Node tests want what the image has: OpenSSH 9.8, rsync 3.5, nc, the gate, and a user that is not root."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.link.keys import GATE
from tests.node.region import Pair

_NEEDED = ("ssh", "ssh-keygen", "rsync", "nc", "/usr/sbin/sshd", GATE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    why = (
        f"no {', '.join(missing)} here"
        if missing
        else "sshd is run by users other than root"
        if not os.getuid()
        else ""
    )
    if why:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(f"{why}: node tests run inside the image"))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    for region in (made.msk, made.ams):
        shutil.rmtree(region.run_dir)
