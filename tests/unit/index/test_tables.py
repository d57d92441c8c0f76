"""What the engine keeps beside the rows: marks, tombstones' age, peers, intents, conflicts, trash."""

import msgspec
import pytest

from sidecar.core.entry import Dot, Flag, Kind, Row, Stat
from sidecar.core.intent import Intent
from sidecar.core.move import Move
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep
from sidecar.index import kept, rows
from sidecar.index.kept import Conflict, Trashed
from sidecar.index.peers import MAX_NODES, Forgotten, Peer
from sidecar.index.store import Index
from tests.unit.index.conformance import row, version
from tests.unit.index.conftest import Opener

A, B = RelPath(b"a"), RelPath(b"b")


def marked(path: bytes, flags: Flag) -> Row:
    plain = row(path)
    return Row(plain.path, plain.version, plain.stat, plain.hash, 0, flags)


# -- rows


def test_a_mark_finds_every_row_that_has_it_among_others(index: Index) -> None:
    for path, flags in (
        (b"racy", Flag.RACY),
        (b"both", Flag.RACY | Flag.HELD),
        (b"held", Flag.HELD),
        (b"none", Flag(0)),
    ):
        index.put(marked(path, flags))
    assert [b"both", b"racy"] == sorted(found.path for found in index.racy())
    assert [b"both", b"held"] == sorted(found.path for found in index.flagged(Flag.HELD))
    assert [] == index.flagged(Flag.FOUND)
    assert 1 == len(index.racy(limit=1))


def test_rows_with_a_mark_come_in_pages_while_they_lose_it(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PAGE", 3)
    for number in range(20):
        index.put(marked(b"%d" % number, Flag.FORGOTTEN | (Flag.RACY if number % 3 else Flag(0))))
        index.put(marked(b"other-%d" % number, Flag.HELD))
    seen: list[bytes] = []
    for found in index.each_flagged(Flag.FORGOTTEN):
        seen.append(found.path)
        index.put_stat(Row(found.path, found.version, found.stat, found.hash, found.seq))
    assert sorted(b"%d" % number for number in range(20)) == sorted(seen)
    assert 0 == index.count_flagged(Flag.FORGOTTEN)


def test_tombstones_are_told_by_age_oldest_first(index: Index) -> None:
    for path, counter, ino in ((b"young", 300, None), (b"old", 200, None), (b"older", 100, None), (b"live", 50, 7)):
        index.put(row(path, counter, ino))
    assert [b"older", b"old"] == [found.path for found in index.tombstones_older_than(300, 9)]
    assert [b"older"] == [found.path for found in index.tombstones_older_than(300, 1)]
    assert [b"old"] == [found.path for found in index.tombstones_older_than(300, 1, (100, 3))]


def test_a_deleted_directory_that_is_kept_here_is_no_tombstone_to_drop(index: Index) -> None:
    stat = Stat(Kind.DIR, 0, 1, 0o755, 7, 1)
    index.put(Row(A, version(100, Kind.TOMBSTONE), stat, flags=Flag.KEPT))
    assert [] == index.tombstones_older_than(300, 9)
    index.put_stat(Row(A, version(100, Kind.TOMBSTONE), None, seq=1))
    assert [A] == [found.path for found in index.tombstones_older_than(300, 9)]


def test_counts_follow_every_change_of_kind(opened: Opener) -> None:
    index = opened()
    index.put(row(b"a"))
    index.put(row(b"a", kind=Kind.DIR))
    index.put(row(b"b"))
    index.put_stat(row(b"b", ino=None))
    index.put(row(b"c", kind=Kind.SYMLINK))
    index.remove(RelPath(b"c"))
    index.close()
    assert {Kind.TOMBSTONE: 1, Kind.FILE: 0, Kind.DIR: 1, Kind.SYMLINK: 0} == opened().counts()


def test_rows_written_counts_every_write_and_nothing_else(index: Index) -> None:
    first = index.put(row(b"a"))
    index.put_stat(first)
    index.get(A)
    index.remove(A)
    index.remove(A)
    assert 3 == index.rows_written


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [
        (rows._GET, 2),
        (rows._SINCE, 2),
        (rows._BY_INODE, 1),
        (rows._CHILDREN, 1),
        (rows._LIVE_CHILDREN, 1),
        (rows._BENEATH, 4),
        (rows._OLD_TOMBSTONES, 4),
        (rows._PUT_STAT, 9),
        (rows._REMOVE, 2),
        (rows._select("WHERE flags IN (1, 3) AND flags <> 0"), 0),
        (rows._MARKED, 3),
        (kept._WITH_HASH, 1),
        (kept._OF_PATH, 1),
        (kept._OLDEST, 1),
        (kept._SINCE, 2),
        (kept._CONFLICT_WITH_HASH, 1),
        (kept._CONFLICTS_OF_PATH, 1),
    ],
)
def test_no_question_is_answered_by_reading_a_whole_table(index: Index, sql: str, arguments: int) -> None:
    plan = [step for *_, step in index._db.all(f"EXPLAIN QUERY PLAN {sql}", (0,) * arguments)]
    assert all(step.startswith("SEARCH ") or step.endswith("USING INDEX trash_by_time") for step in plan), plan


