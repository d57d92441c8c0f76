"""What waits in the inbox to be placed: files that peers delivered, and what this node makes itself in `.made`."""

import errno
import fcntl
import os
import stat as modes
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath, join, name, parent
from sidecar.fs import syscalls
from sidecar.fs.digest import hash_bytes, hash_fd
from sidecar.fs.faults import Changed, Missing, Raced, Unstaged, about
from sidecar.fs.lease import open_for_writing
from sidecar.fs.root import AHEAD, ENCLOSED, MADE, WebRoot
from sidecar.fs.stats import stat_at, stat_fd
from sidecar.fs.tree import DIRECTORY, ENTER, Tree

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_REFLINK: Final = frozenset((errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS))
_COPY_STEP: Final = 1 << 30
_ENTERED: Final = modes.S_IWUSR | modes.S_IXUSR
"""what a directory of ours must grant to be emptied"""


class Staged(msgspec.Struct, frozen=True, array_like=True):
    """Content in the inbox: `name` beneath it, what it is, and the xxh128 of a file. Holds no descriptor."""

    name: RelPath
    stat: Stat
    hash: bytes = b""


def stage_file(root: WebRoot, staged: RelPath) -> Staged:
    """A regular file that a peer delivered as `<region>/<batch>/<path>`, hashed now.

    Raises:
        Unstaged: not there (yet), no regular file, still changing, or open for writing: an rsync that goes on with a
            file writes to it in place.
    """

    def refuse(is_open: bool | None) -> None:
        if is_open:
            raise Unstaged(staged)

    try:
        stat, digest = root.inbox.hash(staged, refuse)
    except Raced as error:
        raise Unstaged(staged) from error
    return Staged(staged, stat, digest)


def stage_bytes(root: WebRoot, content: bytes, digest: bytes) -> tuple[bytes, int]:
    """A small file that came in a frame; its name in the corner `ENCLOSED` of the inbox, and its inode.

    Raises:
        Unstaged: the bytes have another hash. NoSpace, ReadOnly: nothing is left of it.
    """
    leaf = os.urandom(8).hex().encode()
    path = join(RelPath(ENCLOSED), leaf)
    if hash_bytes(content) != digest:
        raise Unstaged(path)
    with root.inbox.directory(RelPath(ENCLOSED)) as directory, about(path):
        fd = os.open(leaf, _CREATE, 0o600, dir_fd=directory)
        try:
            written = os.write(fd, content)
            while written < len(content):
                written += os.write(fd, content[written:])
            return leaf, os.fstat(fd).st_ino
        except BaseException:
            os.unlink(leaf, dir_fd=directory)
            raise
        finally:
            os.close(fd)


def stage_symlink(root: WebRoot, target: bytes) -> Staged:
    """A symlink to be placed; its mtime is set by `place`."""
    fresh = _fresh()
    with root.inbox.directory(parent(fresh)) as fd, about(fresh):
        os.symlink(target, name(fresh), dir_fd=fd)
        return _made(fd, fresh)


def stage_dir(root: WebRoot) -> Staged:
    """An empty directory to be filled (`within=`) and then placed; its mode is set by `place`."""
    fresh = _fresh()
    with root.inbox.directory(parent(fresh)) as fd, about(fresh):
        os.mkdir(name(fresh), 0o700, dir_fd=fd)
        return _made(fd, fresh)


def stage_copy(root: WebRoot, source: Tree, path: RelPath) -> Staged:
    """A copy (a reflink where the file system can) of a file of any tree, hashed: never a hard link. For an executor.

    The hash is that of the copy: the caller compares it with the one it needs.

    Raises:
        Missing: nothing at `path`. Changed: it is no file, or changed while it was copied. NoSpace.
    """
    fresh = _fresh()
    _, stat, digest = _copy(source, path, root.inbox, fresh)
    return Staged(fresh, stat, digest)


def copy_ahead(root: WebRoot, source: Tree, path: RelPath) -> Staged:
    """A copy as `stage_copy` makes it, to be placed when it is `adopt`ed, and not before. For an executor.

    Raises:
        Missing, Changed, NoSpace: as `stage_copy`.
    """
    ahead = join(RelPath(AHEAD), name(_fresh()))
    _, stat, digest = _copy(source, path, root.inbox, ahead)
    return Staged(ahead, stat, digest)


def adopt(root: WebRoot, ahead: Staged) -> Staged:
    """A copy that was made ahead becomes one that is placed next: from now on what lies under its name may be what an
    exchange took out of the root."""
    fresh = _fresh()
    with root.inbox.directory(parent(ahead.name)) as from_fd, root.inbox.directory(parent(fresh)) as to_fd:
        os.rename(name(ahead.name), name(fresh), src_dir_fd=from_fd, dst_dir_fd=to_fd)
        return Staged(fresh, _made(to_fd, fresh).stat, ahead.hash)


