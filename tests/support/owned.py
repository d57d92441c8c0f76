"""Histories in which each node writes to paths that are its own: there, nothing ever changes but by its writer.

The nodes are three to six; in half of the histories only the first reaches all others.
"""

from random import Random
from typing import Final, TypeAlias

from sidecar.core.paths import RelPath
from tests.support.simcheck import difference
from tests.support.simlink import Link
from tests.support.simnode import SimNode, Wrong
from tests.support.simworld import Setting, Step, World
from tests.support.simwriters import POOL

Shown: TypeAlias = dict[RelPath, tuple[object, ...]]
"""What lies at each path."""
NODES: Final = (3, 4, 5, 6)
WEIGHTS: Final = (
    ("write", 30),
    ("absorb", 12),
    ("flow", 14),
    ("move", 24),
    ("connect", 8),
    ("cut", 3),
    ("tear", 1),
    ("race", 4),
    ("kill", 1),
    ("start", 4),
    ("wait", 2),
)
STEPS: Final = tuple(what for what, weight in WEIGHTS for _ in range(weight))


class OwnedWorld(World):
    """A world whose nodes write beneath directories of their own names alone."""

    modes: tuple[int, ...] = (0o755, 0o700, 0o750)

    def __init__(self, setting: Setting, link: type[Link] = Link) -> None:
        super().__init__(setting, link)
        self._left: dict[str, Shown] = {}
        """what the writers of each node left"""

    def pool(self, node: SimNode) -> tuple[RelPath, ...]:
        return tuple(RelPath(node.name.encode() + b"/" + path) for path in POOL)

    def local(self, node: SimNode, chance: Random) -> None:
        self._look(node)
        super().local(node, chance)
        self._left[node.name] = self._own(node)

    def calm(self, chance: Random) -> None:
        for node in self.nodes:
            self._look(node)
            self._finish_of(node, chance)
            self._left[node.name] = self._own(node)
        super().calm(chance)
        for node in self.nodes:
            self._look(node)

    def _finish_of(self, node: SimNode, chance: Random) -> None:
        while node.disk.open:
            node.finish(self.content(chance))

    def _own(self, node: SimNode) -> Shown:
        top = RelPath(node.name.encode())
        return {path: seen for path, seen in node.disk.shown().items() if path == top or path.startswith(top + b"/")}

    def _look(self, node: SimNode) -> None:
        now, left = self._own(node), self._left.get(node.name, {})
        if now != left:
            raise Wrong(f"what {node.name} alone writes to has changed: {difference(left, now)}")


def made(seed: int) -> tuple[Setting, tuple[Step, ...]]:
    """The history of this seed."""
    chance, nodes = Random(seed), NODES[seed // 2 % len(NODES)]
    count = chance.choice((20, 40, 80, 120))
    steps = [
        Step(chance.choice(STEPS), chance.randrange(nodes), chance.randrange(nodes - 1), chance.randrange(1 << 30))
        for _ in range(count)
    ]
    return Setting((0.0,) * nodes, star=bool(seed % 2)), (*steps, Step("calm", salt=seed))


def failure(seed: int) -> str:
    """What goes wrong in the history of this seed, "" if nothing does."""
    setting, steps = made(seed)
    world = OwnedWorld(setting)
    try:
        for step in steps:
            world.apply(step)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is a finding
        again = f"OWNED_SEED={seed} .venv/bin/python -m pytest tests/simulation/test_owned.py"
        return f"owned paths, seed {seed}: {error!r}\n{again}"
    return ""