# -- peers


def test_a_peer_is_remembered_by_region_and_node(opened: Opener) -> None:
    index = opened()
    index.meet("ams", "ams-0", epoch=1, run=2, seq=3, now_us=10)
    index.meet("ams", "ams-1", epoch=4, run=5, seq=6, now_us=11)
    index.close()
    again = opened()
    assert [Peer("ams", "ams-0", 1, 2, 3, 0, 10, 10), Peer("ams", "ams-1", 4, 5, 6, 0, 11, 11)] == again.peers()
    assert again.peer("ams", "ams-2") is None
    again.forget_peer("ams", "ams-0", 12)
    assert ["ams-1"] == [peer.node for peer in again.peers()]
    assert [Forgotten("ams", "ams-0", 10, 12)] == again.forgotten()
    again.meet("ams", "ams-0", epoch=1, run=2, seq=3, now_us=13)
    assert [] == again.forgotten()


def test_of_one_region_only_the_nodes_that_spoke_last_are_remembered(index: Index) -> None:
    index.meet("fra", "fra", epoch=1, run=1, seq=1, now_us=1)
    for number in range(3 * MAX_NODES):
        index.meet("ams", f"ams-{number:02}", epoch=1, run=2, seq=3, now_us=100 + number)
        index.heard("ams", "ams-00", 4, 1000 + number)
    there = [peer.node for peer in index.peers()]
    assert ["ams-00", *(f"ams-{n}" for n in range(2 * MAX_NODES + 1, 3 * MAX_NODES)), "fra"] == there
    index.meet("ams", "set-back", epoch=1, run=2, seq=3, now_us=1)
    assert index.peer("ams", "set-back") is not None, "whoever speaks is remembered, whatever the clock says"


def test_the_latest_hundred_of_the_forgotten_are_remembered(index: Index) -> None:
    for number in range(103):
        index.meet("ams", f"ams-{number}", epoch=1, run=2, seq=3, now_us=number)
        index.forget_peer("ams", f"ams-{number}", 200 + number)
    assert list(range(3, 103)) == sorted(one.contact_us for one in index.forgotten())


def test_what_is_known_of_deletions_begins_later_and_later_until_rows_leave_without_one(index: Index) -> None:
    index.set_scope("all")
    for us, known in ((5, 5), (3, 5), (8, 8)):
        index.set_complete_since(us)
        assert known == index.complete_since_us
    index.set_scope("all")
    assert 8 == index.complete_since_us
    index.set_scope("not *.log")
    assert 0 == index.complete_since_us
    index.set_complete_since(9)
    index.set_incomplete()
    assert 0 == index.complete_since_us


def test_a_new_run_of_a_peer_keeps_what_was_settled(index: Index) -> None:
    index.meet("ams", "ams", epoch=1, run=2, seq=30, now_us=10)
    index.set_cursor("ams", "ams", 1, 25)
    index.meet("ams", "ams", epoch=1, run=3, seq=40, now_us=20)
    assert Peer("ams", "ams", 1, 3, 40, 25, 10, 20) == index.peer("ams", "ams")


def test_a_new_epoch_of_a_peer_forgets_what_was_settled(index: Index) -> None:
    index.meet("ams", "ams", epoch=1, run=2, seq=30, now_us=10)
    index.set_cursor("ams", "ams", 1, 25)
    index.meet("ams", "ams", epoch=9, run=3, seq=4, now_us=20)
    index.set_cursor("ams", "ams", 1, 30)
    assert Peer("ams", "ams", 9, 3, 4, 0, 10, 20) == index.peer("ams", "ams")


def test_the_highest_seq_seen_grows_with_heartbeats_and_cursors(index: Index) -> None:
    index.meet("ams", "ams", epoch=1, run=2, seq=3, now_us=10)
    index.heard("ams", "ams", 8, 11)
    index.heard("ams", "ams", 5, 12)
    assert Peer("ams", "ams", 1, 2, 8, 0, 10, 12) == index.peer("ams", "ams")
    index.set_cursor("ams", "ams", 1, 9)
    assert Peer("ams", "ams", 1, 2, 9, 9, 10, 12) == index.peer("ams", "ams")