def private_copy(
    root: WebRoot, path: RelPath, outbox_name: RelPath, is_open: Callable[[bool | None], None]
) -> tuple[Stat, bytes]:
    """A copy of a file of the web root in the outbox, for what changes whenever it is sent. For an executor.

    `is_open` may refuse a file that a local process has open for writing: see `digest.hash_fd`.

    Returns the stat of the file in the web root, unchanged over the copy, and the hash of the copy.

    Raises:
        Missing, Changed, NoSpace: as `stage_copy`. Occupied: the outbox has that name.
    """
    stat, _, digest = _copy(root, path, root.outbox, outbox_name, is_open)
    return stat, digest


def drop(tree: Tree, path: RelPath) -> None:
    """Remove a file or a whole directory of the state: a batch, a staged copy, old trash. Missing is fine.

    Never for the web root. Directories without u+w (a peer's 0555) get it first.
    """
    try:
        with tree.directory(parent(path)) as fd:
            _remove(fd, name(path))
    except Missing:
        return


def leftovers(root: WebRoot) -> Iterator[tuple[RelPath, Stat]]:
    """Everything in the inbox with its inode, a directory after what is in it; read before cleaning at start."""
    yield from _beneath(root.inbox, RelPath(b""))


def _beneath(tree: Tree, directory: RelPath) -> Iterator[tuple[RelPath, Stat]]:
    try:
        entries = tree.listdir(directory).entries
    except Missing:
        return
    for leaf, stat in entries:
        path = join(directory, leaf)
        if stat.kind is Kind.DIR:
            yield from _beneath(tree, path)
        yield path, stat


def _fresh() -> RelPath:
    return join(RelPath(MADE), os.urandom(8).hex().encode())


def _made(dir_fd: int, fresh: RelPath) -> Staged:
    stat = stat_at(dir_fd, name(fresh), fresh)
    if stat is None:
        raise Unstaged(fresh)
    return Staged(fresh, stat)


def _copy(
    source: Tree, path: RelPath, target: Tree, new: RelPath, is_open: Callable[[bool | None], None] | None = None
) -> tuple[Stat, Stat, bytes]:
    with about(path):
        from_fd = source.open_file(path)
    try:
        with about(new):
            to_fd = target.open(new, _CREATE, 0o600)
        try:
            with about(path):
                return _copy_of_one_moment(from_fd, path, to_fd, new, is_open)
        except BaseException:
            _undo(target, new)
            raise
        finally:
            os.close(to_fd)
    finally:
        os.close(from_fd)


def _undo(target: Tree, new: RelPath) -> None:
    """Remove what was begun, in an executor too: what the loop holds open is not to be touched there."""
    with suppress(OSError):
        fd = target.open(parent(new), ENTER)
        try:
            os.unlink(name(new), dir_fd=fd)
        finally:
            os.close(fd)


def _copy_of_one_moment(
    from_fd: int, path: RelPath, to_fd: int, new: RelPath, is_open: Callable[[bool | None], None] | None
) -> tuple[Stat, Stat, bytes]:
    before = stat_fd(from_fd, path)
    if before.kind is not Kind.FILE:
        raise Changed(path)
    _copy_bytes(from_fd, to_fd)
    copy, digest = hash_fd(to_fd, new)
    if is_open is not None:
        is_open(open_for_writing(from_fd))
    if stat_fd(from_fd, path) != before or copy.size != before.size:
        raise Changed(path)
    return before, copy, digest


def _copy_bytes(from_fd: int, to_fd: int) -> None:
    try:
        fcntl.ioctl(to_fd, syscalls.FICLONE, from_fd)
        return
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
    while os.copy_file_range(from_fd, to_fd, _COPY_STEP):
        pass


def _remove(dir_fd: int, leaf: bytes) -> None:
    try:
        os.unlink(leaf, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        _remove_directory(dir_fd, leaf)


def _remove_directory(dir_fd: int, leaf: bytes) -> None:
    fd = _enter(dir_fd, leaf)
    try:
        for child in os.listdir(fd):
            _remove(fd, os.fsencode(child))
    finally:
        os.close(fd)
    os.rmdir(leaf, dir_fd=dir_fd)


def _enter(dir_fd: int, leaf: bytes) -> int:
    try:
        fd = os.open(leaf, DIRECTORY, dir_fd=dir_fd)
    except PermissionError:
        # no u+r: the directories of the state are ours alone, nobody swaps a symlink in
        os.chmod(leaf, 0o700, dir_fd=dir_fd)
        fd = os.open(leaf, DIRECTORY, dir_fd=dir_fd)
    if os.fstat(fd).st_mode & _ENTERED != _ENTERED:
        os.fchmod(fd, 0o700)
    return fd
