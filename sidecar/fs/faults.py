"""What can go wrong with one path, and the one place where an errno becomes one of these.

GeorootError
├── Retryable
│   └── Raced       a local writer was faster: look again, merge again
│       ├── Missing     the path, or a directory above it, is not there (or is reached through a symlink)
│       ├── Occupied    something lies where nothing was expected
│       ├── NotEmpty    a directory to be removed has something in it
│       ├── Unstaged    staged content is not, or no longer, in the inbox
│       ├── Surprise    something else lies there than was expected
│       └── Changed     a file changed while it was read
└── NeedsHelp
    ├── Denied      this path alone cannot be read, written or replaced
    ├── Special     a FIFO, socket or device: never replicated
    ├── NoSpace     the disk or the quota is full
    └── ReadOnly    the file system is mounted read-only, or became so after an error
"""

import errno
import os
from types import TracebackType
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Stat
from sidecar.errors import GeorootError, NeedsHelp, Retryable

GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
"""What the system answers when a path, or a directory above it, is not there or is a symlink."""


def _name(path: bytes) -> str:
    return paths.shown(path) or "the web root"


class Raced(Retryable):
    """The path is not, or no longer, as it was expected."""

    def __init__(self, path: bytes, problem: str) -> None:
        super().__init__(f"{_name(path)}: {problem}")
        self.path: Final = path


class Missing(Raced):
    """The path or a directory above it is not there."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path, "is not there")


class Occupied(Raced):
    """Something lies where nothing was expected."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path, "something lies there already")


class NotEmpty(Raced):
    """The directory has something in it."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path, "the directory is not empty")


class Unstaged(Raced):
    """What was staged is not in the inbox any more, or something else lies under its name."""

    def __init__(self, name: bytes) -> None:
        super().__init__(name, "the staged content is gone from the inbox")


class Surprise(Raced):
    """`stat` lies there instead of what was expected (`None`: nothing)."""

    def __init__(self, path: bytes, stat: Stat | None) -> None:
        super().__init__(path, "changed before it could be replaced")
        self.stat: Final = stat


class Changed(Raced):
    """The file changed while it was read, or is no file any more."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path, "changed while it was read")


class Denied(NeedsHelp):
    """The system refused this path; everything else goes on."""

    def __init__(self, path: bytes, number: int) -> None:
        super().__init__(f"{_name(path)}: {os.strerror(number)}", _HINTS.get(number, "look at the file system"))
        self.path: Final = path
        self.errno: Final = number


class Special(NeedsHelp):
    """A FIFO, a socket or a device."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{_name(path)}: is a FIFO, a socket or a device", "such files are not replicated")
        self.path: Final = path


class NoSpace(NeedsHelp):
    """The disk or the quota is full."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{_name(path)}: no space left", "free space or raise the quota of the volume")
        self.path: Final = path


class ReadOnly(NeedsHelp):
    """The file system takes no writes."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{_name(path)}: the file system is read-only", "mount the volume read-write; look for errors")
        self.path: Final = path


_HINTS: Final = {
    errno.EACCES: f"give UID {os.getuid()} access, or run sidecar and web server under one UID",
    errno.EPERM: f"give UID {os.getuid()} access, or run sidecar and web server under one UID",
    errno.EXDEV: "another file system is mounted inside the web root; exclude it",
    errno.EBUSY: "something is mounted there; exclude it",
    errno.ENAMETOOLONG: "this file system cannot hold a name that long",
    errno.EINVAL: "this file system cannot hold such a name",
    errno.EILSEQ: "this file system cannot hold such a name",
    errno.EIO: "the disk reports errors; look at the kernel's log",
    errno.EMFILE: "raise the limit on open files",
    errno.ENFILE: "raise the limit on open files",
}


def translate(error: OSError, path: bytes) -> GeorootError:
    """The typed error for what the system answered about `path`."""
    number = error.errno or errno.EIO
    match number:
        case _ if number in GONE:
            return Missing(path)
        case errno.EEXIST:
            return Occupied(path)
        case errno.ENOTEMPTY:
            return NotEmpty(path)
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpace(path)
        case errno.EROFS:
            return ReadOnly(path)
        case _:
            return Denied(path, number)


class about:  # noqa: N801 - `with about(path)` is read as a word, not as a class
    """`with about(path):` turns every OSError into the typed error of that path."""

    __slots__ = ("_path",)

    def __init__(self, path: bytes) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise translate(error, self._path) from error
