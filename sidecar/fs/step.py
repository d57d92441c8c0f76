"""One rename(2) between two open directories, and the small checks around it."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.fs import syscalls
from sidecar.fs.faults import Special, Surprise, about, translate
from sidecar.fs.stats import is_untouched_file, same, stat_at
from sidecar.fs.tree import DIRECTORY, ENTER, LOOK, READ, Tree

_U_W: Final = 0o200
_CANNOT_KEEP: Final = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL))
OPENING: Final = {Kind.FILE: READ, Kind.DIR: DIRECTORY, Kind.SYMLINK: LOOK}


class spot(about):  # noqa: N801 - `with spot(tree, path) as …`, as `about`: thousands of times a second
    """The directory that holds `path`, open for the block, and the last name; errors are those of `path`."""

    __slots__ = ("_fd", "_tree")

    def __init__(self, tree: Tree, path: RelPath) -> None:
        super().__init__(path)
        self._tree = tree
        self._fd = -1

    def __enter__(self) -> tuple[int, bytes]:  # type: ignore[override]
        above, _, leaf = self._path.rpartition(b"/")
        try:
            held = self._tree.held(above)
            if held is None:
                held = self._fd = self._tree.open(above, ENTER)
        except OSError as error:
            raise translate(error, self._path) from error
        return held, leaf

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        super().__exit__(kind, error, at)


def look(dir_fd: int, leaf: bytes, path: RelPath) -> Stat | None:
    """What lies there; `None` for nothing and for special files too."""
    try:
        return stat_at(dir_fd, leaf, path)
    except Special:
        return None


def expect(dir_fd: int, leaf: bytes, path: RelPath, expected: Stat) -> None:
    """Raises `Surprise` unless `expected` lies there untouched."""
    if expected.kind is Kind.FILE and _is_untouched_file(dir_fd, leaf, expected):
        return
    found = look(dir_fd, leaf, path)
    if found is None or not same(found, expected):
        raise Surprise(path, found)


def _is_untouched_file(dir_fd: int, leaf: bytes, expected: Stat) -> bool:
    # os.stat costs a third of statx by ctypes; what it does not know of, the other look tells
    try:
        return is_untouched_file(os.stat(leaf, dir_fd=dir_fd, follow_symlinks=False), expected)
    except OSError:
        return False


def expect_inode(dir_fd: int, leaf: bytes, path: RelPath, expected: Stat) -> None:
    """Raises `Surprise` unless the same inode lies there, whatever was done to it."""
    found = look(dir_fd, leaf, path)
    if found is None or found.ino != expected.ino:
        raise Surprise(path, found)


def rename(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
    """renameat2 between two open directories (see `with_write`)."""
    try:
        syscalls.renameat2(from_fd, old, to_fd, new, flags)
        return
    except PermissionError:
        moved = ((from_fd, old), (to_fd, new)) if from_fd != to_fd else ()
    with_write(lambda: syscalls.renameat2(from_fd, old, to_fd, new, flags), (from_fd, to_fd), moved)


def with_write(
    call: Callable[[], None], directories: tuple[int, ...], moved: tuple[tuple[int, bytes], ...] = ()
) -> None:
    """Do `call`; where it is refused, a directory of ours that lacks u+w gets it for the step and its mode back.

    Left: kill -9 between the two leaves such a directory with u+w, which then counts as a local change of its mode.
    """
    try:
        call()
    except PermissionError as error:
        if error.errno != errno.EACCES:
            raise
        with _writable(error, directories, moved):
            call()


@contextmanager
def _writable(
    refused: PermissionError, directories: tuple[int, ...], moved: tuple[tuple[int, bytes], ...]
) -> Iterator[None]:
    """Our own ones among the open `directories`, and `moved` directories (their `..` is written), get u+w meanwhile.

    Raises `refused` again when none of them is what stood in the way.
    """
    opened = [fd for at, leaf in moved if (fd := _own_directory(at, leaf)) is not None]
    changed: list[tuple[int, int]] = []
    try:
        for fd in (*directories, *opened):
            raw = syscalls.statx_fd(fd)
            if raw.uid == os.geteuid() and not raw.mode & _U_W:
                chmod_fd(fd, raw.mode & 0o7777 | _U_W)
                changed.append((fd, raw.mode & 0o7777))
        if not changed:
            raise refused
        yield
    finally:
        for fd, mode in reversed(changed):
            chmod_fd(fd, mode)
        for fd in opened:
            os.close(fd)


def _own_directory(dir_fd: int, leaf: bytes) -> int | None:
    try:
        return os.open(leaf, LOOK | os.O_DIRECTORY, dir_fd=dir_fd)
    except OSError:
        return None


def chmod_fd(fd: int, mode: int) -> None:
    """Set the mode through a descriptor of any kind (fchmod refuses those opened with O_PATH)."""
    os.chmod(b"/proc/self/fd/%d" % fd, mode)


def utime_fd(fd: int, mtime_ns: int) -> None:
    """Set mtime (and atime) through a descriptor of any kind, a symlink's too; whole nanoseconds."""
    os.utime(b"/proc/self/fd/%d" % fd, ns=(mtime_ns, mtime_ns))


def _utime_file(fd: int, mtime_ns: int) -> None:
    os.utime(fd, ns=(mtime_ns, mtime_ns))


def dress(fd: int, kind: Kind, mode: int, mtime_ns: int) -> None:
    """Give staged content of ours its mode and mtime as far as the volume keeps them; its stat tells how far."""
    if kind is Kind.FILE:  # its descriptor is none of O_PATH, as a directory's may be
        _as_far_as_kept(os.fchmod, fd, mode)
        _as_far_as_kept(_utime_file, fd, mtime_ns)
        return
    if kind is not Kind.SYMLINK:
        _as_far_as_kept(chmod_fd, fd, mode)
    if kind is not Kind.DIR:
        _as_far_as_kept(utime_fd, fd, mtime_ns)


def _as_far_as_kept(call: Callable[[int, int], None], fd: int, value: int) -> None:
    try:
        call(fd, value)
    except OSError as error:
        if error.errno not in _CANNOT_KEEP:
            raise
