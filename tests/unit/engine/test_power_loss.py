"""What differs from its row after a power loss is found; a peer's rows settle it, over a root in memory."""

import asyncio
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from sidecar.core import found
from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Dot, Flag, Head, Kind, Row, Version
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.links import Resolver
from sidecar.core.paths import RelPath
from sidecar.core.ports import Staged
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.guard import Guard
from sidecar.engine.land import Lander
from sidecar.engine.landed import Landed
from sidecar.engine.replica import Changed, Dots, Replica
from tests.support.memory_disk import MemoryDisk, digest_of
from tests.support.memory_store import MemoryStore
from tests.unit.engine.conftest import Starter

PAGE = RelPath(b"dir/page")
DIR = RelPath(b"dir")


class Machine:
    """One node with `dir/page`, whose power goes."""

    def __init__(self) -> None:
        self.ns = 1_764_000_000_000_000_000
        self.disk = MemoryDisk(self.now_ns, 0)
        self.store = MemoryStore()
        self.told: list[Changed] = []
        self.replica = Replica(self.store, self.disk, Dots(7, lambda: self.ns // 1000), self.told.append, 0)
        self.absorber = Absorber(self.replica)
        self.disk.files[DIR] = self.disk.make(Kind.DIR)
        self.write(b"whole")
        self.absorber.absorb([DIR, PAGE])
        self.told.clear()

    def now_ns(self) -> int:
        self.ns += 1_000_000
        return self.ns

    def write(self, content: bytes, mtime_ns: int = 0) -> None:
        made = self.disk.make(Kind.FILE, content)
        self.disk.files[PAGE] = dataclasses.replace(made, mtime_ns=mtime_ns or made.mtime_ns)

    def row(self, path: RelPath = PAGE) -> Row:
        row = self.store.get(path)
        assert row is not None
        return row

    def scan(self, paths: Iterable[RelPath]) -> None:
        """The first scan after a power loss, which is another run."""
        self.replica.dots = Dots(8, lambda: self.ns // 1000)
        self.absorber.finding = self.absorber.power_lost = True
        self.absorber.absorb(paths)
        self.absorber.finding = self.absorber.power_lost = False

    def land(self, version: Version, content: bytes = b"", *, last: bool = True) -> Landed:
        staged = None
        if content:
            self.disk.inbox["b", PAGE] = self.disk.make(Kind.FILE, content)
            staged = Staged("b", PAGE, digest_of(content), self.disk.inbox["b", PAGE].ino)
        lander = Lander(
            self.replica,
            self.absorber,
            Resolver(lambda _: None),
            lambda _path, _is_dir: False,
            Guard(self.replica),
            Directories(self.replica, self.absorber),
            last=last,
        )
        return lander.land(Entry(PAGE, version, How.STAGED if content else How.NONE), staged, {})


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_torn_file_keeps_its_version_and_is_told_to_nobody(machine: Machine) -> None:
    before = machine.row()
    machine.write(b"wh", before.stat.mtime_ns if before.stat else 0)
    machine.scan([PAGE])
    after = machine.row()
    assert (before.version, before.seq, True) == (after.version, after.seq, found.is_found(after))
    assert digest_of(b"wh") == after.hash
    assert [] == machine.told


def test_what_is_missing_leaves_no_tombstone(machine: Machine) -> None:
    before = machine.row()
    del machine.disk.files[PAGE], machine.disk.files[DIR]
    machine.scan([DIR])
    assert (before.version, None, Flag.FOUND) == (machine.row().version, machine.row().stat, machine.row().flags)
    assert found.is_found(machine.row(DIR))
    assert [] == machine.told


@pytest.mark.parametrize("torn", [b"wh", b""])
def test_a_peer_that_has_its_bytes_is_asked_for_them(machine: Machine, torn: bytes) -> None:
    version = machine.row().version
    if torn:
        machine.write(torn, 1)
        machine.scan([PAGE])
    else:
        del machine.disk.files[PAGE], machine.disk.files[DIR]
        machine.scan([DIR])
    assert Outcome.WANT is machine.land(version).outcome
    assert Outcome.APPLIED is machine.land(version, b"whole").outcome
    assert b"whole" == machine.disk.files[PAGE].content
    assert (version, Flag(0)) == (machine.row().version, machine.row().flags)


def test_what_a_power_loss_left_goes_to_the_trash(machine: Machine) -> None:
    version = machine.row().version
    machine.write(b"wh", 1)
    machine.scan([PAGE])
    machine.land(version, b"whole")
    assert [(PAGE, digest_of(b"wh"))] == list(machine.disk.kept_rows.trash.values())


def test_a_peer_that_has_less_settles_nothing(machine: Machine) -> None:
    machine.write(b"wh", 1)
    machine.scan([PAGE])
    before = machine.row()
    older = versions.write(NEVER, Head(Dot(3, 99), Kind.FILE, 5, 1, 0o644, digest_of(b"older")))
    assert Landed(Outcome.KNOWN) == machine.land(older)
    assert before == machine.row()


def test_an_edit_waits_for_the_last_peer_and_then_stands_beside(machine: Machine) -> None:
    version = machine.row().version
    machine.write(b"edited later")
    machine.scan([PAGE])
    assert Landed(Outcome.KNOWN) == machine.land(version, last=False)
    assert found.is_found(machine.row())
    assert Landed(Outcome.WANT, digest_of(b"whole")) == machine.land(version)
    best = versions.winner(machine.row().version)
    assert best is not None and digest_of(b"edited later") == best.hash
    assert set(version.heads) < set(machine.row().version.heads)


def test_a_local_write_on_a_found_path_is_a_write_like_any_other(machine: Machine) -> None:
    before = machine.row().version
    machine.write(b"wh", 1)
    machine.scan([PAGE])
    machine.write(b"written now")
    machine.absorber.absorb([PAGE])
    after = machine.row()
    assert not found.is_found(after)
    assert versions.covers(after.version, before.heads[0].dot) and len(after.version.heads) == 1


@pytest.mark.parametrize(
    ("later_ns", "torn"),
    [(1, True), (0, False), (3600 * 10**9, False)],
    ids=["the disk lost them", "somebody emptied it", "somebody emptied it when the clock had been set back"],
)
def test_bytes_that_went_on_the_same_boot_are_no_edit(start: Starter, later_ns: int, torn: bool) -> None:
    page = RelPath(b"page")
    node = start()
    node.index.found_done()
    lies = Path(node.root.path, "page")
    lies.write_bytes(b"whole")
    node.intake.absorb([page])
    os.truncate(lies, 0)
    if later_ns:
        row = node.index.get(page)
        assert row is not None and row.stat is not None
        stat = msgspec.structs.replace(row.stat, ctime_ns=lies.stat().st_ctime_ns + later_ns)
        node.index.put_stat(msgspec.structs.replace(row, stat=stat))
    node = start()
    asyncio.run(node.finds.doubt())
    assert torn is node.index.power_lost
