"""All or nothing: exceptions, nesting, kill -9 in the middle."""

import itertools
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from sidecar.core.entry import Kind, Stat
from sidecar.core.intent import Intent
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import Keep
from sidecar.errors import GeorootError, Retryable
from sidecar.index.faults import IndexBusy, IndexFull, IndexUnread, translated
from sidecar.index.store import Index
from tests.unit.index.conformance import row, version
from tests.unit.index.conftest import Opener
from tests.unit.index.writer import ROWS

A, B = RelPath(b"a"), RelPath(b"b")


class UndoneError(Exception):
    """What leaves a transaction."""


@contextmanager
def undone(index: Index) -> Iterator[None]:
    """A transaction that an exception leaves."""
    with suppress(UndoneError), index.transaction():
        yield
        raise UndoneError


def everything(index: Index, path: RelPath) -> None:
    """One write of every kind."""
    index.put(row(path))
    index.put_stat(row(path, ino=8))
    index.set_node("renamed")
    index.meet("ams", "ams", 1, 2, 3, 4)
    index.set_cursor("ams", "ams", 1, 99)
    index.intend([Intent(path, version(5), 6, b"batch/name")])
    index.add_conflict(path, b"h", 1)


def test_an_exception_undoes_all_that_was_written(index: Index) -> None:
    index.put(row(b"before"))
    with undone(index):
        everything(index, A)
    assert [b"before"] == [found.path for found in index.since(0, 9)]
    assert (1, 1, "", 1) == (index.max_seq(), index.rows_written, index.node, index.counts()[Kind.FILE])
    assert ([], [], []) == (index.peers(), index.intents(), index.conflicts())
    assert 2 == index.put(row(b"after")).seq


def test_an_inner_transaction_that_fails_is_undone_alone(opened: Opener) -> None:
    index = opened()
    with index.transaction():
        index.put(row(b"a"))
        with undone(index):
            everything(index, B)
        index.put(row(b"c"))
    index.close()
    assert [(b"a", 1), (b"c", 2)] == [(found.path, found.seq) for found in opened().since(0, 9)]


def test_what_an_inner_transaction_did_goes_with_the_outer_one(index: Index) -> None:
    with undone(index), index.transaction():
        everything(index, A)
    assert [] == index.since(0, 9)
    assert 0 == index.max_seq()


def test_the_rows_of_a_batch_and_its_cursor_are_one(opened: Opener) -> None:
    index = opened()
    with index.transaction():
        everything(index, A)
    index.close()
    again = opened()
    peer = again.peer("ams", "ams")
    assert peer is not None
    assert ([A], 99, [A]) == (
        [found.path for found in again.since(0, 9)],
        peer.cursor,
        [intent.path for intent in again.intents()],
    )


def test_a_commit_that_another_process_keeps_out_is_retryable(
    opened: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.index.database.BUSY_WAIT", 0.01)
    index = opened()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexBusy, match="another program has the index open: end it"):
            index.put(row(b"a"))
    assert 1 == index.put(row(b"a")).seq


def test_a_full_disk_undoes_the_transaction_and_ends_when_there_is_space_again(index: Index) -> None:
    index.put(row(b"before"))
    index._db.run("PRAGMA max_page_count = 80")
    with pytest.raises(IndexFull), index.transaction(), index.transaction():
        fill(index)
    assert ([b"before"], 1) == ([found.path for found in index.since(0, 9)], index.max_seq())
    index._db.run("PRAGMA max_page_count = 8000")
    assert 2 == index.put(row(b"after")).seq
    index.check()


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    ],
)
def test_a_disk_that_takes_no_writes_is_one_fault_however_sqlite_calls_it(code: int) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    assert isinstance(translated(error), IndexFull)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_FSTAT]
)
def test_a_disk_that_cannot_be_read_is_waited_for(code: int) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    told = translated(error)
    assert isinstance(told, IndexUnread) and isinstance(told, Retryable)


def test_what_is_put_off_in_a_transaction_is_seen_by_all_that_is_asked_in_it(index: Index) -> None:
    with index.transaction():
        for path in (b"d/a", b"d/b"):
            index.put(row(path))
            index.add_trash(RelPath(b"1/" + path), RelPath(path), some_stat(), b"h", Keep.DELETED, "ams", 1)
        assert [b"d/a", b"d/b"] == [found.path for found in index.children(RelPath(b"d"))]
        index.put(row(b"d/c"))
        index.put_stat(row(b"d/c", ino=8))
        index.put(row(b"d/a", ino=None))
        assert [b"d/c"] == [found.path for found in index.by_inode(8)]
        assert (2, 2) == (index.live_count(), index.trash_count())
        assert 2 == len(index.oldest_trash(9))


