"""Directories above what lands, and such as are to go; over a root in memory."""

import dataclasses

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row
from sidecar.core.frames import Outcome
from sidecar.core.paths import RelPath
from sidecar.core.ports import Surprise
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.landed import NotDone
from sidecar.engine.replica import Changed, Dots, Replica
from tests.support.memory_disk import MemoryDisk
from tests.support.memory_store import MemoryStore

DIR, WITHIN, PAGE = RelPath(b"dir"), RelPath(b"dir/e"), RelPath(b"dir/e/page")


class Machine:
    """A node with an empty root."""

    def __init__(self) -> None:
        self.disk = MemoryDisk(lambda: 1_764_000_000_000_000_000, 0)
        self.told: list[Changed] = []
        self.replica = Replica(MemoryStore(), self.disk, Dots(7, lambda: 1), self.told.append, 0)
        self.absorber = Absorber(self.replica)
        self.directories = Directories(self.replica, self.absorber)

    def made(self, *paths: RelPath) -> None:
        """A local writer makes these directories, and they are seen."""
        self.disk.files |= {path: self.disk.make(Kind.DIR) for path in paths}
        self.absorber.absorb(paths)
        self.told.clear()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_what_is_above_a_live_path_is_made_as_a_write_of_this_node(machine: Machine) -> None:
    machine.directories.make_above(PAGE)
    assert {DIR, WITHIN} == machine.disk.files.keys()
    assert [(DIR, True), (WITHIN, True)] == [(one.row.path, one.local) for one in machine.told]


def test_what_was_live_a_moment_ago_is_not_looked_at_again_until_something_changed(machine: Machine) -> None:
    machine.directories.make_above(PAGE)
    del machine.disk.files[WITHIN], machine.disk.files[DIR]
    machine.directories.make_above(PAGE)
    assert {} == machine.disk.files
    machine.directories.changes(DIR)
    machine.directories.make_above(WITHIN)
    assert {DIR} == machine.disk.files.keys()
    machine.directories.forget()
    machine.directories.make_above(PAGE)
    assert {DIR, WITHIN} == machine.disk.files.keys()


def test_one_that_did_not_fit_is_waited_for(machine: Machine) -> None:
    machine.directories.did_not_fit(DIR)
    with pytest.raises(NotDone) as waits:
        machine.directories.make_above(PAGE)
    assert Outcome.AGAIN is waits.value.landed.outcome
    assert {} == machine.disk.files
    machine.made(DIR)
    machine.directories.make_above(PAGE)
    assert {DIR, WITHIN} == machine.disk.files.keys()


def test_no_more_than_a_number_of_those_are_remembered(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.directories.UNMADE", 1)
    machine.directories.did_not_fit(DIR)
    machine.directories.did_not_fit(WITHIN)
    assert {DIR} == machine.directories.unmade


def test_a_directory_lives_by_what_is_in_it_but_not_by_what_was_only_kept_there(machine: Machine) -> None:
    machine.made(DIR)
    assert not machine.directories.lives(DIR)
    machine.disk.files[WITHIN] = machine.disk.make(Kind.DIR)
    assert machine.directories.lives(DIR), "written here, and not seen yet"
    row = machine.replica.row(WITHIN)
    machine.replica.store.put_stat(Row(WITHIN, row.version, row.stat, b"", row.seq, Flag.KEPT))
    assert not machine.directories.lives(DIR)


def test_one_that_survives_is_written_over_its_deletion(machine: Machine) -> None:
    machine.made(DIR)
    row, dot = machine.replica.row(DIR), Dot(9, 9)
    machine.directories.survives(row, versions.write(row.version, Head(dot, Kind.TOMBSTONE)), row.version)
    after = machine.replica.row(DIR)
    best = versions.winner(after.version)
    assert best is not None and Kind.DIR is best.kind
    assert versions.covers(after.version, dot)
    assert [False, True] == [one.local for one in machine.told]


def test_what_left_with_its_directory_lies_there_no_longer(machine: Machine) -> None:
    machine.made(DIR, WITHIN)
    machine.directories.left(DIR)
    assert machine.replica.row(WITHIN).stat is None
    assert machine.replica.row(DIR).stat is not None


def test_a_mode_that_changes_while_something_is_put_in_is_no_part_of_the_row_that_was_there(machine: Machine) -> None:
    machine.made(DIR)

    def chmod() -> None:
        machine.disk.files[DIR] = dataclasses.replace(machine.disk.files[DIR], mode=0o700)

    machine.disk.race, machine.disk.race_in = chmod, 1
    with pytest.raises(Surprise):
        machine.directories.make_above(RelPath(b"dir/page"))
    machine.directories.make_above(RelPath(b"dir/page"))
    assert [(DIR, True)] == [(one.row.path, one.local) for one in machine.told]
