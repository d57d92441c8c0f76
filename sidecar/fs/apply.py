"""How content lands: single steps, each one rename(2) beneath descriptors, no symlink followed on the way.

A visitor sees the old bytes or the new bytes. Every step says which race is left and what it costs at worst. The
steps of deleting and keeping are in `keep`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath, join
from sidecar.fs import step
from sidecar.fs.faults import GONE, Missing, NotEmpty, Occupied, Special, Surprise, Unstaged, about
from sidecar.fs.lease import open_for_writing
from sidecar.fs.root import WebRoot
from sidecar.fs.stage import Staged
from sidecar.fs.stats import is_renamed_file, same, same_after_rename, stat_fd
from sidecar.fs.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE
from sidecar.fs.tree import LOOK, READ


class Out(msgspec.Struct, frozen=True):
    """What a step took out of the web root; it lies under `name` now (in the inbox, or where the step says).

    `stat` is `None` for a special file. `still_open`: a local process has the file open or mapped for writing
    (`None`: cannot be told, as for directories).
    """

    name: RelPath
    stat: Stat | None
    still_open: bool | None

    def was(self, expected: Stat) -> bool:
        """Is it what was expected, and nobody's unfinished writing?"""
        return self.stat is not None and same_after_rename(self.stat, expected) and not self.still_open


class Exchanged(msgspec.Struct, frozen=True):
    """The stat of what was placed, by its own descriptor, and what came out."""

    placed: Stat
    out: Out


def place(root: WebRoot, staged: Staged, path: RelPath, mode: int, mtime_ns: int, within: Staged | None = None) -> Stat:
    """Staged content appears at a new path (or at `path` inside a staged directory). Returns its stat after that.

    The stat is that of the staged descriptor: a local writer who replaces the file at once makes no difference to it.
    Left: who can write the inbox (the sender's rsync, which has ended by now) may swap the staged name before the
    rename; then its other content lands, and counts as a local change here.

    Raises:
        Occupied: something lies there. Missing: the directory is gone. Unstaged: the staged content is.
        Denied, NoSpace, ReadOnly.
    """
    tree, path = (root, path) if within is None else (root.inbox, join(within.name, path))
    with _opened(root, staged) as (from_fd, old, fd), step.spot(tree, path) as (to_fd, new):
        step.dress(fd, staged.stat.kind, mode, mtime_ns)
        step.rename(from_fd, old, to_fd, new, RENAME_NOREPLACE)
        return stat_fd(fd, path)


def exchange(root: WebRoot, staged: Staged, path: RelPath, expected: Stat, mode: int, mtime_ns: int) -> Exchanged:
    """Staged content takes the place of what lies at `path`, of any kind, in one step; that lies in the inbox then.

    Left: between the look and the rename (some µs) a local writer may change or replace the file: it comes out and
    `Out.was(expected)` says no; the caller undoes the exchange or keeps what came out as a conflict. Nothing is lost.
    For these µs a visitor could see the peer's version instead of the local one.

    Raises:
        Surprise: something else lies there. Missing: nothing, or the directory is gone. Unstaged.
        Denied, NoSpace, ReadOnly.
    """
    with _opened(root, staged) as (from_fd, old, fd), step.spot(root, path) as (to_fd, new):
        step.dress(fd, staged.stat.kind, mode, mtime_ns)
        step.expect(to_fd, new, path, expected)
        step.rename(from_fd, old, to_fd, new, RENAME_EXCHANGE)
        return Exchanged(stat_fd(fd, path), taken_out(from_fd, old, staged.name, expected))


