"""What every store of rows must do: functions over `RowStore`, run by test_conformance.py against each of them."""

from collections.abc import Callable
from typing import Final

from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat, Version
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.store import RowStore

RUN: Final = (1 << 63) - 1
NOW_US: Final = 1_764_000_000_000_000


def version(counter: int, kind: Kind = Kind.FILE) -> Version:
    return Version(((RUN, counter),), (Head(Dot(counter, RUN), kind),))


def row(path: bytes, counter: int = NOW_US, ino: int | None = 7, kind: Kind = Kind.FILE) -> Row:
    """A row of `path`, a tombstone's if `ino` is None."""
    if ino is None:
        return Row(RelPath(path), version(counter, Kind.TOMBSTONE))
    stat = Stat(kind, 4096, NOW_US * 1000, 0o644, ino, NOW_US * 1000 + 1, NOW_US * 1000)
    return Row(RelPath(path), version(counter, kind), stat, bytes(range(16)) if kind is Kind.FILE else b"")


def of(rows: object) -> list[bytes]:
    """The paths of `rows`."""
    assert hasattr(rows, "__iter__")
    return [row.path for row in rows]


def a_path_without_a_row_has_none(store: RowStore) -> None:
    store.put(row(b"a/b"))
    assert store.get(RelPath(b"a")) is None
    assert store.get(RelPath(b"b")) is None
    assert store.get(RelPath(b"a/b/")) is None


def what_is_put_is_what_is_got(store: RowStore) -> None:
    head = Head(Dot(NOW_US, 1), Kind.FILE, 1 << 40, -1, 0o7777, bytes(16))
    loser = Head(Dot(3, RUN), Kind.SYMLINK, target=b"\xff/\n")
    stat = Stat(Kind.SYMLINK, 3, -1, 0o777, (1 << 64) - 1, 1 << 62, 0, b"\xff/\n")
    rich = Row(
        RelPath(b"d/x"), Version(((1, NOW_US), (RUN, 3)), (loser, head)), stat, b"\0" * 16, 0, Flag.RACY | Flag.HELD
    )
    for one in (rich, Row(RelPath(b"blank")), row(b"file"), row(b"gone", ino=None)):
        put = store.put(one)
        assert Row(one.path, one.version, one.stat, one.hash, put.seq, one.flags) == put == store.get(one.path)


def names_are_any_bytes(store: RowStore) -> None:
    names = [
        b"\n",
        b"#a",
        b";",
        b"\xff" * 255,
        b"\xff" * 255 + b"/x",
        b"a b",
        b"%",
        b"'",
        b"\x01",
        b"d/\xff\xfe",
        b"d/d/d/\x01",
    ]
    for name in names:
        store.put(row(name))
    assert sorted(names) == sorted(of(store.beneath(ROOT)))
    assert [names, names] == [of(store.since(0, 99)), [got.path for n in names if (got := store.get(RelPath(n)))]]


def every_put_gets_the_next_seq(store: RowStore) -> None:
    assert 0 == store.max_seq()
    assert [1, 2, 3] == [store.put(row(path)).seq for path in (b"a", b"b", b"a")]
    assert 3 == store.max_seq()


def the_seq_of_a_row_that_is_put_does_not_count(store: RowStore) -> None:
    stale = store.put(row(b"a"))
    store.put(row(b"a"))
    store.put(row(b"b"))
    assert 4 == store.put(stale).seq
    assert [b"b", b"a"] == of(store.since(0, 9))


def since_tells_every_path_once_in_the_order_of_its_last_change(store: RowStore) -> None:
    for path in (b"a", b"b", b"c", b"a"):
        store.put(row(path))
    assert [b"b", b"c", b"a"] == of(store.since(0, 9))
    assert [b"c", b"a"] == of(store.since(2, 9))
    assert [b"b", b"c"] == of(store.since(0, 2))
    assert [] == store.since(4, 9)


def put_stat_changes_stat_hash_and_flags_alone(store: RowStore) -> None:
    first = store.put(row(b"a", 1, ino=7))
    store.put(row(b"b"))
    looked = Row(first.path, first.version, row(b"a", ino=8).stat, b"h" * 16, first.seq, Flag.RACY)
    assert looked == store.put_stat(looked) == store.get(RelPath(b"a"))
    assert [b"a", b"b"] == of(store.since(0, 9))
    assert 2 == store.max_seq()


