"""What leaves the web root is kept: the trash, and the losers of conflicts under the hash of their bytes."""

import os
from contextlib import suppress
from typing import Final

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath, ancestors, parent
from sidecar.fs import step, syscalls
from sidecar.fs.apply import Out, taken_out
from sidecar.fs.faults import Missing, translate
from sidecar.fs.root import WebRoot
from sidecar.fs.stage import drop, stage_copy
from sidecar.fs.stats import stat_fd
from sidecar.fs.syscalls import RENAME_NOREPLACE
from sidecar.fs.tree import LOOK, Tree

_PRIVATE_FILE: Final = 0o600


def to_trash(root: WebRoot, path: RelPath, trash_name: RelPath, expected: Stat) -> Out:
    """Delete: what lies at `path` (a directory with all that is in it) goes to `trash_name` in the trash.

    Left: between the look and the rename (some µs) a local writer may change or replace the file: it lies in the
    trash then, `Out.was(expected)` says no, and the caller puts it back. Nothing is lost; a visitor may meet its
    absence for these µs.

    Raises:
        Surprise: something else lies there. Missing. Occupied: the trash has that name. Denied, NoSpace, ReadOnly.
    """
    with step.spot(root, path) as (from_fd, old):
        step.expect(from_fd, old, path, expected)
        _make_above(root.trash, trash_name)
        with step.spot(root.trash, trash_name) as (to_fd, new):
            _keeping_errors_of(path, from_fd, old, to_fd, new)
            return taken_out(to_fd, new, trash_name, expected)


def put_back(root: WebRoot, trash_name: RelPath, path: RelPath) -> Stat:
    """What lies in the trash appears at `path` again, as it was. Returns its stat after that.

    Raises:
        Occupied: something lies at `path` by now. Missing: the directory of `path`, or the trash's copy, is gone.
    """
    with step.spot(root.trash, trash_name) as (from_fd, old), step.spot(root, path) as (to_fd, new):
        fd = os.open(old, LOOK, dir_fd=from_fd)
        try:
            step.rename(from_fd, old, to_fd, new, RENAME_NOREPLACE)
            return stat_fd(fd, path)
        finally:
            os.close(fd)


def out_to_trash(root: WebRoot, inbox_name: RelPath, trash_name: RelPath) -> None:
    """What an exchange took out goes from the inbox to the trash, of whatever kind.

    Raises:
        Occupied: the trash has that name. Missing: nothing lies in the inbox. NoSpace, ReadOnly.
    """
    _between(root.inbox, inbox_name, root.trash, trash_name)


def back_to_inbox(root: WebRoot, trash_name: RelPath, inbox_name: RelPath) -> None:
    """What `out_to_trash` moved lies in the inbox again.

    Raises:
        Occupied: something lies there. Missing: the trash's copy, or the directory in the inbox, is gone. ReadOnly.
    """
    with step.spot(root.trash, trash_name) as (from_fd, old), step.spot(root.inbox, inbox_name) as (to_fd, new):
        step.rename(from_fd, old, to_fd, new, RENAME_NOREPLACE)


def conflict_name(digest: bytes) -> RelPath:
    """Where among the conflicts the bytes with this hash lie."""
    return RelPath(digest.hex().encode())


def to_conflicts(root: WebRoot, source: Tree, path: RelPath, digest: bytes) -> RelPath:
    """A file of the inbox or the trash becomes the conflicts' copy of the bytes with this hash (mode 0600).

    The same bytes kept before are replaced, in one step: a copy torn by a power loss heals so. What has other hard
    links is copied, because an edit or a chmod of one would change the other.

    Raises:
        Missing: nothing lies at `path`. NoSpace, ReadOnly.
    """
    kept = conflict_name(digest)
    with step.spot(source, path) as (from_fd, old):
        alone = syscalls.statx(from_fd, old).nlink == 1
        if alone:
            with suppress(PermissionError):
                _make_private(from_fd, old)
            os.rename(old, kept, src_dir_fd=from_fd, dst_dir_fd=root.conflicts.fd)
    if not alone:
        to_conflicts(root, root.inbox, stage_copy(root, source, path).name, digest)
        drop(source, path)
    return kept


def conflict_to_trash(root: WebRoot, digest: bytes, trash_name: RelPath) -> None:
    """A loser that nobody lists any more ages in the trash like everything else that left.

    Raises:
        Occupied: the trash has that name. Missing: no such conflict. NoSpace, ReadOnly.
    """
    _between(root.conflicts, conflict_name(digest), root.trash, trash_name)


def has_conflict(root: WebRoot, digest: bytes, size: int) -> bool:
    """Are the bytes with this hash among the conflicts, in full length?"""
    stat = root.conflicts.lstat(conflict_name(digest))
    return stat is not None and stat.kind is Kind.FILE and stat.size == size


def _between(source: Tree, path: RelPath, trash: Tree, trash_name: RelPath) -> None:
    _make_above(trash, trash_name)
    with step.spot(source, path) as (from_fd, old), step.spot(trash, trash_name) as (to_fd, new):
        step.rename(from_fd, old, to_fd, new, RENAME_NOREPLACE)


def _make_private(dir_fd: int, leaf: bytes) -> None:
    fd = os.open(leaf, LOOK, dir_fd=dir_fd)
    try:
        step.chmod_fd(fd, _PRIVATE_FILE)
    finally:
        os.close(fd)


def _make_above(trash: Tree, trash_name: RelPath) -> None:
    if _is_there(trash, parent(trash_name)):
        return
    for directory in ancestors(trash_name):
        with step.spot(trash, directory) as (fd, leaf), suppress(FileExistsError):
            os.mkdir(leaf, 0o700, dir_fd=fd)


def _is_there(trash: Tree, directory: RelPath) -> bool:
    try:
        if trash.held(directory) is not None:
            return True
        with trash.directory(directory):
            return True
    except (OSError, Missing):
        return False  # making it says what is wrong


def _keeping_errors_of(path: RelPath, from_fd: int, old: bytes, to_fd: int, new: bytes) -> None:
    try:
        step.rename(from_fd, old, to_fd, new, RENAME_NOREPLACE)
    except FileExistsError:
        raise
    except OSError as error:
        raise translate(error, path) from error
