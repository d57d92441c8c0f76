"""Histories: made from a seed, run, and made small when they fail."""

import dataclasses
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from tests.support.simholds import Limits
from tests.support.simlink import Link
from tests.support.simnode import Wrong
from tests.support.simworld import Setting, Step, World

NODES: Final = 3
WEIGHTS: Final = (
    ("clock", 1),
    ("write", 22),
    ("twice", 2),
    ("absorb", 14),
    ("flow", 14),
    ("move", 22),
    ("connect", 6),
    ("cut", 3),
    ("tear", 3),
    ("race", 4),
    ("scan", 1),
    ("kill", 3),
    ("start", 4),
    ("wait", 3),
    ("full", 1),
)
VOLUMES: Final = (
    *WEIGHTS,
    ("snapshot", 5),
    ("lose", 2),
    ("old", 2),
    ("roll", 7),
    ("empty", 3),
    ("orphan", 1),
    ("power", 5),
)
CURSORS: Final = (
    *WEIGHTS,
    ("cursor", 6),
    ("sever", 1),
)
HELD_BACK: Final = (
    *WEIGHTS,
    ("approve", 4),
    ("unmount", 1),
    ("purge", 1),
)


AGED: Final = (
    *WEIGHTS,
    ("absence", 16),
)


def _each(weights: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    return tuple(what for what, weight in weights for _ in range(weight))


STEPS: Final = (_each(WEIGHTS), _each(VOLUMES), _each(HELD_BACK), _each(CURSORS))
PLAIN: Final = 0
"""Histories whose seed leaves this remainder have no fault of a volume, and nothing is held."""
STRUCK: Final = 1
"""In these volumes are lost and set back."""
HELD: Final = 2
"""In these much of what is deleted or replaced is held, until it is approved."""
COMPARED: Final = 3
"""In these cursors are lost or too high, two nodes may never meet again, and indexes are compared."""
LIMITS: Final = (Limits(3, 2), Limits(2, 4), Limits(3, trash=12), Limits(2, 2, 30))


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What happens to the nodes."""

    setting: Setting
    steps: tuple[Step, ...]


def made(seed: int, nodes: int = NODES) -> History:
    """The history of this seed."""
    chance = Random(seed)
    skews = tuple(chance.choice((0.0, 0.0, 0.5, -3600.0, 3600.0)) for _ in range(nodes))
    grain_ns = chance.choice((0, 4_000_000))
    kind = seed % len(STEPS)
    kinds = STEPS[kind]
    limits = chance.choice(LIMITS) if kind == HELD else Limits()
    steps = [_step(chance, chance.choice(kinds), nodes) for _ in range(chance.choice((8, 20, 40, 60)))]
    for _ in range(chance.choice((0, 0, 1))):
        steps.insert(chance.randrange(len(steps)), _step(chance, "calm", nodes))
    if chance.random() < 0.3:
        steps.append(_step(chance, "solo", nodes))
    else:
        steps.append(_step(chance, "calm", nodes))
    return History(Setting(skews, grain_ns, limits, kind == COMPARED), tuple(steps))


KEEPS: Final = (5.0, 30.0)
"""Simulated seconds after which tombstones are old, and nodes are forgotten, in `aged` histories."""


def aged(seed: int, nodes: int = NODES) -> History:
    """The history of this seed in which nodes are away for shorter and longer than others remember deletions."""
    chance = Random(f"aged {seed}")
    kinds = [what for what in _each(AGED) if what != "clock"]
    steps = [_step(chance, chance.choice(kinds), nodes) for _ in range(chance.choice((6, 12, 20, 30)))]
    steps.append(_step(chance, chance.choice(("calm", "calm", "solo")), nodes))
    skews = tuple(chance.choice((0.0, 0.0, 0.5)) for _ in range(nodes))
    setting = Setting(skews, chance.choice((0, 4_000_000)), compares=True, keeps_s=KEEPS)
    return History(setting, tuple(steps))


RENAMED: Final = (
    ("renamed", 12),
    ("write", 8),
    ("absorb", 4),
    ("flow", 3),
    ("move", 8),
    ("cut", 2),
    ("race", 4),
    ("kill", 2),
    ("start", 4),
    ("full", 1),
    ("clock", 1),
)


def renamed(seed: int, nodes: int = NODES) -> History:
    """The history of this seed in which directories are renamed when all is at rest; in every third volumes are set
    back."""
    chance = Random(f"renamed {seed}")
    kinds = _each((*RENAMED, ("snapshot", 3), ("roll", 2)) if seed % 3 == STRUCK else RENAMED)
    steps = [_step(chance, chance.choice(kinds), nodes) for _ in range(chance.choice((3, 6, 12, 20)))]
    steps.append(_step(chance, chance.choice(("calm", "calm", "solo")), nodes))
    skews = tuple(chance.choice((0.0, 0.0, 0.5, -3600.0)) for _ in range(nodes))
    return History(Setting(skews, chance.choice((0, 4_000_000))), tuple(steps))


def _step(chance: Random, what: str, nodes: int) -> Step:
    return Step(what, chance.randrange(nodes), chance.randrange(nodes - 1), chance.randrange(1 << 30))


def run(history: History, link: type[Link] = Link) -> World:
    """Run a history to its end.

    Raises:
        Wrong: something that must hold does not.
    """
    world = World(history.setting, link)
    for step in history.steps:
        world.apply(step)
    return world


def failure(history: History, link: type[Link] = Link) -> str:
    """What goes wrong in a history, "" if nothing does."""
    try:
        run(history, link)
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is a finding
        return repr(error)
    return ""


def smaller(history: History, fails: Callable[[History], bool]) -> History:
    """The history without the steps that it also fails without."""
    size = len(history.steps) // 2
    while size:
        at = 0
        while at < len(history.steps):
            less = dataclasses.replace(history, steps=history.steps[:at] + history.steps[at + size :])
            if less.steps and fails(less):
                history = less
            else:
                at += size
        size //= 2
    return history


def seeds(kind: int, count: int) -> range:
    """The first `count` seeds of one kind of histories."""
    return range(kind, count * len(STEPS), len(STEPS))


def told(seed: int, why: str, make: Callable[[int], History] = made, name: str = "three_nodes") -> str:
    """What a person needs to see a failure again: the command, and the smallest history that fails in the same way."""
    small = smaller(make(seed), lambda history: failure(history)[:30] == why[:30])
    steps = "\n  ".join(str(step) for step in small.steps)
    again = f"SIM_SEED={seed} .venv/bin/python -m pytest tests/simulation/test_histories.py -k {name}"
    return f"history {seed}: {why}\n{again}\nthe smallest such history, {small.setting}:\n  {steps}"


def first_failing(
    link: type[Link], seeds: Iterable[int], make: Callable[[int], History] = made
) -> tuple[int, str] | None:
    """The first seed of `seeds` whose history fails, and how; None if none does."""
    for seed in seeds:
        if why := failure(make(seed), link):
            return seed, why
    return None