def put_stat_of_a_stale_row_keeps_the_version_that_is_stored(store: RowStore) -> None:
    stale = store.put(row(b"a", 1))
    newer = store.put(row(b"a", 2))
    expected = Row(newer.path, newer.version, None, b"", newer.seq, Flag.KEPT)
    assert expected == store.put_stat(Row(stale.path, stale.version, None, b"", stale.seq, Flag.KEPT))
    assert expected == store.get(RelPath(b"a"))


def put_stat_of_a_path_without_a_row_puts_it(store: RowStore) -> None:
    store.put(row(b"a"))
    new = row(b"d", kind=Kind.DIR)
    assert 2 == store.put_stat(new).seq
    assert [b"a", b"d"] == of(store.since(0, 9))


def a_removed_row_is_gone_and_its_seq_is_not_given_again(store: RowStore) -> None:
    store.put(row(b"a"))
    store.put(row(b"b"))
    store.remove(RelPath(b"b"))
    store.remove(RelPath(b"never"))
    assert store.get(RelPath(b"b")) is None
    assert 2 == store.max_seq()
    assert 3 == store.put(row(b"c")).seq


def children_are_the_names_in_a_directory_with_tombstones(store: RowStore) -> None:
    for path, ino in ((b"d", 1), (b"d/b", 2), (b"d/a", None), (b"d/a/x", 3), (b"d!", 4), (b"d0", 5), (b"e/a", 6)):
        store.put(row(path, ino=ino))
    assert [b"d/a", b"d/b"] == of(store.children(RelPath(b"d")))
    assert [b"d/a/x"] == of(store.children(RelPath(b"d/a")))
    assert [b"d", b"d!", b"d0"] == of(store.children(ROOT))
    assert [] == of(store.children(RelPath(b"d/b")))


def beneath_is_the_subtree_a_directory_before_what_is_in_it(store: RowStore) -> None:
    inside = [b"d/a", b"d/b", b"d/a/x", b"d/a/y", b"d/a/x/1", b"d/a!/z"]
    for path in (b"d", b"d!", b"d!/a", b"d0", b"d0/a", b"e/d/a", b"dd", *reversed(inside)):
        store.put(row(path))
    found = of(store.beneath(RelPath(b"d")))
    assert sorted(inside) == sorted(found)
    assert found.index(b"d/a") < found.index(b"d/a/x") < found.index(b"d/a/x/1")
    assert 13 == len(of(store.beneath(ROOT)))
    assert [] == of(store.beneath(RelPath(b"d/b")))


def rows_may_be_written_while_a_subtree_is_read(store: RowStore) -> None:
    count = 2500
    for number in range(count):
        store.put(row(b"d/%04d" % number))
    seen = []
    for found in store.beneath(RelPath(b"d")):
        seen.append(found.path)
        if len(seen) % 2:
            store.put(found)
        else:
            store.remove(found.path)
    assert [b"d/%04d" % number for number in range(count)] == seen
    assert count // 2 == len(list(store.beneath(ROOT)))


def an_inode_tells_what_lies_there_and_nothing_else(store: RowStore) -> None:
    upper = (1 << 63) + 5
    for path, ino in ((b"a", 7), (b"link", 7), (b"b", upper), (b"c", 5), (b"gone", None)):
        store.put(row(path, ino=ino))
    assert [b"a", b"link"] == sorted(of(store.by_inode(7)))
    assert [b"b"] == of(store.by_inode(upper))
    store.put(row(b"a", ino=None))
    store.put_stat(row(b"link", ino=9))
    assert [] == of(store.by_inode(7))
    assert [b"link"] == of(store.by_inode(9))


CASES: Final[tuple[Callable[[RowStore], None], ...]] = (
    a_path_without_a_row_has_none,
    what_is_put_is_what_is_got,
    names_are_any_bytes,
    every_put_gets_the_next_seq,
    the_seq_of_a_row_that_is_put_does_not_count,
    since_tells_every_path_once_in_the_order_of_its_last_change,
    put_stat_changes_stat_hash_and_flags_alone,
    put_stat_of_a_stale_row_keeps_the_version_that_is_stored,
    put_stat_of_a_path_without_a_row_puts_it,
    a_removed_row_is_gone_and_its_seq_is_not_given_again,
    children_are_the_names_in_a_directory_with_tombstones,
    beneath_is_the_subtree_a_directory_before_what_is_in_it,
    rows_may_be_written_while_a_subtree_is_read,
    an_inode_tells_what_lies_there_and_nothing_else,
)
