"""The files of an index: index.db, its log index.db-wal, copies of older schemas, and what was set aside as damaged."""

import dataclasses
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sidecar.index.database import BUSY_WAIT
from sidecar.index.faults import translated

_SUFFIXES: Final = ("", "-wal", "-shm")


def wal_of(path: Path) -> Path:
    """The log of the index at `path`."""
    return path.with_name(path.name + "-wal")


def sync(path: Path) -> None:
    """Every commit made before the call survives a power loss when it returns. For an executor: it waits for the disk.

    Only the log is synced: a commit that has left it was synced by the checkpoint that moved it.
    """
    descriptor = os.open(wal_of(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Names made or removed in `directory` before the call survive a power loss when it returns."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint did: `pages` in the log, `moved` of them into the index; equal: the log begins anew."""

    pages: int
    moved: int


def checkpoint(path: Path) -> Checkpoint:
    """Move the log into the index, over a connection of its own, while the loop goes on writing. For an executor.

    The first write after a complete checkpoint begins the log anew, for which SQLite syncs its header: that write is
    made here, so that the loop does not wait for the disk.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_WAIT, isolation_level=None)) as connection:
            _, pages, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages == moved > 1:
                connection.execute("UPDATE node SET checkpoints = checkpoints + 1")
            return Checkpoint(pages, moved)
    except sqlite3.Error as error:
        raise translated(error) from error


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
