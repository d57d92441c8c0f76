"""The files of an index: index.db, its log index.db-wal, copies of older schemas, and what was set aside as damaged."""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from sidecar.errors import EnvironmentFault
from sidecar.index.database import open_file
from sidecar.index.faults import FOREIGN, translated, unwritten

WAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes up to which the log may grow before a checkpoint makes the loop wait, and to which it is cut afterwards."""
_SUFFIXES: Final = ("", "-wal")
_FIRST_OF_NOW: Final = 1_000_000_000
"""In seconds since 1970: no file is as old as this, so that a lock's mtime below is one that `tell_landing` set."""


def wal_of(path: Path) -> Path:
    """The log of the index at `path`."""
    return path.with_name(path.name + "-wal")


def lock(path: Path) -> int:
    """A descriptor that keeps every other process from opening the index at `path`, until it is closed or its holder
    dies.

    Raises:
        EnvironmentFault: another process has it, or it cannot be made.
    """
    try:
        descriptor = os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFault("state", f"{path.parent}: {error.strerror}", "check the owner and mode of it") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise EnvironmentFault(
            "state", f"another sidecar has {path} open ({error.strerror})", "run one sidecar for each volume"
        ) from error
    return descriptor


def tell_landing(lock: int, landing: int) -> None:
    """This landing begins: noted as the mtime, in seconds, of the file that `lock` opened.

    A file system keeps its names and times in the order in which they were changed: as much as it has of the renames
    that follow, it has of this, whatever becomes of the log. One that takes no write takes no rename either. Where the
    file is another user's, as after a change of UID, its time says nothing from now on.
    """
    try:
        os.utime(lock, ns=(0, _noted(landing) * 1_000_000_000))
    except OSError:
        with contextlib.suppress(OSError):
            os.utime(lock)  # its writers may set it to now


def agrees(lock: int, *landings: int) -> bool:
    """Was one of these told last? So it is where nothing was told, as by an older release."""
    told = os.fstat(lock).st_mtime_ns // 1_000_000_000
    return not 0 < told < _FIRST_OF_NOW or told in map(_noted, landings)


def _noted(landing: int) -> int:
    return landing % _FIRST_OF_NOW


def sync(path: Path) -> None:
    """Every commit made before the call survives a power loss when it returns. For an executor: it waits for the disk.

    Only the log is synced: a commit that has left it was synced by the checkpoint that moved it.

    Raises:
        IndexFull: the disk did not take it.
    """
    try:
        descriptor = os.open(wal_of(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritten(error.strerror or str(error)) from error


def sync_directory(directory: Path) -> None:
    """Names made or removed in `directory` before the call survive a power loss when it returns."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoint(path: Path, wal_limit: int = WAL_LIMIT) -> int:
    """Move the log into the index, over a connection of its own, while the loop goes on writing; how many pages. For an
    executor.

    What the loop writes meanwhile stays in the log, so that a loop that never pauses would let it grow for ever: when
    it is longer than `wal_limit` bytes the loop is made to wait for the rest of it, some milliseconds.
    """
    try:
        with contextlib.closing(open_file(path)) as connection:
            connection.execute(f"PRAGMA journal_size_limit = {wal_limit}")
            moved = _move(connection, "PASSIVE")
            if wal_of(path).stat().st_size > wal_limit:
                moved += _move(connection, "RESTART")
            return moved
    except FOREIGN as error:
        raise translated(error) from error


def _move(connection: sqlite3.Connection, how: str) -> int:
    _, _, moved = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    if moved > 1:
        # the first write after the last page was moved begins the log anew, cuts it to the limit, and syncs its header:
        # better here than in the loop
        try:
            connection.execute("UPDATE node SET checkpoints = checkpoints + 1")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            # the loop has left no gap for as long as we wait: so it does that itself
    return int(moved)


def keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A copy of the index as it is, durable as `<path>.v<version>` when this returns."""
    copy = path.with_name(f"{path.name}.v{version}")
    half = copy.with_name(copy.name + ".new")
    half.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(half),))
    with half.open("rb") as written:
        os.fsync(written.fileno())
    half.replace(copy)
    sync_directory(path.parent)
    return copy


def quarantine(path: Path, now_us: int) -> Path:
    """Set a damaged index aside, log and all, as `<path>.damaged-<µs>`, its new name; no connection to it may be
    open."""
    aside = path.with_name(f"{path.name}.damaged-{now_us}")
    for suffix in _SUFFIXES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    sync_directory(path.parent)
    return aside
