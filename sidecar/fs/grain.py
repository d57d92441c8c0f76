"""How finely the file system tells two changes apart: kernels from 6.13 on give each looked-at change its own ctime."""

import os
from typing import Final

from sidecar.core.observe import RACY_NS, RACY_WHOLE_SECONDS_NS
from sidecar.fs.faults import NoSpace, about
from sidecar.fs.root import MADE, WebRoot

TRIALS: Final = 64
"""Writes whose times are looked at: a clock that moves with each of them tells every two changes apart."""


def clock_grain_ns(root: WebRoot) -> int:
    """Within this time two changes of a file may get one ctime (ns); 0: every two that were looked at differ.

    On a full disk, where nothing can be tried, the coarse one.

    Raises:
        ReadOnly, Denied: the trial file cannot be written.
    """
    try:
        return _tried(root)
    except NoSpace:
        return RACY_NS


def _tried(root: WebRoot) -> int:
    name = MADE + b"/.grain"
    with about(name):
        fd = root.inbox.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            seen = [_changed(fd) for _ in range(TRIALS)]
        finally:
            os.close(fd)
            with root.inbox.directory(MADE) as directory:
                os.unlink(b".grain", dir_fd=directory)
    if all(at % 1_000_000_000 == 0 for at in seen):
        return RACY_WHOLE_SECONDS_NS
    return 0 if len(set(seen)) == TRIALS else RACY_NS


def _changed(fd: int) -> int:
    os.pwrite(fd, b"x", 0)
    return os.fstat(fd).st_ctime_ns