def undo_exchange(root: WebRoot, staged: Staged, path: RelPath, placed: Stat) -> Stat | None:
    """Give back what an exchange took out; the staged content lies in the inbox again.

    Returns the stat of what is back (`None`: a special file).

    Left: a local writer who replaced the placed content meanwhile. Seen before: `Surprise`, nothing is done. In the
    µs after the look: that is seen too and taken back, after showing the old content for some µs.

    Raises:
        Surprise: what was placed is not there any more. Unstaged: what came out is not in the inbox.
    """
    with step.spot(root.inbox, staged.name) as (from_fd, old), step.spot(root, path) as (to_fd, new):
        step.expect_inode(to_fd, new, path, placed)
        fd = _open_out(from_fd, old, staged.name)
        try:
            step.rename(from_fd, old, to_fd, new, RENAME_EXCHANGE)
            _take_back_unless(from_fd, old, to_fd, new, path, placed)
            return stat_fd(fd, path)
        except Special:
            return None
        finally:
            os.close(fd)


def make_dir(root: WebRoot, path: RelPath, mode: int, within: Staged | None = None) -> Stat:
    """Make a directory; one that is there already is left as it is. Returns its stat.

    Raises:
        Occupied: something else lies there. Missing: the directory above is gone. Denied, NoSpace, ReadOnly.
    """
    tree, path = (root, path) if within is None else (root.inbox, join(within.name, path))
    with step.spot(tree, path) as (dir_fd, leaf):
        try:
            step.with_write(lambda: os.mkdir(leaf, mode & 0o777, dir_fd=dir_fd), (dir_fd,))
            made = True
        except FileExistsError:
            made = False
        try:
            fd = os.open(leaf, LOOK | os.O_DIRECTORY, dir_fd=dir_fd)
        except NotADirectoryError:
            raise Occupied(path) from None
        try:
            stat = stat_fd(fd, path)
            if made and stat.mode != mode:
                step.dress(fd, Kind.DIR, mode, 0)
                stat = stat_fd(fd, path)
            return stat
        finally:
            os.close(fd)


def remove_dir(root: WebRoot, path: RelPath) -> None:
    """Remove an empty directory.

    Raises:
        NotEmpty: something is in it. Missing: not there, or no directory. Denied, ReadOnly.
    """
    with step.spot(root, path) as (dir_fd, leaf):
        try:
            step.with_write(lambda: os.rmdir(leaf, dir_fd=dir_fd), (dir_fd,))
        except FileExistsError:
            raise NotEmpty(path) from None


def adjust(root: WebRoot, path: RelPath, expected: Stat, mode: int | None = None, mtime_ns: int | None = None) -> Stat:
    """Set mode and mtime of what lies at `path`, by descriptor. Returns its stat after that.

    Left: a writer with the file open may write between the look and the change; its bytes stay, its mtime is lost,
    its close is an event as ever. Other hard links of the file change with it: they are local changes there.

    Raises:
        Surprise: something else lies there. Missing. Denied: another owner's.
    """
    with about(path):
        fd = root.open(path, LOOK)
        try:
            found = stat_fd(fd, path)
            if not same(found, expected):
                raise Surprise(path, found)
            if mode is not None and found.kind is not Kind.SYMLINK:
                step.chmod_fd(fd, mode)
            if mtime_ns is not None and found.kind is not Kind.DIR:
                step.utime_fd(fd, mtime_ns)
            return stat_fd(fd, path)
        finally:
            os.close(fd)


def move(root: WebRoot, old: RelPath, new: RelPath, expected: Stat) -> Stat:
    """Rename a file, symlink or directory to a new path. Returns its stat after that.

    Left: a local writer who replaces `old` between the look and the rename: that is seen after it and moved back
    (`Surprise`), after showing under the new name for some µs. If `old` is taken by then it stays under `new`, and
    counts as a local change there.

    Raises:
        Surprise: `old` is something else. Occupied: `new` is taken. Missing: `old` or the directory of `new` is gone.
    """
    with step.spot(root, old) as (from_fd, was), step.spot(root, new) as (to_fd, becomes):
        step.expect(from_fd, was, old, expected)
        step.rename(from_fd, was, to_fd, becomes, RENAME_NOREPLACE)
        found = step.look(to_fd, becomes, new)
        if found is None or found.ino != expected.ino:
            with suppress(OSError):
                step.rename(to_fd, becomes, from_fd, was, RENAME_NOREPLACE)
            raise Surprise(old, found)
        return found


