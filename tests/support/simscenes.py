"""Scenes of a simulated history that take several steps, and say at once what must hold in between."""

from random import Random
from typing import TYPE_CHECKING, Final

from sidecar.core import holds
from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from tests.support.memory_disk import excluded
from tests.support.simfaults import FAULTS
from tests.support.simnode import SimNode, Wrong
from tests.support.simwriters import POOL

ROOMY: Final = tuple(RelPath(path) for path in (b"b/c", b"b/a/b", b"b/d", b"c/c"))
"""Paths that make a directory of more than a few."""
FREE: Final = tuple(RelPath(path) for path in (b"d", b"e", b"a/d", b"b", b"c", b"c/a"))
"""What a directory may be renamed to, if nothing lies there."""

if TYPE_CHECKING:
    from tests.support.simworld import World


def orphan(world: "World", node: SimNode, chance: Random) -> None:
    """Two nodes write one path, one hears of the other's version and not its bytes, and their volume goes."""
    link = chance.choice([link for link in world.links if link.one is node])
    if world.down & {link.one.name, link.other.name}:
        return
    path = chance.choice(POOL)
    for one in (node, link.other):
        one.write(path, world.content(chance), in_place=False, keep_mtime=False)
        one.absorb([path])
    link.connect()
    link.fault = 0.0
    for which in range(chance.randrange(5, 15)):
        link.step(which, chance)
    world.fault(node, chance.choice(sorted(FAULTS)), chance)


def unmount(world: "World", node: SimNode, chance: Random) -> None:
    """The web root of a node is empty when it starts: nobody else's is; until it is there again, or approved."""
    world.calm(chance)
    expected = {other.name: other.disk.shown() for other in world.nodes}
    holds_it = node.store.live_count() > world.limits.scan
    hidden = node.unmount()
    world.restart(node)
    world.settle(chance)
    others = [other for other in world.nodes if other is not node]
    if holds_it and any(other.disk.shown() != expected[other.name] for other in others):
        raise Wrong(f"the web root of {node.name} was not there, and others lost files")
    if not holds_it or chance.random() < 0.5:
        node.was_deleted(hidden)  # or that is rejected, and it comes back
        world.calm(chance)
        return
    node.disk.files = hidden
    world.restart(node)
    world.calm(chance)
    if any(other.disk.shown() != expected[other.name] for other in world.nodes):
        raise Wrong(f"the web root of {node.name} is there again, and not as it was")


def purge(world: "World", node: SimNode, chance: Random) -> None:
    """Somebody deletes everything on one node: the others keep most of theirs until that is approved."""
    world.calm(chance)
    others = [other for other in world.nodes if other is not node]
    files = {other.name: _files(other) for other in others}
    live = {other.name: other.store.live_count() for other in others}
    for other in others:
        other.granted.clear()
    for path in node.disk.children(ROOT):
        node.delete(path)
    while node.dirty:
        world.absorb(node, chance)
    world.settle(chance)
    for other in others:
        may_go = _may_go(files[other.name], live[other.name], world.limits.changes)
        if most := {region: count for region, count in other.granted.items() if count > may_go}:
            raise Wrong(f"{node.name} deleted everything, and {other.name} followed unasked: {most}, not {may_go}")
        if _files(other) and not other.holds.active:
            raise Wrong(f"{other.name} keeps files that {node.name} deleted, and holds nothing")
    world.calm(chance)


def absence(world: "World", node: SimNode, chance: Random) -> None:
    """A node is cut off, for shorter or longer than others wait for it; everybody writes on, and what is old goes."""
    world.go_on(chance.choice((0, 10, 20)), chance)
    for _ in range(chance.randrange(1, 4)):
        for one in world.nodes:
            if one.disk.files and chance.random() < 0.4:
                one.delete(chance.choice(sorted(one.disk.files)))
            elif chance.random() < 0.7:
                world.local(one, chance)
            world.absorb(one, chance)
        world.others_go_on(node, chance.randrange(1, 12), chance)
        world.pass_time(chance.choice((0.0, 8.0, 40.0, 40.0)))
    world.others_go_on(node, chance.choice((2, 8, 16)), chance)


def renamed(world: "World", node: SimNode, chance: Random) -> None:
    """A directory that has come to rest, or nearly, is renamed, and much happens before its rows have come."""
    if node.name in world.down or not [path for path in _directories(node) if node.disk.children(path)]:
        world.go_on(1, chance)
        for path in chance.sample((*POOL, *ROOMY), 4):
            node.write(path, world.content(chance), in_place=False, keep_mtime=False)
    world.go_on(chance.choice((2, 6, 10)), chance)
    old, new = chance.choice(_directories(node) or [ROOT]), chance.choice(FREE)
    node.rename(old, new)
    if chance.random() < 0.2:
        world.local(node, chance)
    for _ in range(chance.randrange(1, 4)):
        world.absorb(node, chance)
    for link in [link for link in node.links if chance.random() < 0.8]:
        for which in (2, 2, 2)[: chance.randrange(4)]:
            link.step(which, chance)
    if chance.random() < 0.3:
        world.kill(chance.choice(world.nodes), chance)
    if chance.random() < 0.2:
        node.rename(new, chance.choice((old, *FREE)))


def _directories(node: SimNode) -> list[RelPath]:
    return sorted(path for path in node.disk.files if node.disk.is_dir(path) and not excluded(path, True))


def _files(node: SimNode) -> int:
    return sum(inode.kind is not Kind.DIR for path, inode in node.disk.files.items() if not excluded(path, False))


def _may_go(files: int, live: int, limit: int) -> int:
    """How many of so many files a peer may delete at once, unasked, of a tree of `live` paths."""
    return next((n for n in range(files) if holds.too_much(n + 1, live - n, limit)), files)
