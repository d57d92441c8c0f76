"""What survives a power loss: the log as far as it was synced, and what a checkpoint moved."""

import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.core.paths import RelPath
from sidecar.index import database, files
from sidecar.index.store import Index
from tests.unit.index.conformance import row
from tests.unit.index.conftest import Opener

SALT = slice(16, 24)
"""Of the log's header: another one whenever the log begins anew."""


def wal_bytes(path: Path) -> int:
    return files.wal_of(path).stat().st_size


def after_power_loss(path: Path, folder: Path, log: bytes) -> list[RelPath]:
    """The paths of the index that a machine finds whose disk has the file as it is and only these bytes of the log."""
    folder.mkdir()
    shutil.copy(path, folder)
    files.wal_of(folder / path.name).write_bytes(log)
    index = Index.open(folder / path.name, lambda: 9)
    index.check()
    found = [got.path for got in index.since(0, 99_999)]
    index.close()
    return found


def test_sync_comes_after_the_commits_and_syncs_the_log(
    index: Index, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.checkpoint()
    synced: list[bytes] = []

    def fdatasync(descriptor: int) -> None:
        assert os.path.samestat(os.fstat(descriptor), files.wal_of(path).stat())
        synced.append(files.wal_of(path).read_bytes())

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    index.put(row(b"a"))
    assert [] == synced
    index.sync()
    index.put(row(b"b"))
    assert 1 == len(synced)
    assert [b"a"] == after_power_loss(path, tmp_path / "after", synced[0])


def test_a_start_and_an_orderly_stop_are_durable(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    index = opened()
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")[-4:])
    )
    index.start_run("boot", 1)
    assert ["-wal"] == synced
    index.stop()
    assert ["-wal", "-wal"] == synced


@pytest.mark.parametrize("seed", range(20))
def test_a_log_torn_anywhere_is_a_prefix_of_the_commits(opened: Opener, path: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    index = opened()
    index.checkpoint()
    expected: list[RelPath] = []
    for number in range(60):
        with index.transaction():
            for each in range(chance.randrange(1, 6)):
                expected.append(RelPath(b"d%d/%d" % (number, each)))
                index.put(row(expected[-1], ino=len(expected)))
    log = bytearray(files.wal_of(path).read_bytes())
    cut = chance.randrange(len(log))
    log[cut : cut + 4096] = chance.randbytes(min(4096, len(log) - cut)) if seed % 2 else b""
    found = after_power_loss(path, tmp_path / "after", bytes(log))
    assert expected[: len(found)] == found
    assert len(found) == len(expected) or expected[len(found)].endswith(b"/0"), "half a transaction"


def test_a_checkpoint_moves_the_log_while_the_index_is_open(index: Index, path: Path, tmp_path: Path) -> None:
    index.put(row(b"a"))
    in_a_thread(index.checkpoint)
    assert [b"a"] == after_power_loss(path, tmp_path / "after", b"")
    index.put(row(b"b"))
    index.sync()
    assert [b"a", b"b"] == [got.path for got in index.since(0, 9)]


def test_the_first_write_after_a_checkpoint_need_not_begin_the_log(index: Index, path: Path) -> None:
    before = files.wal_of(path).read_bytes()[SALT]
    index.put(row(b"a"))
    in_a_thread(index.checkpoint)
    after = files.wal_of(path).read_bytes()[SALT]
    index.put(row(b"b"))
    assert before != after == files.wal_of(path).read_bytes()[SALT]


def test_a_checkpoint_without_a_write_since_the_last_one_does_nothing(index: Index, path: Path) -> None:
    index.put(row(b"a"))
    assert index.checkpoint() > 0
    log = files.wal_of(path).read_bytes()
    assert 0 == index.checkpoint()
    assert 0 == index.checkpoint()
    assert log == files.wal_of(path).read_bytes()


def test_a_log_that_a_burst_made_long_is_cut(index: Index, path: Path) -> None:
    for number in range(200):
        index.put(row(b"d/%d" % number, ino=number))
    assert wal_bytes(path) > 128 * 1024
    files.checkpoint(path, 128 * 1024)
    assert 128 * 1024 >= wal_bytes(path)


def test_the_log_stays_bounded_though_the_loop_writes_during_every_checkpoint(
    index: Index, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, lengths, move = 128 * 1024, [], files._move

    def move_and_write(connection: sqlite3.Connection, how: str) -> int:
        with closing(sqlite3.connect(path, isolation_level=None)) as reading:
            # what the loop wrote after the checkpoint began is, for it, what nobody has read yet
            reading.execute("BEGIN")
            reading.execute("SELECT * FROM node").fetchall()
            index.put(row(b"meanwhile"))
            if how == "RESTART":
                reading.rollback()
            return move(connection, how)

    monkeypatch.setattr(files, "_move", move_and_write)
    for number in range(500):
        index.put(row(b"d/%d" % number, ino=number))
        if number % 10 == 9:
            files.checkpoint(path, limit)
            lengths.append(wal_bytes(path))
    assert 2 * limit > max(lengths)
    index.check()


def test_the_loop_and_checkpoints_go_on_side_by_side(index: Index, path: Path) -> None:
    done, failed = threading.Event(), list[BaseException]()

    def checkpoints() -> None:
        try:
            for _ in range(10):
                files.checkpoint(path, 64 * 1024)
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)
        done.set()

    thread = threading.Thread(target=checkpoints)
    thread.start()
    written = 0
    while not done.is_set():
        written = index.put(row(b"d/%d" % (written % 500), ino=written)).seq
    thread.join()
    assert [] == failed
    index.check()
    assert written == index.max_seq() == index.since(written - 1, 9)[0].seq


def test_a_checkpoint_does_without_its_own_write_where_the_loop_leaves_no_gap(
    index: Index, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_WAIT", 0.05)
    for number in range(100):
        index.put(row(b"%d" % number))
    moved: list[int] = []
    with index.transaction():
        in_a_thread(lambda: moved.append(files.checkpoint(path)))
    assert moved[0] > 1


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_commit_waits_neither_for_the_disk_nor_for_a_checkpoint(index: Index) -> None:
    pragmas = ("journal_mode", "synchronous", "wal_autocheckpoint")
    assert [("wal",), (1,), (0,)] == [index._db.one(f"PRAGMA {pragma}") for pragma in pragmas]
