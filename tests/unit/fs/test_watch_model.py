"""Whatever local writers do, and whenever it is read: the watches are the directories, and no change is missed."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import ROOT, RelPath, beneath
from sidecar.fs.events import Reason
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import walk
from sidecar.fs.watch import Watcher

NAMES = ("a", "b", "c")
EXCLUDED = b"x"


def excluded(path: RelPath, is_dir: bool) -> bool:
    """Every name `x` is excluded, with what is beneath it."""
    return EXCLUDED in path.split(b"/")


class Meddled(WebRoot):
    """Local writers act in the very moments in which the watcher opens something."""

    __slots__ = ("meddle",)

    def __init__(self, volume: Path) -> None:
        self.meddle: Callable[[], None] = lambda: None
        super().__init__(str(volume / "html"), str(volume / "state"), str(volume / "state/inbox"))

    def open(self, path: bytes, flags: int, mode: int = 0) -> int:
        self.meddle()
        return super().open(path, flags, mode)


class Engine:
    """As much of an index as the contract of `Dirty` speaks of."""

    def __init__(self, root: WebRoot) -> None:
        self.root = root
        self.rows: dict[RelPath, Stat] = {}

    def scan(self) -> dict[RelPath, Stat]:
        slices = walk(self.root, excluded)
        return {
            RelPath(part.path + b"/" + name if part.path else name): stat
            for part in slices
            for name, stat in part.entries
        }

    def look(self, path: RelPath, reason: Reason) -> None:
        assert not excluded(path, False)
        stat = self.root.lstat(path)
        if stat is None or stat.kind is not Kind.DIR:
            self.rows = {at: row for at, row in self.rows.items() if not beneath(at, path)}
        if stat is None:
            self.rows.pop(path, None)
            return
        self.rows[path] = stat
        if reason & Reason.TREE:
            for part in walk(self.root, excluded, path):
                for name, below in part.entries:
                    self.rows[RelPath(part.path + b"/" + name)] = below


def identity(rows: dict[RelPath, Stat]) -> dict[RelPath, tuple[object, ...]]:
    """What the contract promises: of directories that they are there, of files and symlinks everything."""
    return {
        path: (stat.kind, stat.ino) if stat.kind is Kind.DIR else (stat.kind, stat.ino, stat.size, stat.mtime_ns)
        for path, stat in rows.items()
    }


class Writers:
    """Local writers: each step does one thing, or nothing where it cannot be done."""

    def __init__(self, volume: Path) -> None:
        self.html = volume / "html"
        self.aside = volume / "aside"
        self.aside.mkdir()
        self.written = 0

    def do(self, step: tuple[str, str, str]) -> None:
        action, one, other = step
        try:
            getattr(self, action)(self.html / one, self.html / other)
        except OSError:
            pass

    def mkdir(self, path: Path, _: Path) -> None:
        path.mkdir()

    def write(self, path: Path, _: Path) -> None:
        if path.is_file() and path.stat().st_nlink > 1:
            return  # of a file with two names inotify tells the one that was opened: the next scan finds the other
        self.written += 1
        path.write_text("x" * self.written)

    def rename(self, path: Path, other: Path) -> None:
        path.rename(other)

    def remove(self, path: Path, _: Path) -> None:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def symlink(self, path: Path, other: Path) -> None:
        path.symlink_to(other)

    def link(self, path: Path, other: Path) -> None:
        os.link(path, other)

    def move_out(self, path: Path, _: Path) -> None:
        path.rename(self.aside / path.name)

    def move_in(self, path: Path, _: Path) -> None:
        (self.aside / path.name).rename(path)

    def move_link(self, path: Path, other: Path) -> None:
        os.link(path, other)
        path.unlink()


LEAF = st.sampled_from((*NAMES, *NAMES, "x"))
PATH = st.lists(LEAF, min_size=1, max_size=3).map("/".join)
ACTION = st.sampled_from(
    ("mkdir",) * 4
    + ("write",) * 3
    + ("rename",) * 5
    + ("remove", "symlink", "link", "move_out", "move_in", "move_link")
)
STEP = st.tuples(ACTION, PATH, PATH)
READ = st.just(("read", "", ""))


def drained(watcher: Watcher, engine: Engine) -> None:
    while True:
        seen = watcher.read()
        assert not seen.overflow and not seen.root_lost
        for path, reason in seen.dirty:
            engine.look(path, reason)
        if not seen.dirty and not seen.more:
            return


@settings(max_examples=300, deadline=None)
@given(
    before=st.lists(STEP, max_size=10),
    during=st.lists(st.one_of(STEP, STEP, STEP, READ), max_size=30),
    meddling=st.lists(st.one_of(st.none(), STEP), max_size=30),
)
def test_the_watches_follow_the_directories_and_every_change_is_told(
    before: list[tuple[str, str, str]],
    during: list[tuple[str, str, str]],
    meddling: list[tuple[str, str, str] | None],
) -> None:
    volume = Path(tempfile.mkdtemp())
    try:
        (volume / "html").mkdir()
        writers = Writers(volume)
        for step in before:
            writers.do(step)
        with Meddled(volume) as root:
            _check(root, writers, during, meddling)
    finally:
        shutil.rmtree(volume)


def _check(
    root: Meddled,
    writers: Writers,
    during: list[tuple[str, str, str]],
    meddling: list[tuple[str, str, str] | None],
) -> None:
    watcher, engine = Watcher(root, excluded), Engine(root)
    waiting = list(meddling)

    def meddle() -> None:
        step = waiting.pop() if waiting else None
        if step is not None:
            writers.do(step)

    for _ in watcher.cover():
        pass
    engine.rows = engine.scan()
    for step in during:
        if step[0] == "read":
            root.meddle = meddle
            seen = watcher.read()
            root.meddle = lambda: None
            for path, reason in seen.dirty:
                engine.look(path, reason)
        else:
            writers.do(step)
    drained(watcher, engine)
    there = engine.scan()
    directories = {path for path, stat in there.items() if stat.kind is Kind.DIR}
    assert directories | {ROOT} == watcher.watched()
    assert len(directories) + 1 == len(watcher)
    assert identity(there) == identity(engine.rows)
    watcher.close()
