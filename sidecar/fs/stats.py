"""What lies somewhere, as it is replicated: the stat of a descriptor or of a name in a directory; when two agree."""

import errno
import os
import stat as modes
from collections.abc import Iterable
from typing import Final, NamedTuple

from sidecar.core.entry import MAX_NS, Kind, Stat
from sidecar.fs import syscalls
from sidecar.fs.faults import GONE, Special
from sidecar.fs.syscalls import Raw

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
        raw = syscalls.statx_if_there(dir_fd, name)
        if raw is None:
            return None
        return stat_of(raw, path, os.readlink(name, dir_fd=dir_fd) if modes.S_ISLNK(raw.mode) else b"")
    except OSError as error:
        # EINVAL: it was a symlink a moment ago
        if error.errno in GONE or error.errno == errno.EINVAL:
            return None
        raise


def is_untouched_file(raw: os.stat_result, expected: Stat) -> bool:
    """Is it the file that was expected, untouched? The birth time is not asked for, as stat(2) does not know it: an
    inode that was given anew has another ctime."""
    return raw.st_ctime_ns == expected.ctime_ns and is_renamed_file(raw, expected)


def is_renamed_file(raw: os.stat_result, expected: Stat) -> bool:
    """The same for what was just renamed by us, which sets the ctime."""
    return (raw.st_ino, raw.st_size, raw.st_mtime_ns, raw.st_mode) == (
        expected.ino,
        expected.size,
        expected.mtime_ns,
        modes.S_IFREG | expected.mode,
    )


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


def kinds_in(fd: int) -> list[tuple[bytes, Kind]]:
    """The names in an open directory and what each is.

    Raises:
        Special: a FIFO, a socket or a device.
    """
    with os.scandir(fd) as entries:
        return [(os.fsencode(entry.name), _kind(entry)) for entry in entries]


def _kind(entry: "os.DirEntry[str]") -> Kind:
    if entry.is_file(follow_symlinks=False):
        return Kind.FILE
    if entry.is_dir(follow_symlinks=False):
        return Kind.DIR
    if entry.is_symlink():
        return Kind.SYMLINK
    raise Special(os.fsencode(entry.name))