def test_what_is_remembered_goes_with_the_transaction(index: Index) -> None:
    index.put(row(A))
    index.add_trash(RelPath(b"1/1"), A, some_stat(), b"h", Keep.DELETED, "ams", 1)
    before = (index.get(A), index.get(B), index.live_count(), index.trash_bytes())
    with undone(index):
        index.put(row(A, ino=None))
        index.put(row(B))
        index.add_trash(RelPath(b"1/2"), A, some_stat(), b"h", Keep.DELETED, "ams", 1)
        assert before != (index.get(A), index.get(B), index.live_count(), index.trash_bytes())
    assert before == (index.get(A), index.get(B), index.live_count(), index.trash_bytes())


def test_rows_are_forgotten_when_they_are_many_and_what_was_put_off_is_written_before(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.index.rows.KNOWN", 2)
    with index.transaction():
        for number in range(5):
            index.put(row(b"%d" % number, ino=number))
            assert len(index._db.known) <= 2
        assert list(range(5)) == [
            found.stat.ino for n in range(5) if (found := index.get(RelPath(b"%d" % n))) and found.stat
        ]


def test_rows_that_were_read_ahead_are_those_that_are_there_and_are_not_asked_for_again(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [RelPath(b"%s%d" % (directory, number)) for directory in (b"", b"d/", b"d/e/") for number in range(150)]
    there = {path: index.put(row(path, ino=at)) for at, path in enumerate(paths) if at % 3}
    index._db.known.clear()
    index.look_ahead(paths)

    def asked(*_: object) -> list[object]:
        raise AssertionError("it is known")

    monkeypatch.setattr(index._db, "peek", asked)
    assert [there.get(path) for path in paths] == [index.get(path) for path in paths]


def test_what_was_put_off_is_read_ahead_as_it_will_be(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.index.rows.KNOWN", 8)
    paths = [RelPath(b"%d" % number) for number in range(20)]
    for path in paths:
        index.put(row(path, ino=1))
    with index.transaction():
        changed = [index.put(row(path, ino=7)) for path in paths[:10]]
        for part in (paths[:7], paths[10:], paths[3:10]):
            index.look_ahead(part)
        assert changed == [index.get(path) for path in paths[:10]]


def some_stat() -> Stat:
    stat = row(A).stat
    assert stat is not None
    return stat


def fill(index: Index) -> None:
    for number in itertools.count():
        index.put(row(b"d/%d" % number, ino=number))


def writer(path: Path, stop_at: int = 0) -> "subprocess.Popen[str]":
    """See writer.py."""
    return subprocess.Popen(
        (sys.executable, "-m", "tests.unit.index.writer", str(path), str(stop_at)),
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def killed(process: "subprocess.Popen[str]", last_line: str) -> int:
    """Kill -9 when it has said `last_line`; the last number that it said was committed."""
    committed = 0
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == last_line:
            process.send_signal(signal.SIGKILL)
        if line.strip().isdigit():
            committed = int(line)
    with process:
        pass
    assert -signal.SIGKILL == process.returncode
    return committed


def whole(index: Index, number: int) -> None:
    """Is transaction `number` there, all of it, and nothing of another?"""
    index.check()
    assert [version(number)] * ROWS == [found.version for found in index.beneath(ROOT)]
    peer = index.peer("ams", "ams")
    assert peer is not None
    assert (number, [version(number)]) == (peer.cursor, [intent.version for intent in index.intents()])
    assert (ROWS * number, ROWS) == (index.max_seq(), index.counts()[Kind.FILE])


def test_kill_in_the_middle_of_a_transaction_leaves_the_one_before(opened: Opener, path: Path) -> None:
    assert 3 == killed(writer(path, stop_at=4), "inside")
    index = opened()
    whole(index, 3)
    assert 3 * ROWS + 1 == index.put(row(b"new")).seq


@pytest.mark.parametrize("when", [1, 5, 17])
def test_kill_at_any_moment_leaves_whole_transactions(opened: Opener, path: Path, when: int) -> None:
    committed = killed(writer(path), str(when))
    index = opened()
    number = index.max_seq() // ROWS
    assert number >= committed >= when
    whole(index, number)


def test_a_statement_that_was_put_off_and_failed_undoes_all_even_if_somebody_goes_on(index: Index) -> None:
    before = index.put(row(b"before"))

    def goes_on() -> None:
        with index.transaction():
            index.put(row(b"page"))
            index._db._connection.execute("PRAGMA query_only = 1")
            with suppress(GeorootError):
                index.since(0, 10)
            index._db._connection.execute("PRAGMA query_only = 0")

    with pytest.raises(GeorootError):
        goes_on()
    assert ([before], 1, 1) == (index.since(0, 10), index.live_count(), index.max_seq())
    assert index.get(RelPath(b"page")) is None
    index.put(row(b"page"))
    assert 2 == index.live_count()
