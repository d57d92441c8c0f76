"""The sums that the index keeps are those of its rows, whatever is written, undone or brought forward."""

import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sidecar.core import compare
from sidecar.core.entry import Flag, Row
from sidecar.core.paths import ROOT, RelPath
from sidecar.index import sums
from sidecar.index.store import Index
from tests.unit.index.conformance import row
from tests.unit.index.conftest import Opener

FLAGS = (Flag(0), Flag.RACY, Flag.HELD, Flag.FOUND, Flag.RACY | Flag.HELD, Flag.KEPT)


def counted(index: Index) -> list[Row]:
    return [one for one in index.beneath(ROOT) if not one.flags & (Flag.HELD | Flag.FOUND)]


def expected(index: Index) -> compare.Sums:
    return compare.toggled(compare.EMPTY, (compare.sum_of(one.path, one.version) for one in counted(index)))


def written(index: Index, chance: random.Random) -> None:
    """Something happens to a row."""
    path = b"%d" % chance.randrange(12)
    made = row(path, chance.randrange(1, 1 << 60), ino=chance.choice((None, 7)))
    made = Row(made.path, made.version, made.stat, made.hash, 0, chance.choice(FLAGS))
    old = index.get(made.path)
    match chance.randrange(4):
        case 0 if old is not None:
            index.put_stat(Row(old.path, old.version, old.stat, old.hash, old.seq, chance.choice(FLAGS)))
        case 1:
            index.remove(made.path)
        case _:
            index.put(made)


@pytest.mark.parametrize("seed", range(5))
def test_they_follow_every_write_and_every_one_that_is_undone(index: Index, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        with suppress(KeyError), index.transaction():
            written(index, chance)
            written(index, chance)
            {True: 0}[chance.random() < 0.7]
        assert expected(index) == index.sums()


def test_they_are_there_at_the_next_start(opened: Opener) -> None:
    index = opened()
    index.put(row(b"a"))
    index.put(row(b"b"))
    before = index.sums()
    index.close()
    assert before == opened().sums() != compare.EMPTY


def test_an_older_index_is_summed_up_when_it_is_brought_forward(opened: Opener, path: Path) -> None:
    index = opened()
    for number in range(60):
        made = row(b"d/%d" % number, ino=number)
        index.put(Row(made.path, made.version, made.stat, made.hash, 0, FLAGS[number % len(FLAGS)]))
    before = index.sums()
    index.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        for trigger in ("rows_summed", "rows_unsummed", "rows_left_sums", "rows_joined_sums"):
            older.execute(f"DROP TRIGGER {trigger}")
        older.execute("DROP TABLE buckets")
        older.execute("ALTER TABLE rows DROP COLUMN summand")
        older.execute("ALTER TABLE node DROP COLUMN power_lost")
        older.execute("ALTER TABLE node DROP COLUMN scope")
        older.execute("DROP TABLE forgotten")
        older.execute("DROP TABLE moves")
        older.execute("PRAGMA user_version = 5")
    index = opened()
    assert before == index.sums() == expected(index)


def test_the_numbers_of_paths_are_those_of_rows_that_are_summed_up(index: Index) -> None:
    index.put(row(b"a"))
    index.put(row(b"dead", 100, ino=None))
    held = row(b"held")
    index.put(Row(held.path, held.version, held.stat, held.hash, 0, Flag.HELD))
    paths = [RelPath(path) for path in (b"a", b"dead", b"held", b"nowhere")]
    numbers = [compare.sum_of(one.path, one.version) for one in (row(b"a"), row(b"dead", 100, ino=None))]
    assert numbers == index.summands(paths)
    assert numbers[:1] == index.summands(paths, 101)
    assert numbers == index.summands(paths, 100)


def test_dead_rows_come_in_pages_oldest_first(index: Index) -> None:
    for number in range(7):
        index.put(row(b"dead-%d" % number, 100 + number // 2, ino=None))
    index.put(row(b"live", 50))
    found: list[tuple[int, int, int]] = []
    after = (-1, 0)
    while page := index.dead_summands(103, 2, after):
        found += page
        after = page[-1][:2]
    assert [100, 100, 101, 101, 102, 102] == [us for us, _, _ in found]
    assert {compare.sum_of(one.path, one.version) for one in index.tombstones_older_than(103, 9)} == {
        number for _, _, number in found
    }


def test_the_rows_of_a_bucket_are_found_in_pages(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "SCANNED", 50)
    for number in range(3000):
        index.put(row(b"%d" % number, ino=number))
    for number in range(0, 3000, 3):
        index.remove(RelPath(b"%d" % number))
    buckets, at = {1, 500, 1023}, 0
    found: list[Row] = []
    while True:
        rows, at = index.in_buckets(compare.mask_of(buckets), at)
        if not at:
            break
        found += rows
    there = [one for one in index.beneath(ROOT) if compare.bucket_of(one.path) in buckets]
    assert sorted(one.path for one in there) == sorted(one.path for one in found)
    assert found