# -- intents


def test_what_was_intended_is_there_after_a_crash_until_it_is_cleared(opened: Opener) -> None:
    intents = [Intent(A, version(1), (1 << 64) - 1, b"ams/b1/a"), Intent(B, version(2), came_from=A)]
    index = opened()
    index.intend([Intent(B, version(1)), *intents])
    index.close()
    again = opened()
    assert intents == again.intents()
    again.clear_intents([A])
    assert [B] == [intent.path for intent in again.intents()]
    again.clear_intents()
    assert [] == again.intents()


def test_a_rename_under_way_is_there_after_a_crash_until_it_is_over(opened: Opener) -> None:
    move = Move(A, B, Dot(5, (1 << 63) - 1), (1 << 64) - 1, 7, "ams", sure=False)
    index = opened()
    index.keep_move(move)
    index.clear_intents()
    index.close()
    again = opened()
    assert [move] == again.moves()
    again.keep_move(msgspec.structs.replace(move, sure=True))
    assert [True] == [kept.sure for kept in again.moves()]
    again.drop_move(move)
    assert [] == again.moves()


# -- conflicts


def test_bytes_are_kept_until_the_last_path_needs_them_no_more(index: Index) -> None:
    index.add_conflict(A, b"h1", 10)
    index.add_conflict(B, b"h1", 20)
    index.add_conflict(A, b"h2", 30)
    index.add_conflict(A, b"h1", 99)
    assert [Conflict(A, b"h1", 10), Conflict(A, b"h2", 30), Conflict(B, b"h1", 20)] == index.conflicts()
    assert [Conflict(B, b"h1", 20)] == index.conflicts(B)
    assert not index.drop_conflict(A, b"h1")
    assert index.has_conflict(b"h1")
    assert index.drop_conflict(B, b"h1")
    assert not index.has_conflict(b"h1")


# -- trash


def trashed(index: Index, name: bytes, path: RelPath, size: int, digest: bytes, at_us: int) -> Trashed:
    stat = Stat(
        Kind.FILE if digest else Kind.SYMLINK, size, -5, 0o644, (1 << 64) - 1, 5, target=b"" if digest else b"\xff"
    )
    index.add_trash(RelPath(name), path, stat, digest, Keep.REPLACED, "ams", at_us)
    return Trashed(RelPath(name), path, stat, digest, Keep.REPLACED, "ams", at_us)


def test_trash_is_listed_by_path_and_by_age(opened: Opener) -> None:
    index = opened()
    second = trashed(index, b"1/2", A, 20, b"h2", 200)
    first = trashed(index, b"1/1", A, 10, b"h1", 100)
    link = trashed(index, b"1/3", B, 1, b"", 300)
    index.close()
    again = opened()
    assert [second, first] == again.trash_of(A)
    assert [first, second] == again.oldest_trash(2)
    assert [second, link] == again.trash_since(200, 9)
    assert [second] == again.trash_since(200, 1)


def test_the_size_of_the_trash_follows_what_comes_and_goes(index: Index) -> None:
    trashed(index, b"1/1", A, 10, b"h1", 100)
    trashed(index, b"1/2", A, 20, b"h2", 200)
    assert (2, 30) == (index.trash_count(), index.trash_bytes())
    index.drop_trash(RelPath(b"1/1"))
    index.drop_trash(RelPath(b"1/1"))
    assert (1, 20) == (index.trash_count(), index.trash_bytes())


def test_bytes_are_found_in_the_trash_by_hash_the_youngest_first(index: Index) -> None:
    trashed(index, b"1/1", A, 10, b"h", 100)
    trashed(index, b"1/2", B, 10, b"h", 200)
    trashed(index, b"1/3", A, 1, b"", 300)
    assert b"1/2" == index.trash_with(b"h")
    assert index.trash_with(b"other") is None
    assert index.trash_with(b"") is None


def test_bytes_are_found_under_whatever_path_they_lie_page_by_page(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "HASH_PAGE", 3)
    for number in range(7):
        plain = row(b"d/%d" % number)
        index.put(Row(plain.path, plain.version, plain.stat, b"%d" % number * 16))
    index.put(row(b"gone", ino=None))
    assert (RelPath(b"d/1"), None) == index.with_hash(b"1" * 16, 0)
    assert [(None, 3), (None, 6), (None, 8), (None, None)] == [index.with_hash(b"9" * 16, at) for at in (0, 3, 6, 8)]
    assert (RelPath(b"d/5"), None) == index.with_hash(b"5" * 16, 3)
