"""Every store of rows, held to the same suite; then SQLite against the dict over random histories."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sidecar.core.entry import Flag, Kind, Row
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.store import RowStore
from sidecar.index.store import Index
from tests.support.memory_index import MemoryIndex
from tests.support.memory_store import MemoryStore
from tests.unit.index import conformance

DIRECTORIES = [ROOT, *(RelPath(d) for d in (b"d", b"d/a", b"d!", b"d0", b"\xff"))]
PATHS = [RelPath(p) for p in (b"d", b"d/a", b"d/a/x", b"d/a/y", b"d!", b"d!/x", b"d0/x", b"\xff", b"\xff/\xff", b"a")]
INODES = [1, 2, (1 << 64) - 1]


class Forgetful(Index):
    """One that reads every row it is asked for."""

    def get(self, path: RelPath) -> Row | None:
        self._db.flush()
        self._db.known.clear()
        return super().get(path)


@pytest.mark.parametrize("case", conformance.CASES, ids=lambda case: case.__name__)
def test_sqlite(case: Callable[[RowStore], None], index: Index) -> None:
    case(index)


@pytest.mark.parametrize("case", conformance.CASES, ids=lambda case: case.__name__)
def test_sqlite_that_reads_every_row(case: Callable[[RowStore], None], tmp_path: Path) -> None:
    with closing(Forgetful.open(tmp_path / "index.db", lambda: 5)) as index:
        case(index)


@pytest.mark.parametrize("case", conformance.CASES, ids=lambda case: case.__name__)
def test_memory(case: Callable[[RowStore], None]) -> None:
    case(MemoryStore())


class SqliteIsTheDict(RuleBasedStateMachine):
    """Random writes, transactions that are undone, crashes: the index answers as a dict would."""

    kind = Index

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.index = self.reopened()
        self.model = MemoryIndex(lambda: 5)

    def reopened(self) -> Index:
        return self.kind.open(Path(self.folder.name) / "index.db", lambda: 5)

    def teardown(self) -> None:
        self.index.close()
        self.folder.cleanup()

    rows = st.builds(
        lambda path, counter, ino, kind, flags: Row(
            path, (r := conformance.row(path, counter, ino, kind)).version, r.stat, r.hash, 0, Flag(flags)
        ),
        st.sampled_from(PATHS),
        st.integers(1, 9),
        st.none() | st.sampled_from(INODES),
        st.sampled_from([Kind.FILE, Kind.DIR, Kind.SYMLINK]),
        st.integers(0, 15),
    )

    @rule(row=rows)
    def put(self, row: Row) -> None:
        assert self.model.put(row) == self.index.put(row)

    @rule(row=rows)
    def put_stat(self, row: Row) -> None:
        assert self.model.put_stat(row) == self.index.put_stat(row)

    @rule(path=st.sampled_from(PATHS))
    def remove(self, path: RelPath) -> None:
        self.model.remove(path)
        self.index.remove(path)

    @rule(writes=st.lists(st.tuples(rows, st.sampled_from(["put", "put_stat", "remove", "children"])), max_size=8))
    def many_writes(self, writes: list[tuple[Row, str]]) -> None:
        with self.index.transaction():
            for row, what in writes:
                match what:
                    case "put":
                        assert self.model.put(row) == self.index.put(row)
                    case "put_stat":
                        assert self.model.put_stat(row) == self.index.put_stat(row)
                    case "remove":
                        self.remove(row.path)
                    case _:
                        assert self.model.children(ROOT) == self.index.children(ROOT)
                assert self.model.get(row.path) == self.index.get(row.path)

    @rule(
        outer=st.lists(rows, max_size=3), inner=st.lists(rows, max_size=3), fails=st.sampled_from(["", "inner", "both"])
    )
    def transaction(self, outer: list[Row], inner: list[Row], fails: str) -> None:
        after = self.model.copy()
        try:
            with self.index.transaction():
                for row in outer:
                    assert after.put(row) == self.index.put(row)
                after = self.transact_inside(after, inner, fails)
                undo(fails == "both")
        except UndoneError:
            return
        self.model = after

    def transact_inside(self, before: MemoryIndex, rows: list[Row], fails: str) -> MemoryIndex:
        after = before.copy()
        try:
            with self.index.transaction():
                for row in rows:
                    assert after.put(row) == self.index.put(row)
                if rows:
                    after.remove(rows[-1].path)
                    self.index.remove(rows[-1].path)
                undo(bool(fails))
        except UndoneError:
            return before
        return after

    @rule()
    def crash_and_start(self) -> None:
        self.index.close()
        self.index = self.reopened()

    @rule()
    def checkpoint(self) -> None:
        self.index.checkpoint()

    @invariant()
    def same_answers(self) -> None:
        model, index = self.model, self.index
        assert model.max_seq() == index.max_seq()
        assert [model.get(path) for path in PATHS] == [index.get(path) for path in PATHS]
        everything = model.since(0, 99)
        assert everything == index.since(0, 99)
        for directory in DIRECTORIES:
            assert model.children(directory) == index.children(directory)
            assert list(model.beneath(directory)) == list(index.beneath(directory))
            live = [row for row in model.children(directory) if row.stat is not None]
            assert live == index.children(directory, live_only=True)
            live = [row for row in model.beneath(directory) if row.stat is not None]
            assert (
                live == list(index.beneath(directory, live_only=True)) == list(model.beneath(directory, live_only=True))
            )
            assert len(live) == index.count_beneath(directory)
        for ino in INODES:
            assert by_seq(model.by_inode(ino)) == by_seq(index.by_inode(ino))
        for flag in Flag:
            assert [r for r in everything if r.flags & flag] == by_seq(index.flagged(flag))
            assert len(index.flagged(flag)) == index.count_flagged(flag)
        for symlinks in (False, True):
            assert by_seq(model.found(99, symlinks=symlinks)) == by_seq(index.found(99, symlinks=symlinks))
        assert model.live_count() == index.live_count()
        assert model.sums() == index.sums()
        kinds = [row.stat.kind if row.stat is not None else Kind.TOMBSTONE for row in everything]
        assert {kind: kinds.count(kind) for kind in Kind} == index.counts()
        assert len(kinds) - kinds.count(Kind.TOMBSTONE) == index.live_count()
        assert index.counts() == {Kind(kind): n for kind, n in index._db.all("SELECT kind, n FROM row_counts")}


def by_seq(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.seq)


class UndoneError(Exception):
    """A transaction that is to be undone."""


def undo(yes: bool) -> None:
    if yes:
        raise UndoneError


class ForgetfulIsTheDict(SqliteIsTheDict):
    kind = Forgetful


TestSqliteIsTheDict = SqliteIsTheDict.TestCase
TestForgetfulIsTheDict = ForgetfulIsTheDict.TestCase
TestSqliteIsTheDict.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestForgetfulIsTheDict.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
