"""Several simulated nodes and the links between them, moved by steps that are data; then: is everything as it must be?

A history is a list of steps; `World.apply` does one, `World.calm` lets everything come to rest and checks what must
hold.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from sidecar.core.compare import Comparing
from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from sidecar.engine.replica import Changed
from sidecar.engine.status import HoldKind
from tests.support import simscenes
from tests.support.memory_disk import ROOM, Crash
from tests.support.simcheck import check, difference
from tests.support.simcompare import INTERVAL
from tests.support.simfaults import FAULTS, Faults
from tests.support.simholds import UNLIMITED, Limits
from tests.support.simlink import ENDS, Link
from tests.support.simnode import EPOCH_NS, MODES, SimNode, Wrong
from tests.support.simwriters import POOL, Facts

TARGETS: Final = (b"a", b"b", b"../a", b"a/b", b"nowhere", b"../b/a", b"a/a/b")
KINDS: Final = (
    ("write", 10),
    ("delete", 6),
    ("rename", 5),
    ("mkdir", 2),
    ("chmod", 2),
    ("touch", 1),
    ("symlink", 3),
    ("copy", 2),
    ("begin", 1),
    ("finish", 1),
    ("exclude", 1),
    ("anew", 1),
)
OPS: Final = tuple(kind for kind, weight in KINDS for _ in range(weight))
LINK_STEPS: Final = frozenset({"connect", "cut", "tear", "move", "flow", "cursor", "sever"})
ROOMS: Final = (0, 1, 5, 9)
"""Of a full disk: nothing is made, no file, none that is larger than most, or than some."""
APPROVALS: Final = 10
"""After so many approvals nothing may be held any more."""
ROUNDS: Final = 120
"""Everything must be at rest after this many rounds, half a second each."""
STEPS: Final = 3000
"""Frames and files that a link may move in one round."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step: what happens, to which node, towards which peer, and `salt` for all that is chosen on the way."""

    what: str
    node: int = 0
    peer: int = 0
    salt: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """How the nodes of a history are."""

    skews_s: tuple[float, ...] = (0.0, 0.0, 0.0)
    grain_ns: int = 0
    limits: Limits = UNLIMITED
    compares: bool = False
    star: bool = False
    """does each know the first alone, which knows all?"""
    keeps_s: tuple[float, float] = (0.0, 0.0)
    """after how long tombstones are old, and nodes are forgotten; 0: never"""


