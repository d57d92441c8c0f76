"""One directory tree, read through its descriptor: stats, hashes, targets and listings of what lies beneath it."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.fs import syscalls
from sidecar.fs.digest import hash_fd
from sidecar.fs.faults import GONE, about, translate
from sidecar.fs.lease import open_for_writing
from sidecar.fs.stats import Listing, kinds_in, names_in, stat_at, stat_fd, stats_in
from sidecar.fs.syscalls import O_PATH

LOOK: Final = O_PATH | os.O_NOFOLLOW
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER: Final = O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
HELD: Final = 64
"""Directories that stay open at a time."""
_LONG: Final = 4000
"""A path beneath a deep directory is longer than the kernel takes at once (4095): it is walked in pieces."""


class Tree:
    """A directory beneath which paths are resolved without following a symlink. Holds one descriptor.

    Every method raises `Denied` where the system refuses a path.
    """

    __slots__ = ("_held", "_missing", "_openat2", "fd")

    def __init__(self, fd: int) -> None:
        self.fd: Final = fd
        self._held: dict[bytes, int] | None = None
        self._missing: set[bytes] | None = None
        self._openat2 = _has_openat2(fd)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def open(self, path: bytes, flags: int, mode: int = 0) -> int:
        """Open `path` beneath the tree; `b""` is the tree itself. Raises OSError: the callers translate it."""
        if not self._openat2:
            return self._walk(path, flags, mode)
        if len(path) <= _LONG:
            return syscalls.openat2(self.fd, path or b".", flags, mode)
        at = path.rfind(b"/", 0, _LONG)
        top = syscalls.openat2(self.fd, path[:at], ENTER)
        try:
            return syscalls.openat2(top, path[at + 1 :], flags, mode)
        finally:
            os.close(top)

    def _walk(self, path: bytes, flags: int, mode: int) -> int:
        *above, last = path.split(b"/")
        at = self.fd
        try:
            for part in above:
                below = os.open(part, ENTER, dir_fd=at)
                if at != self.fd:
                    os.close(at)
                at = below
            return os.open(last or b".", flags | os.O_NOFOLLOW, mode, dir_fd=at)
        finally:
            if at != self.fd:
                os.close(at)

    def open_file(self, path: bytes) -> int:
        """A descriptor for reading that neither blocks on a FIFO nor, where we may, moves the access time."""
        try:
            return self.open(path, READ | os.O_NOATIME)
        except PermissionError:
            return self.open(path, READ)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """In the block, directories that were passed stay open: a look costs one call instead of three.

        For some milliseconds of one thread, which does not wait inside. Left: a directory that somebody moves
        meanwhile is still the one that was meant: what is done in it is done as if before the move.
        """
        if self._held is not None:
            yield
            return
        self._held = {}
        try:
            yield
        finally:
            self.let_go()
            self._held = None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """`holding`, for a block that makes no directory: one that was missing is not asked for again in it, so that
        what had lain in a deleted directory costs nothing to look for.

        Left: one that somebody makes meanwhile is missing until the end of the block; its event comes after that.
        """
        with self.holding():
            self._missing = set()
            try:
                yield
            finally:
                self._missing = None

    def let_go(self) -> None:
        """In a `holding` block: a directory was moved or removed, so what is held may go by another name."""
        if self._missing:
            self._missing.clear()
        if self._held:
            for fd in self._held.values():
                os.close(fd)
            self._held.clear()

    def held(self, path: bytes) -> int | None:
        """In a `holding` block: the directory `path`, not to be closed; None: open it yourself. Raises OSError."""
        if not path:
            return self.fd
        if self._held is None:
            return None
        fd = self._held.get(path)
        if fd is None:
            if self._missing is not None and path in self._missing:
                raise FileNotFoundError(errno.ENOENT, "", path)
            if len(self._held) >= HELD:
                return None
            fd = self._held[path] = self._entered(path)
        return fd

    def _entered(self, path: bytes) -> int:
        try:
            return self.open(path, ENTER)
        except FileNotFoundError:
            if self._missing is not None:
                self._missing.add(path)
            raise

    @contextmanager
    def directory(self, path: bytes, flags: int = ENTER) -> Iterator[int]:
        """The directory `path`, open for the block; what goes wrong in it is raised as the typed error of `path`."""
        with about(path):
            held = self.held(path) if flags == ENTER else None
            if held is not None:
                yield held
                return
            fd = self.open(path, flags)
            try:
                yield fd
            finally:
                os.close(fd)

    def lstat(self, path: RelPath) -> Stat | None:
        """What lies at `path`; `None`: nothing, or a directory above it is missing, no directory, or a symlink.

        Raises:
            Special: a FIFO, a socket or a device lies there.
        """
        above, _, leaf = path.rpartition(b"/")
        try:
            held = self.held(above) if leaf else None
            if held is not None:
                return stat_at(held, leaf, path)
            fd = self.open(path, LOOK)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise translate(error, path) from error
        try:
            with about(path):
                return stat_fd(fd, path)
        finally:
            os.close(fd)

    def hash(self, path: RelPath, is_open: Callable[[bool | None], None] | None = None) -> tuple[Stat, bytes]:
        """The xxh128 of a file and its stat; large files belong in an executor (`digest.hash_fd`).

        `is_open` may refuse a file that a local process has open for writing: see `digest.hash_fd`.

        Raises:
            Missing: nothing there. Changed: it changed while it was read, or is no file.
        """
        with about(path):
            fd = self.open_file(path)
            try:
                return hash_fd(fd, path, is_open)
            finally:
                os.close(fd)

    def read(self, path: RelPath) -> bytes:
        """The whole of a small file (an attachment of ours, never a visitor's upload)."""
        with about(path):
            fd = self.open_file(path)
            with open(fd, "rb") as file:
                return file.read()

    def readlink(self, path: RelPath) -> bytes:
        """The target of a symlink. Raises `Missing` when there is none."""
        stat = self.lstat(path)
        if stat is None or stat.kind is not Kind.SYMLINK:
            raise translate(OSError(errno.ENOENT, ""), path)
        return stat.target

    def is_open_for_writing(self, path: RelPath) -> bool | None:
        """Has a local process the file open or mapped for writing? `None`: cannot be told (see `lease`).

        Raises:
            Missing: nothing there, or no regular file.
        """
        with about(path):
            fd = self.open_file(path)
            try:
                return open_for_writing(fd)
            finally:
                os.close(fd)

    def listdir(self, path: RelPath) -> Listing:
        """What lies in a directory. What vanishes between its listing and its stat is left out.

        Raises:
            Missing: no directory there. Denied: it cannot be read.
        """
        with self.directory(path, DIRECTORY) as fd:
            return stats_in(fd, names_in(fd))

    def kinds(self, path: RelPath) -> list[tuple[bytes, Kind]]:
        """The names in a directory and what each is, as its listing says.

        Raises:
            Missing: no directory there. Denied: it cannot be read. Special: a FIFO, a socket or a device is among them.
        """
        with self.directory(path, DIRECTORY) as fd:
            return kinds_in(fd)


def _has_openat2(fd: int) -> bool:
    try:
        os.close(syscalls.openat2(fd, b".", O_PATH))
    except OSError as error:
        # before Linux 5.6, or a seccomp filter that does not know the call
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return False
        raise
    return True
