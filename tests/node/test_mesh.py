"""Three nodes and more, each linked to all or all to one: a dead link is gone round, and halves become one again."""

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar
from tests.support.asking import wait_for
from tests.support.load import Work
from tests.support.relay import Relay

NAMES = ("msk", "ams", "fra", "sin", "nyc", "gru", "syd", "jnb", "bom", "sfo")
SIZES = [int(size) for size in os.environ.get("MESH_SIZES", "3,5").split(",")]
WITHIN = 120.0
WORK_SECONDS = 3.0


class Mesh(Regions):
    """Every link goes through a relay of its own; of a star, each has one to the first and to nobody else."""

    def __init__(self, base: Path, count: int, star: bool) -> None:
        super().__init__(base, *NAMES[:count])
        hub, *leaves = self.all
        pairs = [(hub, leaf) for leaf in leaves] if star else list(itertools.combinations(self.all, 2))
        self._relays: dict[tuple[str, str], Relay] = {}
        for a, b in pairs:
            self._relays |= {(a.region, b.region): Relay(b.ssh_port), (b.region, a.region): Relay(a.ssh_port)}
        for one in self.all:
            ports = ((to, relay.port) for (region, to), relay in self._relays.items() if region == one.region)
            one.env["GEOROOT_PEERS"] = ",".join(f"{region}=127.0.0.1:{port}" for region, port in ports)
            one.env["GEOROOT_SPARES"] = "1"  # as many processes as links, not three times as many

    @contextmanager
    def parted(self, *halves: tuple[Sidecar, ...]) -> Iterator[None]:
        """No half can reach another while the block lasts, and every node says so."""
        of = {one.region: number for number, half in enumerate(halves) for one in half}
        apart = [relay for (a, b), relay in self._relays.items() if a in of and b in of and of[a] != of[b]]
        for relay in apart:
            relay.cut()
        for one in itertools.chain(*halves):
            away = sum(region == one.region and self._relays[region, to] in apart for region, to in self._relays)
            wait_for(lambda one=one, away=away: _down(one) == away, f"{one.region} misses {away}", WITHIN)  # type: ignore[misc]
        yield
        for relay in apart:
            relay.mend()

    def clean(self) -> None:
        super().clean()
        for relay in self._relays.values():
            relay.close()


def _down(one: Sidecar) -> int:
    peers = one.status().get("peers", ())
    assert all(peer["problem"] for peer in peers if peer["state"] != "up" and not peer["receiving"])
    return sum(peer["state"] != "up" for peer in peers)


@pytest.fixture
def meshes(tmp_path: Path) -> Iterator["Maker"]:
    with ExitStack() as held:
        yield Maker(tmp_path, held)


class Maker:
    """Makes a mesh, and ends it with the test."""

    def __init__(self, base: Path, held: ExitStack) -> None:
        self._base, self._held = base, held

    def __call__(self, count: int, star: bool = False) -> Mesh:
        mesh = Mesh(self._base, count, star)
        self._held.callback(mesh.clean)
        for one in mesh.all:
            one.start()
        mesh.wait_settled(WITHIN)
        return mesh


def test_what_cannot_go_straight_goes_through_the_third_and_is_sent_to_nobody_twice(meshes: Maker) -> None:
    mesh = meshes(3)
    msk, ams, fra = mesh.all
    with mesh.parted((msk,), (ams,)):
        (msk.html / "from-msk").write_text("msk")
        (ams.html / "from-ams").write_text("ams")
        wait_for((ams.html / "from-msk").exists, "ams has it by way of fra", WITHIN)
        wait_for((msk.html / "from-ams").exists, "msk has it by way of fra", WITHIN)
    mesh.wait_identical(WITHIN)
    assert 4 == sum(one.metric("georoot_files_sent_total") for one in mesh.all)
    (fra.html / "from-fra").write_text("fra")
    mesh.wait_identical(WITHIN)
    assert 6 == sum(one.metric("georoot_files_sent_total") for one in mesh.all)


@pytest.mark.parametrize(
    ("count", "star"), [*((size, False) for size in SIZES), (SIZES[0], True)], ids=lambda it: str(it).lower()
)
def test_two_halves_that_worked_on_become_one_again(meshes: Maker, count: int, star: bool) -> None:
    mesh = meshes(count, star)
    (mesh.all[0].html / "shared").write_text("before")
    mesh.wait_identical(WITHIN)
    works = [_work(one, f"{count} {one.region}") for one in mesh.all]
    cut_at = count // 2
    with mesh.parted(tuple(mesh.all[:cut_at]), tuple(mesh.all[cut_at:])):
        _together([threading.Thread(target=work.run, args=(WORK_SECONDS,)) for work in works])
        (mesh.all[0].html / "shared").write_text("in the first half")
        (mesh.all[-1].html / "shared").write_text("in the last half")
    tree = mesh.wait_identical(WITHIN)
    expected = {"shared": "file"} | {one.region: "dir" for one in mesh.all}
    for one, work in zip(mesh.all, works, strict=True):
        expected |= {f"{one.region}/{path}": str(facts[0]) for path, facts in work.model.items()}
        for path, facts in work.model.items():
            assert facts[0] != "file" or facts[3] == tree[f"{one.region}/{path}"][3], path
    assert expected == {path: facts[0] for path, facts in tree.items()}
    assert 1 == len({(one.html / "shared").read_text() for one in mesh.all})
    assert [1] * count == [one.status()["store"]["conflicts"] for one in mesh.all]
    for one in mesh.all:
        assert "in the " in one.command("conflicts", "show", "shared").out
    before = [one.counted() for one in mesh.all]
    time.sleep(2.0)
    assert before == [one.counted() for one in mesh.all]


def _work(one: Sidecar, seed: str) -> Work:
    top = one.html / one.region
    top.mkdir()
    return Work(str(top), {}, random.Random(seed))


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
