"""Deploys on one simulated node, and visitors on the others who follow `current` after every step of their disk.

A deploy fills releases/N (in place or in a directory that is renamed), with a symlink to what all releases share, swaps
the symlink `current`, and deletes the release before the last; or the last is put aside at once. Now and then the
release that `current` leads to becomes a symlink to a copy of it, in one step. A visitor who meets `current` must find
all that releases/N held, and never goes back.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from sidecar.core import paths
from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from tests.support.memory_disk import ROOM, Inode
from tests.support.simlink import Link
from tests.support.simnode import SimNode, Wrong
from tests.support.simworld import ROOMS, Setting, World

CURRENT: Final = RelPath(b"current")
LOG: Final = RelPath(b"shared/log")
PATIENCE: Final = 40
"""Rounds after which a visitor must meet the last release, whatever a writer at the peer holds open."""
FILES: Final = (b"index", b"css", b"lib/one", b"lib/two")


class Deploys:
    """One history of deploys; `run` raises `Wrong` when a visitor meets a hole."""

    def __init__(self, seed: int, link: type[Link] = Link) -> None:
        self._chance = Random(seed)
        self._archives = Random(-seed - 1)
        self._disks = Random(f"disks {seed}")
        self._world = World(Setting(), link)
        for node in self._world.nodes:
            node.in_order = True
        self._releases: dict[int, dict[RelPath, bytes]] = {}
        self._seen: dict[str, int] = {}
        for node in self._world.nodes[1:]:
            node.disk.after_step = lambda node=node: self._visit(node)

    def run(self) -> None:
        """Deploy a few times while all goes on, then come to rest.

        Raises:
            Wrong: a visitor met a hole, a mix or an older release, or the end is not as it must be.
        """
        self._share()
        for number in range(1, self._chance.randrange(3, 8)):
            self._fill()
            self._deploy(number)
            self._go_on(self._chance.randrange(30))
        for node in self._world.nodes:
            node.disk.room = ROOM
        self._world.go_on(PATIENCE, self._chance)
        self._shows(max(self._releases))
        self._world.calm(self._chance)
        self._shows(max(self._releases))

    def _shows(self, release: int) -> None:
        for node in self._world.nodes[1:]:
            if self._seen.get(node.name) != release:
                raise Wrong(f"{node.name} shows release {self._seen.get(node.name)}, not {release}")

    def _fill(self) -> None:
        """A peer's disk is full, or has space again."""
        if self._disks.random() < 0.3:
            node = self._disks.choice(self._world.nodes[1:])
            node.disk.room = self._disks.choice(ROOMS) if node.disk.room == ROOM else ROOM

    def _share(self) -> None:
        """A log that every release leads to, and that somebody at a peer may write to all the time."""
        writer = self._world.nodes[0]
        writer.write(LOG, self._world.content(self._chance), in_place=True, keep_mtime=False)
        self._world.calm(self._chance)
        if self._chance.random() < 0.5:
            self._world.nodes[1].begin(LOG)
            for link in self._world.links:
                link.dead = (link.one.name, link.other.name) == ("c", "b")  # it hears of releases from a alone
                link.cut()

    def _deploy(self, number: int) -> None:
        node, release = self._world.nodes[0], RelPath(b"releases/%d" % number)
        if self._chance.random() < 0.4:
            node.write(LOG, self._world.content(self._chance), in_place=True, keep_mtime=False)
        moved = self._chance.random() < 0.3
        place = RelPath(b"tmp") if moved else release
        self._releases[number] = {}
        for name in FILES:
            content = self._world.content(self._chance)
            node.write(paths.join(place, name), content, in_place=True, keep_mtime=False)
            self._releases[number][paths.join(release, name)] = content
            self._go_on(self._chance.choice((0, 0, 2)))
        node.symlink(paths.join(place, b"shared"), b"../../shared" if not moved else b"../shared")
        if moved:
            node.rename(place, release)
        self._go_on(self._chance.choice((0, 0, 3)))
        node.symlink(CURRENT, release)
        if number > 1 and self._archives.random() < 0.2:
            node.rename(RelPath(b"releases/%d" % (number - 1)), RelPath(b"archive/%d" % (number - 1)))
        self._go_on(self._chance.choice((0, 0, 5)))
        if self._chance.random() < 0.3:
            self._link(number)
        if number > 2:
            node.delete(RelPath(b"releases/%d" % (number - 2)))
            node.delete(RelPath(b"store/%d" % (number - 2)))

    def _link(self, number: int) -> None:
        """The release is a directory no more, but leads to a copy that is kept elsewhere."""
        node, release, store = self._world.nodes[0], RelPath(b"releases/%d" % number), RelPath(b"store/%d" % number)
        for path, content in self._releases[number].items():
            copy = RelPath(store + path[len(release) :])
            node.write(copy, content, in_place=True, keep_mtime=False)
        self._go_on(self._chance.choice((0, 5, 60)))
        aside = RelPath(release + b".old")
        if self._chance.random() < 0.5:
            node.rename(release, aside)
        node.symlink(release, b"../" + store)
        self._go_on(self._chance.choice((0, 5, 60)))
        node.delete(aside)

    def _go_on(self, steps: int) -> None:
        """Events are read in their order, links move, now and then something breaks."""
        world, chance = self._world, self._chance
        for _ in range(steps):
            world.pass_time(chance.choice((0.001, 0.01, 0.1)))
            what = chance.random()
            if what < 0.4:
                world.absorb(chance.choice(world.nodes), chance)
                continue
            link = chance.choice(world.links)
            if what < 0.9:
                link.connect()
                for _ in range(chance.randrange(1, 20)):
                    link.step(chance.randrange(5), chance)
            elif what < 0.95:
                link.fault = chance.choice((0.0, 0.5))
            elif what < 0.98:
                link.cut()
            else:
                self._restart(chance.choice(world.nodes))

    def _restart(self, node: SimNode) -> None:
        for link in self._world.links:
            if node in (link.one, link.other):
                link.cut()
        node.start()

    def _visit(self, node: SimNode) -> None:
        current = node.disk.files.get(CURRENT)
        if current is None:
            return
        number = int(paths.name(RelPath(current.target)))
        if number < self._seen.get(node.name, 0):
            raise Wrong(f"{node.name} goes back from release {self._seen[node.name]} to {number}")
        self._seen[node.name] = number
        release = RelPath(b"releases/%d" % number)
        there = node.disk.files.get(release)
        where = b"store/%d" % number if there is not None and there.kind is Kind.SYMLINK else release
        for path, content in self._releases[number].items():
            if not _holds(node.disk.files.get(RelPath(where + path[len(release) :])), content):
                raise Wrong(f"a visitor of {node.name} follows current to release {number} and misses {path!r}")


def _holds(inode: Inode | None, content: bytes) -> bool:
    return inode is not None and inode.kind is Kind.FILE and inode.content == content


def failure(seed: int, link: type[Link] = Link) -> str:
    """What a visitor meets in the deploys of this seed, "" if nothing is wrong."""
    try:
        Deploys(seed, link).run()
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is a finding
        return repr(error)
    return ""


def told(seed: int, why: str) -> str:
    """What a person needs to see a failure again."""
    return f"deploys {seed}: {why}\nSIM_SEED={seed} .venv/bin/python -m pytest tests/simulation/test_deploys.py"


def first_failing(link: type[Link], seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first seed of `seeds` at which a visitor meets something wrong, and what; None if none does."""
    for seed in seeds:
        if why := failure(seed, link):
            return seed, why
    return None
