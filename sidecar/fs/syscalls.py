"""System calls that Python lacks: openat2, renameat2, statx, syncfs, fstatfs; glibc's malloc_trim. Linux on amd64 and
arm64."""

import ctypes
import errno
import os
import struct
from typing import Final, NamedTuple

_libc: Final = ctypes.CDLL(None, use_errno=True)

_OPENAT2: Final = 437
"""The number is the same on amd64 and arm64; neither glibc has a wrapper."""
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
FICLONE: Final = 0x40049409
O_PATH: Final = os.O_PATH | os.O_CLOEXEC

_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EMPTY_PATH: Final = 0x1000
_STATX_WANTED: Final = 0x7FF | 0x800  # basic stats and btime
_STATX_BTIME: Final = 0x800
_STATX_SIZE: Final = 256
_STATX: Final = struct.Struct("=I12xIIIH2xQQ32xqI4xqI4xqI4x")

_STATFS_SIZE: Final = 120


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_StatxBuffer = ctypes.c_char * _STATX_SIZE

_syscall = _libc.syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
_syscall.restype = ctypes.c_long
_renameat2 = _libc.renameat2
_renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
_statx = _libc.statx
_statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
_syncfs = _libc.syncfs
_syncfs.argtypes = [ctypes.c_int]
_fstatfs = _libc.fstatfs
_fstatfs.argtypes = [ctypes.c_int, ctypes.c_void_p]
_malloc_trim = _libc.malloc_trim
_malloc_trim.argtypes = [ctypes.c_size_t]


class Raw(NamedTuple):
    """What statx says, times in seconds and nanoseconds; `mask` tells whether `btime` is known."""

    mask: int
    nlink: int
    uid: int
    gid: int
    mode: int
    ino: int
    size: int
    btime_s: int
    btime_ns: int
    ctime_s: int
    ctime_ns: int
    mtime_s: int
    mtime_ns: int

    @property
    def has_btime(self) -> bool:
        """Does the file system know when the inode was made?"""
        return bool(self.mask & _STATX_BTIME)


_raw = Raw._make
_hows: dict[tuple[int, int], tuple[_How, int]] = {}


def _failed(name: bytes) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)


def openat2(dir_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open `path` beneath `dir_fd`, through no symlink on the way; of the last name as `flags` say.

    Raises:
        OSError: ELOOP for a symlink met, ENOSYS or EPERM where the kernel or a seccomp filter lacks the call.
    """
    known = _hows.get((flags, mode))
    if known is None:
        how = _How(flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
        known = _hows[(flags, mode)] = (how, ctypes.addressof(how))
    while True:
        fd: int = _syscall(_OPENAT2, dir_fd, path, known[1], 24)
        if fd >= 0:
            return fd
        if ctypes.get_errno() not in (errno.EINTR, errno.EAGAIN):
            raise _failed(path)


def renameat2(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
    """Rename with `RENAME_NOREPLACE` or `RENAME_EXCHANGE`; `old` and `new` are single names in the two directories."""
    if _renameat2(from_fd, old, to_fd, new, flags):
        raise _failed(new)


def statx(dir_fd: int, name: bytes) -> Raw:
    """What `name` in the directory is, a symlink itself included."""
    buffer = _StatxBuffer()
    if _statx(dir_fd, name, _AT_SYMLINK_NOFOLLOW, _STATX_WANTED, buffer):
        raise _failed(name)
    return _raw(_STATX.unpack_from(buffer))


def statx_if_there(dir_fd: int, name: bytes) -> Raw | None:
    """The same; `None` where there is nothing (ENOENT), which is told thousands of times of what was deleted."""
    buffer = _StatxBuffer()
    if _statx(dir_fd, name, _AT_SYMLINK_NOFOLLOW, _STATX_WANTED, buffer):
        if ctypes.get_errno() == errno.ENOENT:
            return None
        raise _failed(name)
    return _raw(_STATX.unpack_from(buffer))


def statx_fd(fd: int) -> Raw:
    """What the open descriptor is (one opened with O_PATH too)."""
    buffer = _StatxBuffer()
    if _statx(fd, b"", _AT_EMPTY_PATH, _STATX_WANTED, buffer):
        raise _failed(b"")
    return _raw(_STATX.unpack_from(buffer))


def syncfs(fd: int) -> None:
    """Write back the whole file system that `fd` lies on."""
    if _syncfs(fd):
        raise _failed(b"")


def filesystem_magic(fd: int) -> int:
    """The f_type of statfs(2) for the file system that `fd` lies on."""
    buffer = (ctypes.c_char * _STATFS_SIZE)()
    while _fstatfs(fd, buffer):
        if ctypes.get_errno() != errno.EINTR:
            raise _failed(b"")
    return int.from_bytes(buffer.raw[:8], "little") & 0xFFFFFFFF


def malloc_trim() -> None:
    """Give what was freed back to the kernel, page by page: by itself glibc gives back the end of its heap alone."""
    _malloc_trim(0)
