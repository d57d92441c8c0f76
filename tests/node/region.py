"""Regions on loopback: the real sshd, ssh, rsync and gate, each with a volume and a run directory of its own."""

import asyncio
import contextlib
import itertools
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from sidecar.link import identity, keys
from sidecar.link.channel import Channel
from sidecar.link.listener import Listener
from sidecar.link.master import LinkState, Master, Peer
from sidecar.link.rsync import Transfer
from sidecar.link.spares import Spares
from sidecar.link.sshd import Sshd, SshdOptions


def soon(attempt: int) -> float:
    """Delays short enough for tests."""
    return 0.05 if attempt < 10 else 0.5


async def until(true: Callable[[], object], what: str, within: float = 10.0) -> None:
    """Poll with a deadline."""
    deadline = asyncio.get_running_loop().time() + within
    while not true():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.005)


_PORTS = itertools.count(20_000)
"""Below those that the kernel gives to clients, and none twice: what was free a moment ago may be another's by now."""


def free_port() -> int:
    """A port of loopback that no other caller gets."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is left")


class Region:
    """One region: what a node's link needs, and what a test looks at."""

    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        self.port = free_port()
        self.volume = base / name
        self.html = self.volume / "html"
        self.inbox = self.volume / ".sidecar" / "inbox"
        self.keys_dir = self.volume / "keys"
        # ssh's sockets want a short path
        self.run_dir = Path(tempfile.mkdtemp(prefix="geo", dir="/tmp"))
        for directory in (self.html, self.inbox):
            directory.mkdir(parents=True)
        keys.make_region_keys(str(self.keys_dir))
        self.channels: list[tuple[str, Channel]] = []
        self.refusals: list[tuple[str, str]] = []
        self.links: list[tuple[str, LinkState, str]] = []
        self.sshd_states: list[tuple[bool, str]] = []
        self.env: dict[str, str] = {}
        self.installed: keys.InstalledKeys

    @property
    def address(self) -> Peer:
        return Peer(self.name, "127.0.0.1", self.port)

    def install(self, *peers: str) -> None:
        self.installed = keys.install(str(self.keys_dir), str(self.run_dir), peers)
        self.env = identity.environment(str(self.run_dir))

    def sshd(self) -> Sshd:
        partial = str(self.volume / ".sidecar" / "partial")
        options = SshdOptions("127.0.0.1", self.port, str(self.run_dir), str(self.inbox), str(self.html), partial)
        return Sshd(options, self.installed, self.env, delays=soon, changed=lambda *s: self.sshd_states.append(s))

    def listener(self, *peers: str, arrived: Callable[[str, Channel], Awaitable[None]] | None = None) -> Listener:
        return Listener(
            str(self.run_dir),
            peers,
            arrived or self._keep,
            lambda region, reason: self.refusals.append((region, reason)),
            self._begins,
        )

    async def _begins(self, _region: str, _batch: str) -> str:
        return ""

    async def _keep(self, region: str, channel: Channel) -> None:
        self.channels.append((region, channel))
        await asyncio.Event().wait()

    def master(self, peer: Peer) -> Master:
        return Master(
            peer,
            self.installed,
            str(self.run_dir),
            self.env,
            delays=soon,
            changed=lambda *state: self.links.append(state),
        )

    def spares(self, master: Master, count: int = 2, transfer: Transfer | None = None) -> Spares:
        return Spares(
            master, transfer or Transfer(str(self.html)), f"{self.name}-0", count, delays=soon, changed=lambda: None
        )


@contextlib.asynccontextmanager
async def running(*work: Awaitable[None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run these until the block is left."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def attended() -> None:
    """Until the ssh behind every closed channel has ended: the loop of a test must not end before its children."""
    waiting = [task for task in asyncio.all_tasks() if "Channel._attend" in task.get_coro().__qualname__]  # type: ignore[union-attr]
    if waiting:
        await asyncio.wait(waiting, timeout=10.0)


class Pair:
    """Two regions that know each other: msk sends, ams receives."""

    def __init__(self, base: Path) -> None:
        self.msk, self.ams = Region("msk", base), Region("ams", base)
        keys.exchange({region.name: str(region.keys_dir) for region in (self.msk, self.ams)})
        self.msk.install("ams")
        self.ams.install("msk")

    @contextlib.asynccontextmanager
    async def up(self, arrived: Callable[[str, Channel], Awaitable[None]] | None = None) -> AsyncIterator[Master]:
        """The receiver listens, and the sender is connected to it."""
        sshd, listener, master = (
            self.ams.sshd(),
            self.ams.listener("msk", arrived=arrived),
            self.msk.master(self.ams.address),
        )
        await listener.start()
        try:
            async with running(sshd.run(), master.run()):
                await asyncio.wait_for(master.wait_up(), 15)
                yield master
        finally:
            await listener.close()
            await attended()
