"""The web root and the state beside it, checked once at start."""

import errno
import os
from types import TracebackType
from typing import Final, Self

from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from sidecar.errors import EnvironmentFault
from sidecar.fs import syscalls
from sidecar.fs.faults import Missing, about
from sidecar.fs.lease import ignore_break_signal
from sidecar.fs.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE
from sidecar.fs.tree import Tree

MADE: Final = b".made"
"""The inbox's own corner: what this node stages itself. No region's name begins with a dot."""
AHEAD: Final = b".ahead"
"""Copies that are made before anything is intended: they are nobody's bytes but ours, and go at every start."""
ENCLOSED: Final = b".enclosed"
"""Small files that came in a frame, until they are placed: a peer's, as what lies in a region's own directory."""
_PRIVATE: Final = 0o700
_POLLED: Final = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB",
    0x00C36400: "CephFS",
    0x65735546: "FUSE or virtiofs",
    0x01021997: "9p",
    0x5346414F: "AFS",
    0x73757245: "Coda",
    0x47504653: "GPFS",
    0x0BD00BD0: "Lustre",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
}


class WebRoot(Tree):
    """The web root as a tree, and the trees of the state: inbox, trash, conflicts, outbox, partial files (0700, made if
    missing).

    To be made in the main thread (it ignores SIGIO for the leases).

    Raises:
        EnvironmentFault: the root is missing or not writable, the state cannot be made, they are not on one mount, or
            the file system lacks RENAME_EXCHANGE.
    """

    __slots__ = ("conflicts", "inbox", "inside", "outbox", "partial", "path", "state", "state_path", "trash")

    def __init__(self, root: str, state: str, inbox: str) -> None:
        ignore_break_signal()
        super().__init__(_open_root(root))
        self.path: Final = root
        self.state_path: Final = state
        self.state: Final = _private(state)
        self.inbox: Final = _private(inbox)
        self.trash: Final = _private(os.path.join(state, "trash"))
        self.conflicts: Final = _private(os.path.join(state, "conflicts"))
        self.outbox: Final = _private(os.path.join(state, "outbox"))
        self.partial: Final = _private(partial_path(state))
        for own in (MADE, AHEAD, ENCLOSED):
            _make(self.inbox.fd, own)
        for tree, where in ((self.inbox, inbox), (self.trash, state)):
            _check_one_mount(self, tree, where)
        _check_exchange(self.inbox, inbox)

    def close(self) -> None:
        """Give every descriptor back."""
        for tree in (self.state, self.inbox, self.trash, self.conflicts, self.outbox, self.partial):
            tree.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def needs_polling(self) -> str | None:
        """The name of the file system where inotify does not see what other machines write; `None`: it sees all."""
        return _POLLED.get(syscalls.filesystem_magic(self.fd))

    def free_bytes(self) -> int:
        """How much an ordinary user may still write to the volume; -1: it does not say."""
        try:
            facts = os.fstatvfs(self.fd)
        except OSError:
            return -1
        return facts.f_bavail * facts.f_frsize

    def is_replaced(self) -> bool:
        """Does the root's path lead to another directory than the one held open (remounted, moved away), or nowhere?

        Raises:
            Denied: it cannot be told just now (the disk fails, a directory above may not be passed).
        """
        try:
            with about(b""):
                now, held = os.stat(self.path), os.fstat(self.fd)
        except Missing:
            return True
        return (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino)

    def lost(self) -> EnvironmentFault:
        """What a node ends with when its web root is another one, or none."""
        hint = "mount the right one there and start the sidecar again"
        return EnvironmentFault(f"web root {self.path}", "was moved, deleted or replaced", hint)

    def owner(self, path: RelPath) -> int | None:
        """The UID that owns `path`, to tell a web server that runs under another; `None`: nothing there."""
        stat = self.lstat(path)
        if stat is None or stat.kind is Kind.SYMLINK:
            return None
        with self.directory(path.rpartition(b"/")[0]) as fd:
            return syscalls.statx(fd, path.rpartition(b"/")[2] or b".").uid


def partial_path(state: str) -> str:
    """Where what arrived of large files is kept: an rsync goes on with it there."""
    return os.path.join(state, "partial")


def _open_root(root: str) -> int:
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFault(f"web root {root}", os.strerror(error.errno or 0), "mount the volume there") from error
    if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
        os.close(fd)
        raise EnvironmentFault(f"web root {root}", "the file system is read-only", "mount the volume read-write")
    if not os.access(root, os.W_OK | os.X_OK, effective_ids=True):
        os.close(fd)
        hint = f"give UID {os.geteuid()} write access, or run the sidecar as the owner of the files"
        raise EnvironmentFault(f"web root {root}", "is not writable", hint)
    return fd


def _private(path: str) -> Tree:
    try:
        os.makedirs(path, mode=_PRIVATE, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if os.fstat(fd).st_mode & 0o077:
            os.fchmod(fd, _PRIVATE)
    except OSError as error:
        hint = f"give UID {os.geteuid()} write access to the volume"
        raise EnvironmentFault(f"state directory {path}", os.strerror(error.errno or 0), hint) from error
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=True):
        os.close(fd)
        hint = f"give UID {os.geteuid()} write access to it"
        raise EnvironmentFault(f"state directory {path}", "is not writable", hint)
    return Tree(fd)


def _make(dir_fd: int, name: bytes) -> None:
    try:
        os.mkdir(name, _PRIVATE, dir_fd=dir_fd)
    except FileExistsError:
        pass


def _check_one_mount(root: Tree, state: Tree, where: str) -> None:
    # the kernel compares the mounts before it looks for the name: nothing has to be made in the web root
    try:
        syscalls.renameat2(state.fd, b".no-such-name", root.fd, b".no-such-name", RENAME_NOREPLACE)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise EnvironmentFault(where, os.strerror(error.errno or 0), "the web root must take renames") from error
    hint = "mount the whole volume once, so that web root and state lie in one mount"
    raise EnvironmentFault(where, "is not on the web root's file system, or in another mount of it", hint)


def _check_exchange(inbox: Tree, where: str) -> None:
    names = b".trial-a", b".trial-b"
    try:
        for name in names:
            os.close(inbox.open(name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        syscalls.renameat2(inbox.fd, names[0], inbox.fd, names[1], RENAME_EXCHANGE)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return
        hint = "use a local file system such as ext4, xfs or btrfs"
        problem = f"cannot exchange two files ({os.strerror(error.errno or 0)})"
        raise EnvironmentFault(where, problem, hint) from error
    finally:
        for name in names:
            try:
                os.unlink(name, dir_fd=inbox.fd)
            except OSError:
                pass
