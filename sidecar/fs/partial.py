"""What has arrived of a large file that was cut off: it lies in the state, one of a path and region, until it is whole.

`<region>/<name>/<leaf>` are the bytes, alone in a directory that rsync takes for its own; `<region>/<name>.of` is a
symlink that leads nowhere: it notes what they are of.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import xxhash

from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath, join, name, parent
from sidecar.fs.faults import GONE, Missing, about
from sidecar.fs.lease import open_for_writing
from sidecar.fs.root import WebRoot
from sidecar.fs.stage import drop
from sidecar.fs.tree import DIRECTORY, READ

LEAST: Final = 1 << 20
"""Less is not kept: it is sent sooner than it is compared (bytes)."""
_STEP: Final = 64 << 20
_NOTE: Final = b".of"
_NEW: Final = b".new"
_RANDOM: Final = 7
"""rsync writes `leaf` as `.leaf.` and six random letters until it is whole."""
_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Note(NamedTuple):
    """What is being sent: in which batch, over what content of the web root (its xxh128; b"": none), to which path."""

    batch: str
    base: bytes
    path: RelPath


class Kept(NamedTuple):
    """One partial file: where it lies, what it is of, when it was written last (unix seconds; the note's, if it has not
    begun to come)."""

    region: str
    name: str
    note: Note
    at: float


def name_of(path: RelPath) -> str:
    """Under which a partial file of `path` lies: hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(path)


def noted(root: WebRoot, region: str, partial: str) -> Note | None:
    """What was noted last under this name."""
    try:
        target = root.partial.readlink(_note(region, partial))
    except Missing:
        return None
    batch, _, rest = target.partition(b"/")
    base, _, path = rest.partition(b"/")
    try:
        return Note(batch.decode("ascii"), bytes.fromhex(base.decode("ascii")), RelPath(path))
    except ValueError:
        return None


def note(root: WebRoot, region: str, partial: str, what: Note) -> bool:
    """Note it, in the place of what was noted before, which stays where this does not fit: what has no note is found by
    nobody, and never goes. False: it is too long.

    Raises:
        NoSpace, ReadOnly, Denied.
    """
    at = _note(region, partial)
    leaf, fresh = name(at), name(at) + _NEW
    target = b"%b/%b/%b" % (what.batch.encode(), what.base.hex().encode(), what.path)
    with about(at):
        _made(root, region.encode())
        with root.partial.directory(parent(at)) as fd:
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=fd)
            try:
                os.symlink(target, fresh, dir_fd=fd)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                return False
            os.rename(fresh, leaf, src_dir_fd=fd, dst_dir_fd=fd)
    return True


def rescue(root: WebRoot, region: str, what: Note) -> None:
    """What its batch has left of it becomes the partial file, if it is worth that.

    For an executor too.

    Raises:
        NoSpace, ReadOnly, Denied.
    """
    directory = RelPath(parent(join(RelPath(f"{region}/{what.batch}".encode()), what.path)))
    try:
        listed = root.inbox.listdir(directory).entries
    except Missing:
        return
    leaf = name(what.path)
    left = [(stat.size, found) for found, stat in listed if stat.kind is Kind.FILE and _is_of(found, leaf)]
    size, found = max(left, default=(0, b""))
    if size < LEAST:
        return
    into = _directory(region, name_of(what.path))
    with about(into):
        _made(root, region.encode())
        _made(root, into)
    with (
        root.inbox.directory(directory, DIRECTORY) as from_fd,
        root.partial.directory(into) as to_fd,
        suppress(Missing),
        about(into),
    ):
        os.rename(found, leaf, src_dir_fd=from_fd, dst_dir_fd=to_fd)


def size_of(root: WebRoot, region: str, path: RelPath) -> int:
    """How much there is of it; 0: nothing."""
    stat = root.partial.lstat(_file(region, path))
    return stat.size if stat is not None and stat.kind is Kind.FILE else 0


def complete(root: WebRoot, region: str, path: RelPath, size: int, seconds: float) -> bool:
    """What has not come yet is filled in from the web root's file, where there is one: rsync compares with one file.

    The bytes that have come are the first ones of the new file, of `size` bytes. What the old one has behind them is
    put where it lies if what makes the new one longer was before that: where rsync goes on in place, bytes may move
    towards the front, not away from it. Ends after `seconds`, as far as it got, and goes on there. For an executor.

    Returns False if somebody still writes to it: it is of no use.

    Raises:
        NoSpace, ReadOnly, Denied. Missing: there is nothing.
    """
    at = _file(region, path)
    with about(at):
        fd = root.partial.open(at, READ)
        try:
            if open_for_writing(fd):
                return False
        finally:
            os.close(fd)
        try:
            from_fd = root.open(path, READ)
        except OSError as error:
            if error.errno in GONE:
                return True
            raise
        try:
            to_fd = root.partial.open(at, _WRITE)
            try:
                _fill(from_fd, to_fd, size, time.monotonic() + seconds)
            finally:
                os.close(to_fd)
        finally:
            os.close(from_fd)
    return True


def _fill(from_fd: int, to_fd: int, size: int, until: float) -> None:
    have, old = os.fstat(to_fd).st_size, os.fstat(from_fd).st_size
    longer = max(0, size - old)
    at = max(have, longer)
    while time.monotonic() < until:
        copied = os.copy_file_range(from_fd, to_fd, _STEP, at - longer, at)
        if not copied:
            return
        at += copied


def kept(root: WebRoot) -> Iterator[Kept]:
    """All that there is, and what is noted without anything having come yet."""
    for region, stat in root.partial.listdir(ROOT).entries:
        if stat.kind is not Kind.DIR:
            continue
        for leaf, about_it in root.partial.listdir(RelPath(region)).entries:
            partial = leaf.removesuffix(_NOTE).decode("ascii", "replace")
            what = noted(root, region.decode(), partial) if leaf.endswith(_NOTE) else None
            if what is not None:
                file = root.partial.lstat(_file(region.decode(), what.path))
                at = max(about_it.mtime_ns, file.mtime_ns if file is not None else 0) / 1e9
                yield Kept(region.decode(), partial, what, at)


def discard(root: WebRoot, region: str, partial: str) -> None:
    """It goes, with its note.

    Raises:
        ReadOnly, Denied.
    """
    drop(root.partial, _directory(region, partial))
    drop(root.partial, _note(region, partial))
    drop(root.partial, RelPath(_note(region, partial) + _NEW))


def _is_of(found: bytes, leaf: bytes) -> bool:
    if found == leaf:
        return True
    begun = found[1:-_RANDOM]  # a long name is cut short there
    return bool(begun) and found[:1] == found[-_RANDOM:][:1] == b"." and leaf.startswith(begun)


def _made(root: WebRoot, directory: bytes) -> None:
    with root.partial.directory(directory.rpartition(b"/")[0]) as fd, suppress(FileExistsError):
        os.mkdir(directory.rpartition(b"/")[2], 0o700, dir_fd=fd)


def _directory(region: str, partial: str) -> RelPath:
    return RelPath(f"{region}/{partial}".encode())


def _note(region: str, partial: str) -> RelPath:
    return RelPath(_directory(region, partial) + _NOTE)


def _file(region: str, path: RelPath) -> RelPath:
    return join(_directory(region, name_of(path)), name(path))
