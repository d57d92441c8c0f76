"""Making durable what was renamed into place: every fsync of the package is here, to be run in an executor."""

import errno
import os
from collections.abc import Sequence
from typing import Final

from sidecar.core.paths import RelPath, parent
from sidecar.fs import syscalls
from sidecar.fs.faults import GONE, about
from sidecar.fs.tree import DIRECTORY, Tree

FEW: Final = 16
"""Up to so many entries each is fsynced (0.5 ms beside a busy neighbour, where syncfs takes 13), above it one syncfs
(1.7 ms for 100 files, where their fsyncs take 21)."""


def make_durable(tree: Tree, paths: Sequence[RelPath]) -> None:
    """The content of `paths` and the names in their directories outlive a power loss. Deleted ones are named too.

    A file that a local writer replaced meanwhile is his: what lies there now is synced.

    Raises:
        Denied (EIO: the disk failed), NoSpace: nothing may be called durable.
    """
    if len(paths) > FEW or not all(_sync(tree, path) for path in paths):
        sync_all(tree)
        return
    for directory in {parent(path) for path in paths}:
        if not _sync(tree, directory, DIRECTORY):
            sync_all(tree)
            return


def sync_all(tree: Tree) -> None:
    """One syncfs of the volume. Raises as `make_durable`."""
    with about(b""):
        syscalls.syncfs(tree.fd)


def _sync(tree: Tree, path: RelPath, flags: int | None = None) -> bool:
    with about(path):
        try:
            fd = tree.open_file(path) if flags is None else tree.open(path, flags)
        except OSError as error:
            if error.errno in GONE:
                return True
            if isinstance(error, PermissionError):
                return False
            raise
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a FIFO by now: nothing of it lies on the disk
                raise
        finally:
            os.close(fd)
    return True


def publish(path: str, data: bytes, mode: int = 0o600) -> None:
    """Write a whole file so that a reader, and a reboot, finds the old one or the new one: temp, fsync, rename, fsync.

    Raises:
        Denied, Missing, NoSpace, ReadOnly.
    """
    directory, leaf = os.path.split(path)
    temporary = os.path.join(directory, f".{leaf}.{os.urandom(6).hex()}")
    with about(os.fsencode(path)):
        try:
            _write_synced(temporary, data, mode)
            os.rename(temporary, path)
        except BaseException:
            _unlink_if_there(temporary)
            raise
        fd = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_synced(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(fd, mode)
        os.fsync(fd)


def _unlink_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
