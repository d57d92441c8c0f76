"""A web root with its state on a real file system, and the small tools that the tests of `sidecar.fs` share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.paths import RelPath
from sidecar.fs.root import WebRoot


class Site:
    """The directories on the disk, and the web root that is tested."""

    def __init__(self, volume: Path, root: WebRoot) -> None:
        self.volume = volume
        self.html = volume / "html"
        self.state = volume / ".sidecar"
        self.root = root

    def write(self, path: str, data: str = "x", mode: int = 0o644) -> RelPath:
        """A local writer writes a file."""
        target = self.html / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(data)
        target.chmod(mode)
        return RelPath(os.fsencode(path))

    def deliver(self, name: str, data: str = "new") -> RelPath:
        """A peer's rsync drops a file into the inbox."""
        target = self.state / "inbox" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(data)
        target.chmod(0o600)
        return RelPath(os.fsencode(name))

    def read(self, path: str) -> str:
        """What a visitor sees."""
        return (self.html / path).read_text()


def open_site(volume: Path) -> Site:
    (volume / "html").mkdir()
    state = volume / ".sidecar"
    return Site(volume, WebRoot(str(volume / "html"), str(state), str(state / "inbox")))


@pytest.fixture(params=["openat2", "walk"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Both ways of resolving a path: openat2, and the walk where the kernel or a seccomp filter lacks it."""
    made = open_site(tmp_path)
    if request.param == "walk":
        root = made.root
        for tree in (root, root.state, root.inbox, root.trash, root.conflicts, root.outbox, root.partial):
            tree._openat2 = False
    with made.root:
        yield made