class World:
    """Nodes called a, b, c, …, with a link for each ordered pair.

    Args:
        link: makes a link: another class breaks a rule of it.
    """

    modes: tuple[int, ...] = MODES

    def __init__(self, setting: Setting, link: type[Link] = Link) -> None:
        self._ns = EPOCH_NS
        self._runs = 0
        self._contents = 0
        self.links: list[Link] = []
        names = [chr(97 + i) for i in range(len(setting.skews_s))]
        facts: Facts = {}

        def knows(name: str, peer: str) -> bool:
            return name != peer and not (setting.star and names[0] not in (name, peer))

        self.nodes = [
            SimNode(
                name,
                [peer for peer in names if knows(name, peer)],
                self.now_ns,
                round(skew * 1e9),
                setting.grain_ns,
                self._run,
                facts,
                setting.limits,
                self._told,
                self._cut_all,
                self._cut_incoming,
            )
            for name, skew in zip(names, setting.skews_s, strict=True)
        ]
        self.faults = Faults(self.nodes)
        self.limits = setting.limits
        self._obliging = False
        """is everything that is held approved?"""
        self.down: set[str] = set()
        self._node_steps: dict[str, Callable[[SimNode, Random], object]] = {
            "write": self.local,
            "race": self._race,
            "twice": self._twice,
            "absorb": self.absorb,
            "scan": self._scan,
            "kill": self.kill,
            "start": lambda node, _: self._start(node),
            "wait": self._wait,
            "full": self._full,
            "calm": lambda _, chance: self.calm(chance),
            "solo": self._solo,
            "snapshot": self._snapshot,
            "orphan": partial(simscenes.orphan, self),
            "approve": self._decide,
            "clock": self._clock,
            "unmount": partial(simscenes.unmount, self),
            "purge": partial(simscenes.purge, self),
            "absence": partial(simscenes.absence, self),
            "renamed": partial(simscenes.renamed, self),
        }
        self.links += [link(a, b, self.seconds) for a in self.nodes for b in self.nodes if knows(a.name, b.name)]
        for node in self.nodes:
            node.links += [link for link in self.links if link.one is node]
            if setting.keeps_s[0]:
                node.keeps = setting.keeps_s
                node.start()
        for made in self.links:
            made.failed = partial(self._cut_all, made.other)
            made.back = next(link for link in self.links if (link.one, link.other) == (made.other, made.one))
            if setting.compares:
                made.comparing = Comparing(INTERVAL, due=INTERVAL)

    # -- time and chance

    def now_ns(self) -> int:
        self._ns += 1000
        return self._ns

    def seconds(self) -> float:
        return (self._ns - EPOCH_NS) / 1e9

    def pass_time(self, seconds: float) -> None:
        self._ns += round(seconds * 1e9)

    def _run(self) -> int:
        self._runs += 1
        return (self._runs * 7919) % 10007

    def _told(self, node: SimNode, changed: Changed, source: str) -> None:
        for link in self.links:
            if link.one is node:
                link.changed(changed, source)

    def content(self, chance: Random) -> bytes:
        """Bytes that nobody wrote before; some sizes are frequent, some are large."""
        self._contents += 1
        return b"%d" % (1000 + self._contents) + b"x" * chance.choice((0, 0, 0, 4, 9))

    @property
    def struck(self) -> bool:
        return self.faults.struck

    @property
    def torn(self) -> dict[bytes, bytes]:
        return self.faults.torn

    @property
    def lost(self) -> set[bytes]:
        return self.faults.lost

    def pool(self, node: SimNode) -> tuple[RelPath, ...]:
        """The paths that local writers of a node write to."""
        return POOL

    # -- steps

    def apply(self, step: Step) -> None:
        """Do one step."""
        chance = Random(step.salt)
        self.pass_time(chance.choice((0.0, 0.0005, 0.003, 0.03)))
        node = self.nodes[step.node % len(self.nodes)]
        if step.what in LINK_STEPS:
            self._link_step(step, chance)
        elif step.what in FAULTS:
            self.fault(node, step.what, chance)
        else:
            self._node_steps[step.what](node, chance)

    def _race(self, node: SimNode, chance: Random) -> None:
        node.disk.race_in = chance.randrange(6)
        node.disk.race = lambda: self.local(node, chance)

    def _twice(self, node: SimNode, chance: Random) -> None:
        """A file is saved twice in a moment, with as many bytes, and looked at in between."""
        path = chance.choice(self.pool(node))
        if node.name in self.down or (path in node.disk.files and node.disk.files[path].kind is not Kind.FILE):
            return
        first = self.content(chance)
        node.write(path, first, in_place=True, keep_mtime=False)
        node.absorb([path])
        self._contents += 1
        node.write(path, b"%d" % (1000 + self._contents) + first[4:], in_place=True, keep_mtime=False)

    def _scan(self, node: SimNode, chance: Random) -> None:
        if node.name not in self.down:
            node.dirty = {}
            node.scan()

    def _full(self, node: SimNode, chance: Random) -> None:
        """Its index is, for a moment, or its volume is, until there is space again."""
        if node.disk.room < ROOM:
            node.disk.room = ROOM
        elif chance.random() < 0.5:
            node.full = True
        else:
            node.disk.room = chance.choice(ROOMS)

    def _cut_all(self, node: SimNode) -> None:
        for link in self.links:
            if node in (link.one, link.other):
                link.cut()

    def _cut_incoming(self, node: SimNode) -> None:
        for link in self.links:
            if node is link.other:
                link.cut()

    def _wait(self, node: SimNode, chance: Random) -> None:
        self.pass_time(chance.choice((0.1, 0.6, 1.2, 12.0)))

    def _link_step(self, step: Step, chance: Random) -> None:
        link = self.links[(step.node * (len(self.nodes) - 1) + step.peer) % len(self.links)]
        if self.down & {link.one.name, link.other.name}:
            return
        match step.what:
            case "connect":
                link.connect()
            case "cut":
                link.cut()
            case "cursor":
                self._wrong_cursor(link, chance)
            case "sever":
                self._sever(link)
            case "tear":
                fault = chance.choice((0.0, 0.5))
                link.fault = ENDS if chance.random() < 0.5 else fault
            case "move":
                for _ in range(chance.randrange(1, 6)):
                    link.step(chance.randrange(5), chance)
            case _:
                link.connect()
                for which in range(chance.randrange(5, 40)):
                    link.step(which, chance)

    def _wrong_cursor(self, link: Link, chance: Random) -> None:
        """What the other side settled is lost, or more is said to be."""
        link.cut()
        index, top = link.other.store, link.one.store.max_seq()
        for peer in index.peers():
            if peer.region == link.one.name:
                index.set_cursor(peer.region, peer.node, peer.epoch, chance.choice((0, top, max(0, top - 1))))

    def _sever(self, link: Link) -> None:
        """Two of the nodes never reach each other again: another one must still reach both."""
        settled = all(node.me.found_done for node in self.nodes)
        if len(self.nodes) > 2 and settled and not any(one.severed for one in self.links):
            for one in (link, link.back):
                assert one is not None
                one.cut()
                one.severed = True

    def local(self, node: SimNode, chance: Random) -> None:
        """A local writer does something."""
        path, other = chance.choice(self.pool(node)), chance.choice(self.pool(node))
        what = chance.choice(OPS)
        match what:
            case "write":
                in_place, keep = chance.random() < 0.5, chance.random() < 0.2
                node.write(path, self.content(chance), in_place=in_place, keep_mtime=keep)
            case "delete":
                node.delete(path)
            case "rename":
                node.rename(path, other)
            case "copy":
                node.copy(path, other)
            case "mkdir":
                node.mkdir(path)
            case "symlink":
                node.symlink(path, chance.choice(TARGETS))
            case _:
                self._rare(node, path, what, chance)

    def _rare(self, node: SimNode, path: RelPath, what: str, chance: Random) -> None:
        match what:
            case "chmod":
                node.chmod(path, chance.choice(self.modes) if chance.random() < 0.7 else 0o711)
            case "touch":
                node.touch(path, EPOCH_NS - (7200 + chance.randrange(5)) * 1_000_000_000)
            case "begin":
                node.begin(path)
            case "finish":
                node.finish(self.content(chance))
            case "anew" if node.disk.is_dir(path):
                node.rename(path, chance.choice(self.pool(node)))
                node.mkdir(path)
            case "anew":
                node.mkdir(path)
            case _:
                if node.disk.is_dir(path):
                    node.write(RelPath(path + b"/x~"), b"excluded", in_place=True, keep_mtime=False)

    def absorb(self, node: SimNode, chance: Random) -> None:
        if node.name in self.down:
            return
        node.date_found()
        if not node.dirty:
            return
        if node.in_order:
            node.absorb_in_order(chance.randrange(1, len(node.dirty) + 2))
            return
        marked = list(node.dirty)
        chance.shuffle(marked)
        node.absorb(marked[: chance.randrange(1, len(marked) + 1)])

    def kill(self, node: SimNode, chance: Random) -> None:
        """A kill -9 after some step of whatever the node does next, or before it."""
        if node.name in self.down:
            return
        node.disk.fuse = chance.randrange(4)
        try:
            towards = [link for link in self.links if link.other is node and link.receiver is not None]
            chance.shuffle(towards)
            for link in towards:
                for which in range(10):
                    link.step(which, chance)
            if chance.random() < 0.5:
                self.absorb(node, chance)
        except Crash:
            pass
        self.down.add(node.name)
        node.disk.fuse = None
        self._cut_all(node)

    def _start(self, node: SimNode) -> None:
        if node.name not in self.down:
            return
        self.down.discard(node.name)
        node.start()

    def _snapshot(self, node: SimNode, chance: Random) -> None:
        """Of a running node, of one that is stopped, or of one that is killed at this moment."""
        if chance.random() < 0.3:
            self.kill(node, chance)
        self.faults.snapshot(node)

    def fault(self, node: SimNode, what: str, chance: Random) -> None:
        """Something becomes of the volume of a node that is down; it starts at once, or later."""
        self.kill(node, chance)
        self.faults.strike(node, what, chance)
        if chance.random() < 0.7:
            self._start(node)

    def _solo(self, node: SimNode, chance: Random) -> None:
        """Everything is at rest, one node changes something: then all must be as that node is."""
        self.calm(chance)
        for _ in range(chance.randrange(1, 5)):
            self.local(node, chance)
            if chance.random() < 0.5:
                self.absorb(node, chance)
            self.pass_time(0.01)
        self._finish(chance)
        expected = node.disk.shown()
        self._obliging = True
        self.calm(chance)
        self._obliging = False
        if node.disk.shown() != expected:
            raise Wrong(f"only {node.name} wrote, but its root changed: {difference(expected, node.disk.shown())}")

    # -- rest

    def _finish(self, chance: Random) -> None:
        for node in self.nodes:
            while node.disk.open:
                node.finish(self.content(chance))

    def calm(self, chance: Random) -> None:
        """No more writes, everybody up, all links up: come to rest, then check what must hold."""
        for node in self.nodes:
            node.disk.race = None
            node.full, node.disk.room = False, ROOM
            self._start(node)
            node.mend()
        self._finish(chance)
        for link in self.links:
            link.fault, link.dead = 1.0, False
        self._settle_approved(chance)
        self.faults.settle()
        check(self)

    def _settle_approved(self, chance: Random) -> None:
        """Come to rest; whatever is held is approved or rejected, until nothing is."""
        for _ in range(APPROVALS):
            self.settle(chance)
            decided = [self._decide(node, chance) for node in self.nodes]
            if not any(decided):
                return
        raise Wrong(f"held again and again: {[(node.name, node.holds.active) for node in self.nodes]}")

    def _decide(self, node: SimNode, chance: Random) -> int:
        """A person lets go on what is held, or takes it back; how much was held."""
        held = list(node.holds.active) if node.name not in self.down else []
        for kind in held:
            if kind is HoldKind.FORGOTTEN:
                if not any(one.store.forgets for one in self.nodes):
                    raise Wrong(f"{node.name} holds what was not known elsewhere, and nobody was away for long")
                node.decide_forgotten(trash=not self._obliging and chance.random() < 0.6)
            elif self._obliging or chance.random() < 0.6:
                node.holds.approve(kind)
            else:
                node.reject(kind)
                self.faults.forget()  # what a scan missed and no other region has does not come back
        return len(held)

    def _clock(self, node: SimNode, chance: Random) -> None:
        """Somebody sets the clock of a node."""
        node.set_clock(chance.choice((-1.0, -0.002, 0.002, 1.0, 7_200.0)))

    def restart(self, node: SimNode) -> None:
        self.down.add(node.name)
        self._cut_all(node)
        self._start(node)

    def settle(self, chance: Random) -> None:
        """Run until everything is at rest; while something is held, others may try again and again.

        Raises:
            Wrong: it never is.
        """
        for _ in range(ROUNDS):
            if not self._round(chance):
                return
        if any(node.holds.active for node in self.nodes):
            return
        unsettled = {f"{link.one.name}>{link.other.name}": _unsettled(link) for link in self.links if not link.idle}
        raise Wrong(f"no rest after {ROUNDS} rounds: {unsettled}")

    def others_go_on(self, without: SimNode, rounds: int, chance: Random) -> None:
        """So many rounds of all but this node."""
        for link in self.links:
            link.dead = without in (link.one, link.other)
            if link.dead:
                link.cut()
        self.go_on(rounds, chance)
        for link in self.links:
            link.dead = False

    def go_on(self, rounds: int, chance: Random) -> None:
        """Everything up, and so many rounds, at rest or not."""
        for node in self.nodes:
            self._start(node)
        for link in self.links:
            link.fault = 1.0
        for _ in range(rounds):
            self._round(chance)

    def _round(self, chance: Random) -> bool:
        busy = False
        for node in self.nodes:
            node.holds.look_again()
            node.mark_racy()
            node.age()
            if node.dirty:
                busy = True
                self.absorb(node, chance)
            busy = node.date_found() or busy
        for link in self.links:
            link.connect()
        for link in self.links:
            busy = self._run_dry(link, chance) or busy
        self.pass_time(0.5)
        waits = any(node.dirty or not node.me.found_done for node in self.nodes)
        return busy or waits or not all(link.idle and link.compared for link in self.links)

    @staticmethod
    def _run_dry(link: Link, chance: Random) -> bool:
        """Until nothing of any kind can happen on it before time passes."""
        moved, idle, first, pings = 0, 0, chance.randrange(5), link.pings
        while idle < 5:
            if link.step(first + idle, chance):
                moved, idle, first = moved + 1, 0, chance.randrange(5)
            else:
                idle += 1
            if moved > STEPS:
                raise Wrong(f"{link.one.name} never stops talking to {link.other.name}")
        return moved > link.pings - pings


def _unsettled(link: Link) -> list[RelPath]:
    return list(link.sender.box.seqs) if link.sender is not None else []
