"""Opening an index: new, again, newer, older, another program's, damaged."""

import errno
import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sidecar.core.entry import Dot, Flag
from sidecar.core.intent import Intent
from sidecar.core.move import Move
from sidecar.core.paths import ROOT, RelPath
from sidecar.errors import EnvironmentFault, GeorootError
from sidecar.index import files, migrate
from sidecar.index.faults import IndexDamaged, IndexFull
from sidecar.index.node import Run, Stop
from sidecar.index.store import Index
from tests.unit.index.conformance import NOW_US, row, version
from tests.unit.index.conftest import Opener

OURS = max(migrate.steps())
NEXT = OURS + 1
MOVE = Move(RelPath(b"old"), RelPath(b"new"), Dot(5, 1), 7, 7, "ams", sure=False)


def raw(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What the last of `statements` finds, over a connection that knows nothing of ours."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


# -- new, and again


def test_a_new_index_says_so_and_has_an_epoch_of_its_own(index: Index) -> None:
    assert index.new
    assert (1001, "", 0, 0, True) == (
        index.epoch,
        index.node,
        index.complete_since_us,
        index.last_counter,
        index.finding,
    )


def test_what_was_set_is_there_after_a_crash(opened: Opener, path: Path) -> None:
    first = opened()
    first.set_node("msk-1")
    first.set_complete_since(5)
    first.set_last_counter(6)
    first.found_done()
    again = Index.open(crashed(path), lambda: 9)
    assert not again.new
    assert (1001, "msk-1", 5, 6, False) == (
        again.epoch,
        again.node,
        again.complete_since_us,
        again.last_counter,
        again.finding,
    )
    again.close()


def test_a_random_number_fits_into_63_bits_and_is_never_0(path: Path) -> None:
    index = Index.open(path, lambda: 1 << 64)
    assert 1 == index.epoch
    index.close()


def test_a_start_records_its_run_with_its_first_seq(opened: Opener) -> None:
    index = opened()
    assert 0 == index.run
    index.start_run("boot", 7)
    index.put(row(b"a"))
    index.put(row(b"a"))
    index.stop()
    index = opened()
    index.start_run("boot", 8)
    assert 1003 == index.run
    assert [Run(1002, 1, 7), Run(1003, 3, 8)] == index.runs()


def test_an_unclean_stop_is_told_from_a_clean_one(opened: Opener) -> None:
    index = opened()
    assert Stop(clean=True, boot_id="") == index.start_run("boot-1", 1)
    index.close()
    index = opened()
    stop = index.start_run("boot-2", 2)
    assert Stop(clean=False, boot_id="boot-1") == stop
    assert stop.lost_power("boot-2")
    assert not stop.lost_power("boot-1")
    index.stop()
    stop = opened().start_run("boot-3", 3)
    assert Stop(clean=True, boot_id="boot-2") == stop
    assert not stop.lost_power("boot-3")


def test_after_a_power_loss_everything_is_found_until_it_is_done_through_kills_too(opened: Opener) -> None:
    index = opened()
    index.start_run("boot-1", 1)
    index.found_done()
    index.close()
    index = opened()
    index.start_run("boot-1", 2)
    assert (False, False) == (index.finding, index.power_lost), "a kill is none"
    index.close()
    for boot in ("boot-2", "boot-2"):
        index = opened()
        index.start_run(boot, 3)
        assert (True, True) == (index.finding, index.power_lost)
        index.close()
    index = opened()
    index.found_done()
    assert (False, False) == (index.finding, index.power_lost)
    index.stop()
    index = opened()
    index.start_run("boot-3", 4)
    assert (False, False) == (index.finding, index.power_lost), "it stopped in order"


def intend(index: Index, path: bytes = b"a") -> None:
    index.intend([Intent(RelPath(path), version(1))])


def land(index: Index, path: bytes = b"a") -> None:
    """What a slice of one path does."""
    intend(index, path)
    with index.transaction():
        index.put(row(path))
        index.clear_intents()


def again(opened: Opener, *, index: Index) -> Index:
    """The next start, on the same boot, of one that was killed."""
    index.close()
    index = opened()
    index.start_run("boot", 2)
    return index


def back(path: Path, kept: Path) -> None:
    """The file system has lost what came after `kept`: of the log, not of names and times."""
    for part in (path, files.wal_of(path)):
        shutil.copy(kept.with_name(part.name), part)


@pytest.fixture
def running(opened: Opener) -> Index:
    """One that has run for a while."""
    index = opened()
    index.start_run("boot", 1)
    index.found_done()
    land(index, b"first")
    return index


def test_what_landed_and_is_not_in_the_log_any_more_is_found(running: Index, opened: Opener, path: Path) -> None:
    kept = crashed(path)
    land(running)
    running.close()
    back(path, kept)
    index = again(opened, index=running)
    assert (True, True) == (index.finding, index.power_lost)
    index.found_done()
    assert not again(opened, index=index).power_lost, "told once"


def test_so_is_what_the_log_tells_of_and_did_not_land(running: Index, opened: Opener, path: Path) -> None:
    told = os.stat(path.with_name(path.name + "-lock")).st_mtime_ns
    land(running)
    os.utime(path.with_name(path.name + "-lock"), ns=(told, told))
    assert again(opened, index=running).power_lost


def test_so_is_what_a_later_slice_put_there_than_the_one_that_was_intended(
    running: Index, opened: Opener, path: Path
) -> None:
    intend(running)
    kept = crashed(path)
    land(running)
    running.close()
    back(path, kept)
    assert again(opened, index=running).power_lost


def test_so_is_a_directory_that_was_renamed(running: Index, opened: Opener, path: Path) -> None:
    kept = crashed(path)
    running.keep_move(MOVE)
    running.close()
    back(path, kept)
    assert again(opened, index=running).power_lost


def test_a_kill_is_no_power_loss_wherever_it_comes(
    running: Index, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        nonlocal running
        running = again(opened, index=running)
        assert not running.power_lost

    killed()
    intend(running)  # before the renames, or before the rows
    killed()
    running.clear_intents()  # nothing of it had landed
    killed()
    land(running)
    killed()
    running.keep_move(MOVE)
    killed()
    running.drop_move(MOVE)
    killed()
    intend(running)
    with suppress(ZeroDivisionError), running.transaction():
        running.put(row(b"a"))
        running.clear_intents()
        raise ZeroDivisionError  # the rows cannot be written
    killed()
    monkeypatch.setattr(files, "tell_landing", lambda _lock, _landing: None)
    intend(running)  # before the volume is told
    monkeypatch.undo()
    killed()


@pytest.mark.parametrize("when_ns", [NOW_US * 1000, 0], ids=["an older release made it", "no such times are kept"])
def test_a_lock_that_says_nothing_proves_nothing(running: Index, opened: Opener, path: Path, when_ns: int) -> None:
    os.utime(path.with_name(path.name + "-lock"), ns=(when_ns, when_ns))
    assert not again(opened, index=running).power_lost


def test_nor_does_one_that_another_user_made(
    running: Index, opened: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He may write to it, by its group, and so set its time to now, but to nothing else."""
    utime = os.utime

    def refuses(lock: int, *, ns: tuple[int, int] | None = None) -> None:
        if ns is not None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        utime(lock)

    monkeypatch.setattr(os, "utime", refuses)
    land(running)
    index = again(opened, index=running)
    assert not index.power_lost
    land(index)
    assert not again(opened, index=index).power_lost


def test_a_new_index_beside_an_old_lock_is_not_behind(running: Index, opened: Opener, path: Path) -> None:
    running.close()
    files.quarantine(path, 1)
    index = opened()
    index.start_run("boot", 2)
    index.found_done()
    index.close()
    index = opened()
    index.start_run("boot", 3)
    assert not index.power_lost


def test_a_disk_that_fails_is_told_as_what_may_pass(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_fd: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(IndexFull, match="its disk fails"):
        index.sync()


def test_a_new_epoch_knows_only_the_run_that_began_it(opened: Opener) -> None:
    index = opened()
    index.start_run("boot", 1)
    index.stop()
    index = opened()
    index.start_run("boot", 2)
    index.put(row(b"a"))
    assert 1004 == index.renew_epoch(3) == index.epoch
    assert [Run(1003, 2, 3)] == index.runs()


def test_seq_goes_on_where_it_was_though_the_last_row_was_removed(opened: Opener) -> None:
    index = opened()
    index.put(row(b"a"))
    index.put(row(b"b"))
    index.remove(RelPath(b"b"))
    index.close()
    again = opened()
    assert 2 == again.max_seq()
    assert 3 == again.put(row(b"c")).seq


# -- other schemas


def test_the_steps_are_numbered_without_a_gap() -> None:
    assert list(range(1, OURS + 1)) == list(migrate.steps())


def test_an_older_index_is_copied_and_brought_forward(
    opened: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened()
    index.put(row(b"a"))
    index.close()
    newer = migrate.steps() | {
        NEXT: "-- a column; and a comment\nALTER TABLE node ADD COLUMN motto TEXT;\nDELETE FROM rows;"
    }
    monkeypatch.setattr(migrate, "steps", lambda: newer)
    assert [] == opened().since(0, 9)
    assert [(NEXT,)] == raw(path, "PRAGMA user_version")
    assert [(None,)] == raw(path, "SELECT motto FROM node")
    monkeypatch.undo()
    kept = Index.open(path.with_name(f"index.db.v{OURS}"), lambda: 9)
    assert [b"a"] == [kept_row.path for kept_row in kept.since(0, 9)]
    kept.close()


def test_a_step_that_fails_leaves_the_index_as_it_was(
    opened: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened()
    index.put(row(b"a"))
    index.close()
    broken = migrate.steps() | {NEXT: "DELETE FROM rows;\nUPDATE nowhere SET at_all = 1;"}
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "steps", lambda: broken)
        with pytest.raises(Exception, match="no such table: nowhere"):
            opened()
    assert [b"a"] == [kept.path for kept in opened().since(0, 9)]
    assert [(OURS,)] == raw(path, "PRAGMA user_version")


def test_a_newer_schema_is_refused_with_a_hint_and_left_alone(opened: Opener, path: Path) -> None:
    opened().close()
    raw(path, f"PRAGMA user_version = {NEXT}")
    before = path.read_bytes()
    with pytest.raises(EnvironmentFault) as caught:
        opened()
    assert (3, f"its index has schema {NEXT}, this release knows {OURS}") == (
        caught.value.exit_code,
        caught.value.problem,
    )
    assert "run the newer release" in caught.value.hint
    assert before == path.read_bytes()


# -- not an index


@pytest.mark.parametrize(
    "content",
    [b"this is no database, though it is long enough to be one. " * 99, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_file_that_is_no_database_is_damaged(opened: Opener, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(IndexDamaged):
        opened()
    assert content == path.read_bytes()


def test_another_program_s_database_is_no_index(opened: Opener, path: Path) -> None:
    raw(path, "CREATE TABLE theirs (x)")
    with pytest.raises(IndexDamaged, match="another program"):
        opened()


def test_rows_without_an_owner_are_damage(opened: Opener, path: Path) -> None:
    index = opened()
    index.put(row(b"a"))
    index.close()
    raw(path, "DELETE FROM node")
    with pytest.raises(IndexDamaged, match="whose"):
        opened()


def test_one_process_has_it_open_at_a_time(opened: Opener) -> None:
    index = opened()
    with pytest.raises(EnvironmentFault, match="another sidecar"):
        opened()
    index.close()
    assert not opened().new


def test_nothing_of_it_is_mapped(index: Index, path: Path) -> None:
    """Who writes to what is mapped is ended by a full disk or quota of a file system that copies on write."""
    index.put(row(b"a"))
    assert index.checkpoint() > 0
    assert str(path) not in Path("/proc/self/maps").read_text("utf-8")
    assert {"index.db", "index.db-wal", "index.db-lock"} == {file.name for file in path.parent.iterdir()}


@pytest.mark.parametrize("name", ["a b", "a?mode=ro", "a%20b", "a#b", "\udcff"])
def test_it_may_lie_anywhere(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    Index.open(tmp_path / name / "index.db", lambda: 9).close()
    assert {"index.db", "index.db-lock"} == {file.name for file in (tmp_path / name).iterdir()}


def test_an_empty_file_is_a_new_index(opened: Opener, path: Path) -> None:
    path.touch()
    assert opened().new


def test_an_index_that_cannot_be_opened_is_an_environment_fault(path: Path) -> None:
    with pytest.raises(EnvironmentFault):
        Index.open(path / "no" / "such" / "folder", lambda: 9)


def test_a_damaged_index_is_set_aside_whole_and_a_new_one_begins(opened: Opener, path: Path) -> None:
    path.write_bytes(b"garbage" * 999)
    files.wal_of(path).write_bytes(b"its log")
    aside = files.quarantine(path, 42)
    assert (b"garbage" * 999, b"its log") == (aside.read_bytes(), files.wal_of(aside).read_bytes())
    assert "index.db.damaged-42" == aside.name
    assert opened().new


@pytest.mark.parametrize("seed", range(60))
def test_whatever_bytes_are_flipped_only_our_errors_come_out(opened: Opener, path: Path, seed: int) -> None:
    index = opened()
    with index.transaction():
        for number in range(300):
            index.put(row(b"d/%d" % number, ino=number))
    index.close()
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 8, 64])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content[: chance.choice([len(content), len(content), chance.randrange(len(content))])])
    try:
        index = opened()
        index.check()
        for found in index.beneath(ROOT):
            index.get(found.path)
        index.flagged(Flag.RACY)
        index.by_inode(5)
        index.counts()
        index.sums()
        index.peers()
    except GeorootError:
        pass


def crashed(path: Path) -> Path:
    """The files as a kill -9 at this moment leaves them, under another name."""
    folder = path.parent / "crashed"
    folder.mkdir()
    for part in (path, files.wal_of(path)):
        shutil.copy(part, folder)
    return folder / path.name