def swap(root: WebRoot, one: RelPath, expected: Stat, other: RelPath, also: Stat) -> tuple[Stat, Stat]:
    """Two paths change places in one step. Returns the stats then at `one` and at `other`.

    Left: as `move`: whatever a local writer put there in between is swapped along; it is seen and swapped back.

    Raises:
        Surprise: one of them is something else. Missing.
    """
    with step.spot(root, one) as (one_fd, a), step.spot(root, other) as (other_fd, b):
        step.expect(one_fd, a, one, expected)
        step.expect(other_fd, b, other, also)
        step.rename(one_fd, a, other_fd, b, RENAME_EXCHANGE)
        at_one, at_other = step.look(one_fd, a, one), step.look(other_fd, b, other)
        if at_one is None or at_other is None or (at_one.ino, at_other.ino) != (also.ino, expected.ino):
            step.rename(one_fd, a, other_fd, b, RENAME_EXCHANGE)
            raise Surprise(one, at_other)
        return at_one, at_other


def taken_out(dir_fd: int, leaf: bytes, lies_at: RelPath, expected: Stat) -> Out:
    """What a rename just brought to `leaf`: never raises, because the rename is done."""
    if expected.kind is Kind.FILE and (known := _file_taken_out(dir_fd, leaf, lies_at, expected)) is not None:
        return known
    try:
        stat = step.look(dir_fd, leaf, lies_at)
    except OSError:
        stat = None
    if stat is None or stat.kind is Kind.DIR:
        return Out(lies_at, stat, None)
    if stat.kind is Kind.SYMLINK:
        return Out(lies_at, stat, False)
    try:
        fd = os.open(leaf, READ, dir_fd=dir_fd)
    except OSError:
        return Out(lies_at, stat, None)
    try:
        return Out(lies_at, stat, open_for_writing(fd))
    finally:
        os.close(fd)


def _file_taken_out(dir_fd: int, leaf: bytes, lies_at: RelPath, expected: Stat) -> Out | None:
    """Mostly it is the file that was expected, which one open tells; None: it is another, or cannot be opened."""
    try:
        fd = os.open(leaf, READ, dir_fd=dir_fd)
    except OSError:
        return None
    try:
        return Out(lies_at, expected, open_for_writing(fd)) if is_renamed_file(os.fstat(fd), expected) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _open_out(dir_fd: int, leaf: bytes, name: RelPath) -> int:
    try:
        return os.open(leaf, LOOK, dir_fd=dir_fd)
    except FileNotFoundError:
        raise Unstaged(name) from None


def _take_back_unless(from_fd: int, old: bytes, to_fd: int, new: bytes, path: RelPath, placed: Stat) -> None:
    try:
        step.expect_inode(from_fd, old, path, placed)
    except Surprise:
        step.rename(from_fd, old, to_fd, new, RENAME_EXCHANGE)
        raise


@contextmanager
def _opened(root: WebRoot, staged: Staged) -> Iterator[tuple[int, bytes, int]]:
    with ExitStack() as stack:
        try:
            dir_fd, leaf = stack.enter_context(step.spot(root.inbox, staged.name))
            fd = os.open(leaf, step.OPENING[staged.stat.kind] | os.O_CLOEXEC, dir_fd=dir_fd)
            stack.callback(os.close, fd)
            found = stat_fd(fd, staged.name)
        except OSError as error:
            if error.errno in GONE:
                raise Unstaged(staged.name) from None
            raise
        except Missing:
            raise Unstaged(staged.name) from None
        if (found.kind, found.ino, found.size) != (staged.stat.kind, staged.stat.ino, staged.stat.size):
            raise Unstaged(staged.name)
        yield dir_fd, leaf, fd
