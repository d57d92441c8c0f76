"""What happens to a volume while its sidecar is down: index lost or damaged, power lost, an older state put back."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from sidecar.core.paths import RelPath
from sidecar.index.store import Index

INDEX = ("index.db", "index.db-wal")


def _run(state: Path, sql: str) -> None:
    with closing(sqlite3.connect(state / "index.db", isolation_level=None)) as connection:
        connection.execute(sql)


def lose_index(state: Path) -> None:
    """The index is gone, log and all; the content stays."""
    for name in INDEX:
        (state / name).unlink(missing_ok=True)


def keep_index(state: Path, to: Path) -> None:
    """Copy the index as it is, log and all."""
    for name in INDEX:
        shutil.copy(state / name, to)


def lose_peers(state: Path) -> None:
    """The index knows no peer any more."""
    _run(state, "DELETE FROM peers")


def seen(state: Path, region: str) -> int:
    """The highest seq that a node has heard of another."""
    with tempfile.TemporaryDirectory() as copies:
        # a node that runs lets nobody else in; a copy that a checkpoint tore is looked at anew by whoever waits
        for name in INDEX:
            shutil.copy(state / name, copies)
        with closing(sqlite3.connect(Path(copies, "index.db"))) as connection, suppress(sqlite3.DatabaseError):
            (seq,) = connection.execute("SELECT max(seq) FROM peers WHERE region = ?", (region,)).fetchone()
            return int(seq or 0)
    return 0


def cut_power(state: Path, torn: Iterable[Path] = (), missing: Iterable[Path] = ()) -> None:
    """The last run ended without notice, and the machine booted anew; `torn` files lost half of their bytes and kept
    their mtime, `missing` ones are gone."""
    _run(state, "UPDATE node SET clean = 0, boot_id = 'an earlier one'")
    for path in torn:
        tear(path, path.stat().st_size // 2)
    for path in missing:
        path.unlink()


def tear(path: Path, size: int) -> None:
    """Cut a file to `size` bytes; its mtime stays."""
    before = path.stat()
    os.truncate(path, size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def zero(path: Path) -> None:
    """Nothing but zeros lies in a file, as many as it had bytes; its mtime stays."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def believe(state: Path, html: Path, name: str) -> None:
    """The row of a file has its times as they are now: nothing but the bytes tells that it was torn."""
    path, lies = RelPath(name.encode()), (html / name).lstat()
    with closing(Index.open(state / "index.db", lambda: 1)) as index:
        row = index.get(path)
        assert row is not None and row.stat is not None
        stat = msgspec.structs.replace(row.stat, mtime_ns=lies.st_mtime_ns, ctime_ns=lies.st_ctime_ns)
        index.put_stat(msgspec.structs.replace(row, stat=stat))


def damage(state: Path, how: str) -> None:
    """The file of the index is no index any more: `garbage`, `truncated`, `empty`, or a `page` of it is overwritten."""
    _run(state, "PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(state, how)


def spoil(state: Path, how: str) -> None:
    """The same beneath a node that runs: what its log has still to bring is spared."""
    path = state / "index.db"
    size = path.stat().st_size
    match how:
        case "garbage":
            path.write_bytes(os.urandom(size))
        case "truncated":
            os.truncate(path, size // 2)
        case "header":
            with path.open("r+b") as file:
                file.write(b"not an index")
        case "pages":
            with path.open("r+b") as file:
                file.seek(8192)
                file.write(b"\xa5" * (size - 8192))
        case _:
            raise ValueError(how)


def snapshot(volume: Path, to: Path) -> None:
    """Copy a volume as it is, with all times."""
    shutil.copytree(volume, to, symlinks=True)


def restore(volume: Path, snapshot: Path) -> None:
    """Put a copy in the place of a volume."""
    shutil.rmtree(volume)
    shutil.copytree(snapshot, volume, symlinks=True)
