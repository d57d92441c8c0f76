"""What every disk must do: the same cases over the real web root and over the one of the simulation."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from sidecar.core.entry import Dot, Head, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import (
    CopyOf,
    Disk,
    InUse,
    Itself,
    Keep,
    Missing,
    Moved,
    NotEmpty,
    Out,
    Staged,
    Stored,
    Surprise,
)
from sidecar.engine.disk import RootDisk
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from tests.support.memory_disk import MemoryDisk, digest_of, excluded
from tests.support.simholds import Limits
from tests.support.simnode import SimNode

A: Final = RelPath(b"a")
B: Final = RelPath(b"b")
IN_A: Final = RelPath(b"a/x")
MTIME: Final = 1_700_000_000_123_456_789
_NEVER: Final = Stat(Kind.FILE, 3, MTIME, 0o640, 1, 1)


class Real:
    """The real one, on a real file system."""

    def __init__(self, volume: Path) -> None:
        self._html = volume / "html"
        self._inbox = volume / ".sidecar" / "inbox"
        self._html.mkdir()
        state = volume / ".sidecar"
        self._open: list[int] = []
        self.root = WebRoot(str(self._html), str(state), str(self._inbox))
        self.index = Index.open(state / "index.db", lambda: 7)
        self.disk = RootDisk(
            self.root, self.index, excluded=excluded, open_wait=30.0, now_us=lambda: 5, touched=lambda path: None
        )

    def close(self) -> None:
        for fd in self._open:
            os.close(fd)
        self.index.close()
        self.root.close()

    def write(self, path: bytes, content: bytes) -> None:
        (self._html / os.fsdecode(path)).write_bytes(content)

    def mkdir(self, path: bytes) -> None:
        (self._html / os.fsdecode(path)).mkdir(mode=0o755)

    def stage(self, name: bytes, content: bytes) -> Staged:
        batch = self._inbox / "ams" / "b1"
        batch.mkdir(parents=True, exist_ok=True)
        (batch / os.fsdecode(name)).write_bytes(content)
        stat, digest = self.root.inbox.hash(RelPath(b"ams/b1/" + name))
        return Staged("ams/b1", name, digest, stat.ino)

    def read(self, path: bytes) -> bytes:
        return (self._html / os.fsdecode(path)).read_bytes()

    def hold_open(self, path: bytes) -> None:
        self._open.append(os.open(self._html / os.fsdecode(path), os.O_WRONLY))


class Simulated:
    """The one of the simulation."""

    def __init__(self) -> None:
        self._ns = 1
        self._node = SimNode(
            "a", [], self._now, 0, 0, lambda: 1, {}, Limits(), lambda *_: None, lambda _: None, lambda _: None
        )
        self.disk: MemoryDisk = self._node.disk

    def _now(self) -> int:
        self._ns += 1
        return self._ns

    def close(self) -> None:
        pass

    def write(self, path: bytes, content: bytes) -> None:
        self._node.write(RelPath(path), content, in_place=True, keep_mtime=False)

    def mkdir(self, path: bytes) -> None:
        self._node.mkdir(RelPath(path))

    def stage(self, name: bytes, content: bytes) -> Staged:
        inode = self.disk.make(Kind.FILE, content)
        self.disk.inbox["ams/b1", name] = inode
        return Staged("ams/b1", name, digest_of(content), inode.ino)

    def read(self, path: bytes) -> bytes:
        return self.disk.files[RelPath(path)].content

    def hold_open(self, path: bytes) -> None:
        self.disk.open.add(self.disk.files[RelPath(path)].ino)


Bench: TypeAlias = Real | Simulated


@pytest.fixture(params=["real", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Real(tmp_path) if request.param == "real" else Simulated()
    yield made
    made.close()


def head(content: Staged | bytes, kind: Kind = Kind.FILE, size: int = 3, mode: int = 0o640) -> Head:
    digest = content.hash if isinstance(content, Staged) else content
    return Head(Dot(1, 1), kind, size if kind is Kind.FILE else 0, MTIME, mode, digest)


def seen(disk: Disk, path: RelPath) -> Stat:
    stat = disk.look(path)
    assert stat is not None
    return stat


def out(disk: Disk, path: RelPath, keep: Keep = Keep.REPLACED) -> Out:
    stat = seen(disk, path)
    return Out(stat, disk.digest(path)[1] if stat.kind is Kind.FILE else b"", keep)


def test_a_staged_file_appears_as_its_head_says(bench: Bench) -> None:
    staged = bench.stage(b"a", b"new")
    stat = bench.disk.put(A, head(staged), staged, None)
    assert (b"new", stat) == (bench.read(A), bench.disk.look(A))
    assert (Kind.FILE, 3, MTIME, 0o640) == (stat.kind, stat.size, stat.mtime_ns, stat.mode)


def test_nothing_is_put_where_something_lies(bench: Bench) -> None:
    bench.write(A, b"old")
    staged = bench.stage(b"a", b"new")
    with pytest.raises(Surprise):
        bench.disk.put(A, head(staged), staged, None)
    assert b"old" == bench.read(A)


def test_nothing_is_put_beneath_what_is_no_directory(bench: Bench) -> None:
    staged = bench.stage(b"a", b"new")
    with pytest.raises(Surprise):
        bench.disk.put(IN_A, head(staged), staged, None)


def test_what_is_replaced_is_kept_in_the_trash(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves, staged = out(bench.disk, A), bench.stage(b"a", b"new")
    bench.disk.put(A, head(staged), staged, leaves)
    assert b"new" == bench.read(A)
    assert (True, False) == (bench.disk.have(leaves.hash), bench.disk.kept(leaves.hash))


def test_a_losers_bytes_are_kept_until_they_are_released(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves, staged = out(bench.disk, A, Keep.CONFLICT), bench.stage(b"a", b"new")
    bench.disk.put(A, head(staged), staged, leaves)
    assert bench.disk.kept(leaves.hash)
    bench.disk.release(A, (leaves.hash,))
    assert (True, False) == (bench.disk.have(leaves.hash), bench.disk.kept(leaves.hash))


def test_what_changed_since_it_was_looked_at_is_not_replaced(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves, staged = out(bench.disk, A), bench.stage(b"a", b"new")
    bench.write(A, b"older")
    with pytest.raises(Surprise):
        bench.disk.put(A, head(staged), staged, leaves)
    assert b"older" == bench.read(A)


def test_what_is_being_written_is_not_replaced(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves, staged = out(bench.disk, A), bench.stage(b"a", b"new")
    bench.hold_open(A)
    with pytest.raises(InUse):
        bench.disk.put(A, head(staged), staged, leaves)
    assert bench.disk.being_written(A)
    assert b"old" == bench.read(A)


def a_directory(bench: Bench) -> dict[RelPath, Out]:
    bench.mkdir(A)
    bench.write(IN_A, b"old")
    return {IN_A: out(bench.disk, IN_A, Keep.DELETED)}


def symlink() -> Head:
    return Head(Dot(1, 1), Kind.SYMLINK, mtime_ns=MTIME, target=b"b")


def test_a_directory_leaves_with_all_that_is_in_it_and_each_file_is_kept(bench: Bench) -> None:
    beneath = a_directory(bench)
    stat = bench.disk.put(A, symlink(), Itself(), out(bench.disk, A), beneath)
    assert (Kind.SYMLINK, b"b", stat) == (stat.kind, stat.target, bench.disk.look(A))
    assert bench.disk.have(beneath[IN_A].hash)
    bench.disk.put(B, head(beneath[IN_A].hash), Stored(beneath[IN_A].hash), None)
    assert b"old" == bench.read(B)


def test_a_directory_in_which_something_else_lies_does_not_leave(bench: Bench) -> None:
    beneath = a_directory(bench)
    bench.write(b"a/new", b"new")
    with pytest.raises(Surprise):
        bench.disk.put(A, symlink(), Itself(), out(bench.disk, A), beneath)
    assert (b"old", b"new") == (bench.read(IN_A), bench.read(b"a/new"))


def test_a_directory_in_which_something_changed_does_not_leave(bench: Bench) -> None:
    beneath = a_directory(bench)
    bench.write(IN_A, b"older")
    with pytest.raises(Surprise):
        bench.disk.put(A, symlink(), Itself(), out(bench.disk, A), beneath)
    assert b"older" == bench.read(IN_A)


def test_a_directory_in_which_something_is_being_written_does_not_leave(bench: Bench) -> None:
    beneath = a_directory(bench)
    bench.hold_open(IN_A)
    with pytest.raises(InUse) as raised:
        bench.disk.put(A, symlink(), Itself(), out(bench.disk, A), beneath)
    assert (IN_A, b"old") == (raised.value.path, bench.read(IN_A))


def test_what_is_excluded_leaves_with_its_directory(bench: Bench) -> None:
    beneath = a_directory(bench)
    bench.write(b"a/notes~", b"excluded")
    bench.disk.put(A, symlink(), Itself(), out(bench.disk, A), beneath)
    assert Kind.SYMLINK is seen(bench.disk, A).kind


# -- a directory as a whole


def all_in(disk: Disk, path: RelPath) -> dict[RelPath, Stat]:
    return dict(itertools.chain.from_iterable(disk.tree(path)))


def kinds_in(disk: Disk, path: RelPath) -> dict[RelPath, Kind]:
    return dict(itertools.chain.from_iterable(disk.kinds(path)))


def test_all_that_lies_beneath_a_directory_is_told_and_by_listings_with_what_is_excluded(bench: Bench) -> None:
    a_directory(bench)
    bench.write(b"a/notes~", b"excluded")
    told = all_in(bench.disk, A)
    assert RelPath(b"a/notes~") not in told
    assert told == {path: seen(bench.disk, path) for path in told}
    kinds = {path: stat.kind for path, stat in told.items()}
    assert {RelPath(b"a/notes~"): Kind.FILE, **kinds} == kinds_in(bench.disk, A)
    assert IN_A in told
    assert {} == all_in(bench.disk, B)
    with pytest.raises(Surprise):
        kinds_in(bench.disk, B)


def test_a_directory_is_renamed_with_all_that_is_in_it(bench: Bench) -> None:
    a_directory(bench)
    before, inside = seen(bench.disk, A), all_in(bench.disk, A)
    after = bench.disk.rename(A, B, before)
    assert (before.kind, before.ino, before.mode, before.btime_ns) == (
        after.kind,
        after.ino,
        after.mode,
        after.btime_ns,
    )
    assert bench.disk.look(A) is None
    moved = all_in(bench.disk, B)
    assert {RelPath(b"b" + path[1:]): stat for path, stat in inside.items()} == moved, "a stat has changed"


def test_it_is_not_renamed_over_something_or_into_nothing_or_as_another(bench: Bench) -> None:
    a_directory(bench)
    before = seen(bench.disk, A)
    with pytest.raises(Surprise):
        bench.disk.rename(A, RelPath(b"nowhere/b"), before)
    bench.mkdir(b"b")
    with pytest.raises(Surprise):
        bench.disk.rename(A, B, before)
    with pytest.raises(Surprise):
        bench.disk.rename(B, RelPath(b"c"), before)
    assert bench.disk.look(A) is not None
    assert bench.disk.look(RelPath(b"c")) is None


def test_what_is_being_written_is_not_removed(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves = out(bench.disk, A, Keep.DELETED)
    bench.hold_open(A)
    with pytest.raises(InUse):
        bench.disk.remove(A, leaves)
    assert b"old" == bench.read(A)


def test_a_staged_file_that_is_gone_is_missing(bench: Bench) -> None:
    staged = bench.stage(b"a", b"new")
    with pytest.raises(Missing):
        bench.disk.put(A, head(staged), Staged(staged.batch, b"other", staged.hash, staged.ino), None)


def test_stored_bytes_are_copied_and_stay(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves = out(bench.disk, A, Keep.DELETED)
    bench.disk.remove(A, leaves)
    bench.disk.put(B, head(leaves.hash), Stored(leaves.hash), None)
    assert b"old" == bench.read(B)
    assert bench.disk.have(leaves.hash)


def test_bytes_that_were_never_stored_are_missing(bench: Bench) -> None:
    with pytest.raises(Missing):
        bench.disk.put(A, head(b"?" * 16), Stored(b"?" * 16), None)


def test_a_copy_leaves_the_other_where_it_is(bench: Bench) -> None:
    bench.write(A, b"old")
    stat, digest = bench.disk.digest(A)
    bench.disk.put(B, head(digest), CopyOf(A, stat), None)
    assert (b"old", b"old") == (bench.read(A), bench.read(B))


def test_a_move_takes_the_other_along(bench: Bench) -> None:
    bench.write(A, b"old")
    stat, digest = bench.disk.digest(A)
    moved = bench.disk.put(B, head(digest), Moved(A, stat), None)
    assert (None, b"old") == (bench.disk.look(A), bench.read(B))
    assert (stat.ino, MTIME, 0o640) == (moved.ino, moved.mtime_ns, moved.mode)


def test_a_move_over_something_keeps_that(bench: Bench) -> None:
    bench.write(A, b"old")
    bench.write(B, b"gone")
    stat, digest = bench.disk.digest(A)
    leaves = out(bench.disk, B)
    bench.disk.put(B, head(digest), Moved(A, stat), leaves)
    assert (None, b"old", True) == (bench.disk.look(A), bench.read(B), bench.disk.have(leaves.hash))


def test_a_directory_is_made_once(bench: Bench) -> None:
    first = bench.disk.put(A, head(b"", Kind.DIR, mode=0o750), Itself(), None)
    assert first.ino == bench.disk.put(A, head(b"", Kind.DIR, mode=0o755), Itself(), None).ino
    assert (Kind.DIR, 0o750) == (first.kind, first.mode)


def test_a_directory_takes_the_place_of_a_file_and_back(bench: Bench) -> None:
    bench.write(A, b"old")
    leaves = out(bench.disk, A)
    bench.disk.put(A, head(b"", Kind.DIR, mode=0o755), Itself(), leaves)
    assert Kind.DIR is seen(bench.disk, A).kind
    staged = bench.stage(b"a", b"new")
    bench.disk.put(A, head(staged), staged, out(bench.disk, A))
    assert (b"new", True) == (bench.read(A), bench.disk.have(leaves.hash))


def test_a_directory_that_holds_something_is_not_removed(bench: Bench) -> None:
    bench.mkdir(A)
    bench.write(b"a/x~", b"excluded")
    with pytest.raises(NotEmpty):
        bench.disk.remove(A, out(bench.disk, A, Keep.DELETED))
    assert [] == bench.disk.names(A)


def test_an_empty_directory_is_removed(bench: Bench) -> None:
    bench.mkdir(A)
    bench.disk.remove(A, out(bench.disk, A, Keep.DELETED))
    assert bench.disk.look(A) is None


def test_names_are_those_in_the_directory(bench: Bench) -> None:
    bench.mkdir(A)
    bench.write(b"a/x", b"1")
    bench.write(b"b", b"2")
    assert [IN_A] == bench.disk.names(A)


def test_mode_and_mtime_are_set_on_what_was_looked_at_only(bench: Bench) -> None:
    bench.write(A, b"old")
    stat, digest = bench.disk.digest(A)
    now = bench.disk.set_meta(A, head(digest), stat)
    assert (MTIME, 0o640, now) == (now.mtime_ns, now.mode, bench.disk.look(A))
    with pytest.raises(Surprise):
        bench.disk.set_meta(A, head(digest), stat)


def test_a_losers_bytes_are_kept_from_the_inbox(bench: Bench) -> None:
    staged = bench.stage(b"a", b"new")
    bench.disk.keep_staged(A, staged)
    assert bench.disk.kept(staged.hash)
    with pytest.raises(Missing):
        bench.disk.keep_staged(A, staged)


def test_bytes_that_two_paths_need_are_kept_until_both_release_them(bench: Bench) -> None:
    staged = bench.stage(b"a", b"new")
    bench.disk.keep_also(B, staged.hash)
    assert not bench.disk.kept(staged.hash)
    bench.disk.keep_staged(A, staged)
    bench.disk.keep_also(B, staged.hash)
    bench.disk.release(A, (staged.hash,))
    assert bench.disk.kept(staged.hash)
    bench.disk.release(B, (staged.hash,))
    assert not bench.disk.kept(staged.hash)


@pytest.mark.parametrize(
    "look",
    [lambda disk: disk.digest(A), lambda disk: disk.names(A), lambda disk: disk.set_meta(A, head(b""), _NEVER)],
    ids=["digest", "names", "set_meta"],
)
def test_what_is_not_there_is_a_surprise(bench: Bench, look: Callable[[Disk], object]) -> None:
    assert bench.disk.look(A) is None
    with pytest.raises(Surprise):
        look(bench.disk)
