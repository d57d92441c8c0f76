"""A directory renamed as a whole, between two nodes in memory: who judges what, and what a kill leaves."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Flag, Kind, Row
from sidecar.core.frames import Entry, Frame, Renamed
from sidecar.core.paths import RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.judging import Judge
from sidecar.engine.moving import HEARD, Moving, Settling
from sidecar.engine.replica import Changed, Dots, Replica
from sidecar.errors import NeedsHelp, ProtocolViolation
from tests.support.memory_disk import MemoryDisk
from tests.support.memory_store import MemoryStore

WITHIN = 10.0
NOW_US = 1_764_000_000_000_000
OLD, NEW, DEEP = RelPath(b"old"), RelPath(b"new"), RelPath(b"new/sub")
PAGES = [RelPath(b"old/sub/%d" % number) for number in range(5)]


def named(path: RelPath, directory: RelPath = NEW) -> RelPath:
    return RelPath(directory + path[len(OLD) :])


class Machine:
    """One node."""

    def __init__(self, run: int) -> None:
        self.run = run
        self.disk = MemoryDisk(lambda: NOW_US * 1000, 0)
        self.store = MemoryStore()
        self.told: list[Changed] = []
        self.said: list[Frame] = []
        self.marked: list[RelPath] = []
        self.fails = 0
        """so many commits go on until one fails; 0: none does"""
        self.heeds = True
        self.disturbed = False
        self.start()

    def start(self) -> None:
        """A new run."""
        self.run += 100
        self.replica = Replica(self.store, self.disk, Dots(self.run, lambda: NOW_US), self._tell, 0)
        self.absorber = Absorber(self.replica)
        self.moving = Moving(
            self.replica,
            self.store,
            Judge(self.replica, disturbed=lambda old, new: self.disturbed, size=4),
            commits=self._commits,
            allowed=lambda: self.heeds,
            tellers=lambda old, new: [self.said.append],
            look_again=self.marked.extend,
            size=4,
        )

    def _tell(self, changed: Changed) -> None:
        self.told.append(changed)
        self.moving.changed(changed.row)

    @contextmanager
    def _commits(self, region: str) -> Iterator[None]:
        before = self.store.copy()
        self.fails -= 1
        yield
        if not self.fails:
            self.store._rows, self.store._moves = before._rows, before._moves
            raise NeedsHelp("the index is full", "make room")

    def write(self, path: RelPath, content: bytes) -> None:
        self.disk.files[path] = self.disk.make(Kind.FILE, content)

    def look(self, *paths: RelPath) -> None:
        self.absorber.absorb(paths)

    def rename(self) -> None:
        tree = self.disk.lift(OLD)
        self.disk.drop(NEW, tree)

    def announce(self) -> bool:
        async def announce() -> bool:
            async with self.moving.lock:
                return await self.moving.announce(OLD, NEW)

        return asyncio.run(announce())

    def take(self, frame: Frame, refused: Callable[[Entry], object] = lambda _: None) -> bool:
        assert isinstance(frame, Renamed)

        async def take() -> bool:
            async with self.moving.lock:
                return await self.moving.take("ams", frame, refused)

        return asyncio.run(take())

    def rows(self) -> dict[RelPath, object]:
        return {row.path: row.version for row in self.store.since(0, 1000)}


def learn(here: Machine, there: Machine) -> None:
    """What lies here lies there too, and is known by the same versions."""
    for row in here.store.since(0, 1000):
        inode = here.disk.files[row.path]
        there.disk.files[row.path] = there.disk.make(inode.kind, inode.content, inode.mode)
        there.store.put(Row(row.path, row.version, there.disk.files[row.path].stat(), row.hash))


@pytest.fixture
def here() -> Machine:
    machine = Machine(1)
    for directory in (OLD, RelPath(b"old/sub")):
        machine.disk.files[directory] = machine.disk.make(Kind.DIR, mode=0o755)
    for page in PAGES:
        machine.write(page, page[-1:])
    machine.look(OLD, RelPath(b"old/sub"), *PAGES)
    machine.told.clear()
    return machine


@pytest.fixture
def there(here: Machine) -> Machine:
    machine = Machine(2)
    learn(here, machine)
    return machine


def test_both_end_with_the_same_rows_by_one_rename_of_the_directory(here: Machine, there: Machine) -> None:
    here.rename()
    assert here.announce()
    assert there.take(here.said[0])
    assert here.rows() == there.rows()
    assert 1 == there.disk.renamed
    assert here.disk.shown() == there.disk.shown()
    assert [] == here.store.moves() == there.store.moves()
    assert {one.local for one in here.told} == {True}
    assert {one.local for one in there.told} == {False}
    assert all(one.heard == one.row.version for one in there.told)
    assert {NEW, DEEP, *map(named, PAGES)} == set(there.marked)
    assert [] == here.marked
    dots = {head.dot for row in here.store.since(0, 1000) for head in row.version.heads}
    assert 1 == len(dots)


def test_a_page_is_said_to_come_from_where_it_was(here: Machine) -> None:
    here.rename()
    here.announce()
    came = {one.row.path: one.came_from for one in here.told}
    assert {named(page): page for page in PAGES}.items() <= came.items()
    assert came[NEW] is came[DEEP] is None


def test_the_frame_is_said_before_any_row_is_written_and_after_it_is_stored(here: Machine) -> None:
    seen: list[tuple[int, int]] = []

    class Wire(list[Frame]):
        def append(self, frame: Frame) -> None:
            seen.append((len(here.told), len(here.store.moves())))

    here.said = Wire()
    here.rename()
    assert here.announce()
    assert [(0, 1)] == seen


def test_what_has_changed_since_is_not_told(here: Machine) -> None:
    for spoil in ("write", "delete", "make", "exchange"):
        machine = here
        machine.rename()
        page = named(PAGES[0])
        kept = dict(machine.disk.files)
        match spoil:
            case "write":
                machine.write(page, b"other")
            case "delete":
                del machine.disk.files[page]
            case "make":
                machine.write(RelPath(b"new/sub/more"), b"more")
            case _:
                machine.disk.files[OLD] = machine.disk.make(Kind.DIR)
        assert not machine.announce(), spoil
        machine.disk.files = kept
        machine.disk.drop(OLD, machine.disk.lift(NEW))
    assert [] == here.said
    assert [] == here.told
    assert [] == here.store.moves()


def test_nothing_is_told_while_nothing_may_be_done_ahead_or_events_tell_of_more(here: Machine) -> None:
    here.rename()
    here.heeds = False
    assert not here.announce()
    here.heeds, here.disturbed = True, True
    assert not here.announce()
    assert [] == here.said


def edited(there: Machine) -> None:
    there.write(PAGES[0], b"edited")


def edited_and_known(there: Machine) -> None:
    edited(there)
    there.look(PAGES[0])


def replaced(there: Machine) -> None:
    there.disk.files[PAGES[0]] = there.disk.make(Kind.DIR, mode=0o755)


def exchanged(there: Machine) -> None:
    sub = RelPath(b"old/sub")
    there.disk.files[sub] = there.disk.make(Kind.DIR, mode=0o755)


def deleted(there: Machine) -> None:
    del there.disk.files[PAGES[1]]


def added(there: Machine) -> None:
    there.write(RelPath(b"old/more"), b"more")


def excluded_too(there: Machine) -> None:
    there.write(RelPath(b"old/sub/x~"), b"excluded")


def taken(there: Machine) -> None:
    there.write(NEW, b"something")


def held(there: Machine) -> None:
    row = there.store.get(PAGES[2])
    assert row is not None
    there.store.put_stat(Row(row.path, row.version, row.stat, row.hash, row.seq, Flag.HELD))


def another(there: Machine) -> None:
    there.disk.files[OLD] = there.disk.make(Kind.DIR, mode=0o755)


def not_heeding(there: Machine) -> None:
    there.heeds = False


def disturbed(there: Machine) -> None:
    there.disturbed = True


@pytest.mark.parametrize(
    "differ",
    [edited_and_known, deleted, replaced, exchanged, added, excluded_too, taken, held, another, not_heeding, disturbed],
    ids=lambda differ: differ.__name__,
)
def test_who_has_something_else_does_nothing(here: Machine, there: Machine, differ: Callable[[Machine], None]) -> None:
    here.rename()
    here.announce()
    differ(there)
    before, shown = there.rows(), there.disk.shown()
    assert not there.take(here.said[0])
    assert (before, shown) == (there.rows(), there.disk.shown())
    assert 0 == there.disk.renamed
    assert [] == there.store.moves()


def test_what_was_written_there_and_not_seen_yet_goes_along_and_is_a_write_after_it(
    here: Machine, there: Machine
) -> None:
    here.rename()
    here.announce()
    edited(there)
    assert there.take(here.said[0])
    assert here.rows() == there.rows()
    page = named(PAGES[0])
    assert page in there.marked
    before = there.store._rows[page].version
    there.look(page)
    assert b"edited" == there.disk.files[page].content
    written = versions.winner(there.store._rows[page].version)
    assert written is not None
    assert not versions.covers(before, written.dot)
    assert all(versions.covers(there.store._rows[page].version, head.dot) for head in before.heads)


def test_nor_does_who_refuses_an_entry_of_it_or_lacks_the_directory_above(here: Machine, there: Machine) -> None:
    here.rename()
    here.announce()
    frame = here.said[0]
    assert isinstance(frame, Renamed)
    assert not there.take(frame, lambda entry: entry.path == named(PAGES[3]))
    deeper = Renamed(OLD, RelPath(b"nowhere/new"), frame.dot, frame.count, frame.sum)
    assert not there.take(deeper)
    old_dot = Renamed(OLD, NEW, versions.winner(there.store._rows[PAGES[0]].version).dot, frame.count, frame.sum)  # type: ignore[union-attr]
    assert not there.take(old_dot)
    future = Renamed(OLD, NEW, Dots(9, lambda: NOW_US + 2 * versions.DAY_US).above(0), frame.count, frame.sum)
    assert not there.take(future)
    assert 0 == there.disk.renamed
    assert there.take(frame)
    assert not there.take(frame), "it came twice"


def test_a_disk_that_does_not_let_it_be_renamed_leaves_everything(
    here: Machine, there: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.rename()
    here.announce()

    def rename(old: RelPath, new: RelPath, stat: object) -> None:
        raise Unreachable(old, "it is another owner's", "give access")

    before = there.rows()
    monkeypatch.setattr(there.disk, "rename", rename)
    assert not there.take(here.said[0])
    assert before == there.rows()
    assert [] == there.store.moves()


def test_what_was_told_follows_through_a_kill(here: Machine, there: Machine) -> None:
    here.rename()
    here.fails = 2  # the intent is stored, no row is
    with pytest.raises(NeedsHelp):
        here.announce()
    assert there.take(here.said[0])
    here.disk.drop(OLD, here.disk.lift(NEW))  # and is undone
    here.start()
    assert 1 == here.moving.recover()
    assert here.rows() == there.rows()
    assert [] == here.store.moves()
    here.look(*map(named, PAGES), DEEP, NEW, OLD, RelPath(b"old/sub"), *PAGES)
    run = here.run
    assert all(versions.covers(row.version, versions.winner(row.version).dot) for row in here.store.since(0, 99))  # type: ignore[union-attr]
    assert {head.dot.run for row in here.store.since(0, 99) for head in row.version.heads} == {run}


def test_rows_that_could_not_be_written_are_later(here: Machine) -> None:
    here.rename()
    here.fails = 3
    with pytest.raises(NeedsHelp):
        here.announce()
    left = here.moving.settling
    assert left is not None
    assert 4 == left.at

    async def settle() -> Settling | None:
        async with here.moving.lock:
            await here.moving.settle()
        return here.moving.settling

    assert asyncio.run(settle()) is None
    assert [] == here.store.moves()
    rows = {row.path for row in here.store.since(0, 99) if row.stat is not None}
    assert {NEW, DEEP, *map(named, PAGES)} == rows


@pytest.mark.parametrize("fails", [2, 3, 4])
def test_a_kill_after_the_rename_is_no_local_change(here: Machine, there: Machine, fails: int) -> None:
    here.rename()
    here.announce()
    there.fails = fails
    assert not there.take(here.said[0])
    assert 1 == there.disk.renamed
    there.disk.files[OLD] = there.disk.make(Kind.DIR)  # somebody makes another one meanwhile
    there.start()
    assert 1 == there.moving.recover()
    assert here.rows() == there.rows()
    assert [] == there.store.moves()


async def told(here: Machine) -> Renamed:
    """What it says of a directory that is renamed there."""
    here.rename()
    async with here.moving.lock:
        await here.moving.announce(OLD, NEW)
    frame = here.said[0]
    assert isinstance(frame, Renamed)
    return frame


async def test_who_waits_goes_on_when_rows_that_could_not_be_written_are(here: Machine) -> None:
    here.rename()
    here.fails = 3
    with pytest.raises(NeedsHelp):
        async with here.moving.lock:
            await here.moving.announce(OLD, NEW)
    waits = asyncio.ensure_future(here.moving.passed([NEW]))
    await asyncio.sleep(0)
    assert not waits.done()
    async with here.moving.lock:
        await here.moving.settle()
    await asyncio.wait_for(waits, WITHIN)


def test_a_kill_before_the_rename_leaves_nothing(here: Machine, there: Machine) -> None:
    class Killed(BaseException):
        pass

    here.rename()
    here.announce()
    before = there.rows()

    def rename(old: RelPath, new: RelPath, stat: object) -> None:
        raise Killed

    there.disk.rename = rename  # type: ignore[assignment, method-assign]
    with pytest.raises(Killed):
        there.take(here.said[0])
    assert 1 == len(there.store.moves())
    there.start()
    there.moving.recover()
    assert before == there.rows()
    assert [] == there.store.moves()


async def test_what_concerns_a_rename_waits_until_it_is_over(here: Machine, there: Machine) -> None:
    frame = await told(here)
    done: list[str] = []

    async def lands(path: RelPath, what: str) -> None:
        await there.moving.passed([path])
        done.append(what)

    there.moving.heard("ams", frame, lambda _: done.append("judged") if not done else None)
    tasks = [
        asyncio.ensure_future(lands(named(PAGES[0]), "concerned")),
        asyncio.ensure_future(lands(RelPath(b"other"), "other")),
    ]
    await asyncio.wait(tasks)
    assert ["other", "concerned"] == [what for what in done if what != "judged"]
    assert 1 == there.disk.renamed
    assert there.moving.was_done_here(OLD, NEW)
    assert not there.moving.was_done_here(OLD, NEW), "the watch tells once"


async def test_a_row_that_changes_meanwhile_spoils_it(here: Machine, there: Machine) -> None:
    frame = await told(here)

    def refused(entry: Entry) -> None:
        edited_and_known(there)

    there.moving.heard("ams", frame, refused)
    await there.moving.passed([OLD])
    assert 0 == there.disk.renamed


async def test_no_more_are_waited_for_than_some(there: Machine) -> None:
    for number in range(HEARD + 1):
        frame = Renamed(RelPath(b"%d" % number), RelPath(b"to-%d" % number), Dots(9, lambda: 1).above(0), 1, 1)
        there.moving.heard("ams", frame, lambda _: None)
    assert HEARD == len(there.moving._pairs)
    await there.moving.passed([RelPath(b"0")])


@pytest.mark.parametrize("bad", [b"", b"/etc", b"../x", b".sidecar/index.db", b"a//b"])
def test_a_path_that_leaves_the_root_is_a_violation(there: Machine, bad: bytes) -> None:
    for old, new in ((bad, NEW), (OLD, bad)):
        frame = Renamed(RelPath(old), RelPath(new), Dots(9, lambda: 1).above(0), 1, 1)
        with pytest.raises(ProtocolViolation):
            there.moving.heard("ams", frame, lambda _: None)
