"""One directory tree, read through its descriptor: stats, hashes, targets and listings of what lies beneath it."""

import errno
import os
import stat as modes
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import xxhash

from sidecar.core.entry import MAX_NS, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.fs import syscalls
from sidecar.fs.faults import Changed, Special, about, translate
from sidecar.fs.lease import open_for_writing
from sidecar.fs.syscalls import O_PATH, Raw

GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
"""What the system answers when a path, or a directory above it, is not there or is a symlink."""
LOOK: Final = O_PATH | os.O_NOFOLLOW
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER: Final = O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
HELD: Final = 64
"""Directories that stay open at a time."""
_LONG: Final = 4000
"""A path beneath a deep directory is longer than the kernel takes at once (4095): it is walked in pieces."""
_CHUNK: Final = 1 << 20
_BILLION: Final = 1_000_000_000


class Listing(NamedTuple):
    """A directory: `entries` sorted by name; `special` are the names of FIFOs, sockets and devices."""

    entries: list[tuple[bytes, Stat]]
    special: list[bytes]


def stat_of(raw: Raw, path: bytes, target: bytes = b"") -> Stat:
    """What is replicated of `raw`: no size and time of directories, no size and mode of symlinks.

    Raises:
        Special: it is a FIFO, a socket or a device.
    """
    mode = raw.mode
    ctime = _ns(raw.ctime_s, raw.ctime_ns)
    btime = _ns(raw.btime_s, raw.btime_ns) if raw.has_btime else 0
    match modes.S_IFMT(mode):
        case modes.S_IFREG:
            mtime = _ns(raw.mtime_s, raw.mtime_ns)
            return Stat(Kind.FILE, raw.size, mtime, mode & 0o7777, raw.ino, ctime, btime)
        case modes.S_IFDIR:
            return Stat(Kind.DIR, 0, 0, mode & 0o7777, raw.ino, ctime, btime)
        case modes.S_IFLNK:
            mtime = _ns(raw.mtime_s, raw.mtime_ns)
            return Stat(Kind.SYMLINK, 0, mtime, 0, raw.ino, ctime, btime, target)
        case _:
            raise Special(path)


def _ns(seconds: int, ns: int) -> int:
    """A time as it is told: some file systems keep times thousands of years off, which count as the last moment."""
    told = seconds * _BILLION + ns
    return told if -MAX_NS <= told <= MAX_NS else max(-MAX_NS, min(MAX_NS, told))


def stat_fd(fd: int, path: bytes) -> Stat:
    """The stat of an open descriptor, a symlink's (O_PATH) with its target.

    Raises:
        Special: it is a FIFO, a socket or a device.
        OSError: as fstat(2) does.
    """
    raw = syscalls.statx_fd(fd)
    return stat_of(raw, path, os.readlink(b"", dir_fd=fd) if modes.S_ISLNK(raw.mode) else b"")


def stat_at(dir_fd: int, name: bytes, path: bytes) -> Stat | None:
    """The stat of `name` in an open directory; `None` when it is not there."""
    try:
        raw = syscalls.statx(dir_fd, name)
        return stat_of(raw, path, os.readlink(name, dir_fd=dir_fd) if modes.S_ISLNK(raw.mode) else b"")
    except OSError as error:
        # EINVAL: it was a symlink a moment ago
        if error.errno in GONE or error.errno == errno.EINVAL:
            return None
        raise


def same(stat: Stat, expected: Stat) -> bool:
    """Is what lies there untouched since `expected` was noted? Directories by kind, inode and mode alone."""
    if expected.kind is Kind.DIR:
        return (stat.kind, stat.ino, stat.mode) == (expected.kind, expected.ino, expected.mode)
    return stat == expected


def same_after_rename(stat: Stat, expected: Stat) -> bool:
    """The same for what was just renamed by us: a rename sets the ctime, so the ctime says nothing."""
    return stat.kind is expected.kind and same(_without_ctime(stat), _without_ctime(expected))


def _without_ctime(stat: Stat) -> Stat:
    return Stat(stat.kind, stat.size, stat.mtime_ns, stat.mode, stat.ino, 0, 0, stat.target)


def hash_fd(fd: int, path: bytes, is_open: Callable[[bool | None], None] | None = None) -> tuple[Stat, bytes]:
    """xxh128 (16 bytes) of an open file and the stat that it had before and after reading: 20 ms for 256 MiB.

    `is_open` is told whether a local process has it open for writing (`lease`), and may raise: before it is read, to
    save the work, and again between the last byte and the last stat. Only that proves that what was read was closed: a
    writer who comes after the first answer has truncated the file before he writes.

    Left: where the kernel keeps coarse time (before 6.13), two writes within 4 ms look like one; whoever needs to
    know compares the hash again later (`Flag.RACY`).

    Raises:
        Changed: the stat moved while reading, or it is no regular file.
        OSError: as read(2) does.
    """
    if is_open is not None:
        is_open(open_for_writing(fd))
    before = stat_fd(fd, path)
    if before.kind is not Kind.FILE:
        raise Changed(path)
    if before.size <= _CHUNK:
        data = os.pread(fd, before.size, 0)
        total, digest = len(data), xxhash.xxh3_128_digest(data)
    else:
        total, digest = _hash_chunks(fd)
    if is_open is not None:
        is_open(open_for_writing(fd))
    if total != before.size or stat_fd(fd, path) != before:
        raise Changed(path)
    return before, digest


def _hash_chunks(fd: int) -> tuple[int, bytes]:
    state, buffer, total = xxhash.xxh3_128(), bytearray(_CHUNK), 0
    view = memoryview(buffer)
    while length := os.preadv(fd, (buffer,), total):
        state.update(view[:length])
        total += length
    return total, state.digest()


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
        """The xxh128 of a file and its stat; large files belong in an executor (`hash_fd`).

        `is_open` may refuse a file that a local process has open for writing: see `hash_fd`.

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


def names_in(fd: int) -> list[bytes]:
    """The names in an open directory, sorted."""
    return sorted(map(os.fsencode, os.listdir(fd)))


def stats_in(fd: int, names: Iterable[bytes]) -> Listing:
    """The stats of `names` in an open directory."""
    entries: list[tuple[bytes, Stat]] = []
    special: list[bytes] = []
    for name in names:
        try:
            stat = stat_at(fd, name, name)
        except Special:
            special.append(name)
        else:
            if stat is not None:
                entries.append((name, stat))
    return Listing(entries, special)


def _has_openat2(fd: int) -> bool:
    try:
        os.close(syscalls.openat2(fd, b".", O_PATH))
    except OSError as error:
        # before Linux 5.6, or a seccomp filter that does not know the call
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return False
        raise
    return True
