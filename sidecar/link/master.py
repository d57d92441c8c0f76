"""A connection to a peer: `ssh -M -N`, watched, restarted; everything else runs as sessions over it."""

import asyncio
import dataclasses
import enum
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from sidecar.errors import EnvironmentFault
from sidecar.link import process
from sidecar.link.identity import LOGIN
from sidecar.link.keys import InstalledKeys, is_region
from sidecar.link.process import Child, Tail

log = structlog.get_logger(__name__)

CIPHERS: Final = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
"""AES-GCM first: the fastest where the processor has AES, and every server of the last ten years does."""
CONNECT_TIME: Final = 15.0
"""Seconds from the start of ssh to an open connection."""
CHECK_INTERVAL: Final = 5.0
"""Seconds between two looks at whether the master still answers."""
CHECK_TIME: Final = 5.0
"""Seconds in which it must."""
STEADY: Final = 30.0
"""Seconds after which a connection counts as good: the next failure starts with the shortest delay."""
_SOCKET_PATH: Final = 107
_SUFFIX: Final = 17
"""ssh binds the control socket under a longer name first."""
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")
_GRACE: Final = 1.0
MAX_PORT: Final = 65535

_HINTS: Final = (
    ("Host key verification failed", "the peer shows another host key than peers/<region>/host.pub: copy it anew"),
    (
        "Permission denied",
        "the peer does not know this region's client_key.pub: copy it to its peers/<region>/client.pub",
    ),
    ("Could not resolve hostname", "is the peer's host spelled right, and does this network know it?"),
    ("Connection refused", "nothing listens there: is the peer's sidecar running, and is the port right?"),
    ("timed out", "is there a route, and does a firewall let the SSH port through?"),
    ("No route to host", "is there a route, and does a firewall let the SSH port through?"),
)


class LinkState(enum.Enum):
    """What the connection is doing."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """Where a region is reached."""

    region: str
    host: str
    port: int


def hint_for(said: str) -> str:
    """What to do about the last words of an ssh that failed; "" if they are none that we know."""
    return next((hint for words, hint in _HINTS if words in said), "")


class Master:
    """The connection to one peer.

    Args:
        env: the environment that ssh needs (`identity.environment`).
        delays: seconds to wait before the n-th retry in a row, n from 0.
        changed: called with (region, state, what is wrong and what to do about it, "" if nothing).
        heard: did something come over it within `CHECK_INTERVAL`? Then nobody needs to ask whether it lives.
        bulk: it is the second connection to that peer, for what is large: what waits in one connection is sent in the
            order in which it came, so that a small file would wait for megabytes.

    Raises:
        EnvironmentFault: region, host or run directory cannot be written into ssh's configuration.
    """

    def __init__(
        self,
        peer: Peer,
        keys: InstalledKeys,
        run_dir: str,
        env: dict[str, str],
        *,
        delays: Callable[[int], float],
        changed: Callable[[str, LinkState, str], None],
        heard: Callable[[], bool] = lambda: False,
        bulk: bool = False,
    ) -> None:
        self.peer = peer
        self.env = env
        self.state = LinkState.DOWN
        self.problem = ""
        """what was wrong last, with a hint; "" while it is up"""
        self._delays = delays
        self._changed = changed
        self._heard = heard
        self._socket = os.path.join(run_dir, f"{'b' if bulk else 'm'}.{peer.region}")
        self._config = os.path.join(run_dir, f"ssh_config{'_bulk' if bulk else ''}.{peer.region}")
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._down.set()
        self._now = asyncio.Event()
        _check(peer, self._socket)
        with open(self._config, "w", encoding="ascii") as file:
            file.write(_config(peer, keys, self._socket))

    @property
    def up(self) -> bool:
        """Is it open, as far as is known?"""
        return self.state is LinkState.UP

    async def wait_up(self) -> None:
        """Returns when it is open."""
        await self._up.wait()

    async def wait_down(self) -> None:
        """Returns when it is not open, or was not for a moment."""
        await self._down.wait()

    def command(self, *remote: str) -> tuple[str, ...]:
        """The ssh that runs `remote` on the peer over this connection; it fails at once while there is none."""
        return ("ssh", "-F", self._config, self.peer.region, *remote)

    def hurry(self) -> None:
        """There is reason to think that the peer is back: try now, do not wait for the next turn."""
        self._now.set()

    async def run(self) -> None:
        """Keep the connection open until cancelled.

        Raises:
            EnvironmentFault: there is no ssh.
        """
        attempt = 0
        try:
            while True:
                began = time.monotonic()
                problem = await self._connection()
                attempt = 0 if time.monotonic() - began > STEADY else attempt
                self._set(LinkState.DOWN, problem)
                self._now.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._delays(attempt)):
                        await self._now.wait()
                attempt += 1
        finally:
            self._set(LinkState.DOWN, "")  # it was told to end: nothing is wrong

    async def _connection(self) -> str:
        """One connection, from its start to its end; why it ended."""
        self._unlink()
        self._set(LinkState.CONNECTING, self.problem)
        # the file's ProxyCommand keeps sessions from connecting on their own; LocalCommand says when this one is open
        argv = ("ssh", "-F", self._config, "-M", "-N", "-o", "ProxyCommand=none")
        announce = ("-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up")
        child = await process.start((*argv, *announce, self.peer.region), self.env)
        said = Tail()
        listening = asyncio.create_task(said.drain(child.stderr))
        try:
            problem = await self._live(child)
        finally:
            child.kill()
            await asyncio.wait((listening,), timeout=_GRACE)
            listening.cancel()
            await child.wait()
            child.let_go()
            self._unlink()
        problem = problem or said.last_line or f"ssh ended with {child.returncode}"
        hint = hint_for(problem)
        return f"{problem}; {hint}" if hint else problem

    async def _live(self, child: Child) -> str:
        try:
            async with asyncio.timeout(CONNECT_TIME):
                opened = await child.stdout.readline()
        except TimeoutError:
            return f"Connection timed out after {CONNECT_TIME:.0f} s"
        if not opened:
            return ""  # it ended; its own last line says why
        self._set(LinkState.UP, "")
        ended = asyncio.create_task(child.wait())
        try:
            while not (await asyncio.wait((ended,), timeout=CHECK_INTERVAL))[0]:
                if not self._heard() and not await answers(self._socket, CHECK_TIME):
                    return f"ssh did not answer for {CHECK_TIME:.0f} s"
        finally:
            ended.cancel()
        return ""

    def _set(self, state: LinkState, problem: str) -> None:
        if (state, problem) == (self.state, self.problem):
            return
        self.state, self.problem = state, problem
        begins, ends = (self._up, self._down) if state is LinkState.UP else (self._down, self._up)
        begins.set()
        ends.clear()
        self._changed(self.peer.region, state, problem)

    def _unlink(self) -> None:
        # a socket left by a killed ssh makes the next one go without multiplexing
        with suppress(FileNotFoundError):
            os.unlink(self._socket)


async def answers(control_socket: str, within: float) -> bool:
    """Does the ssh behind this socket still say hello, as a master does to every client (OpenSSH's PROTOCOL.mux)?

    The same question as `ssh -O check`, without starting a process.
    """
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_unix_connection(control_socket)
            try:
                await reader.readexactly(4)
            finally:
                writer.close()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return False
    return True


def _check(peer: Peer, control_socket: str) -> None:
    if not is_region(peer.region):
        raise EnvironmentFault(f"region {peer.region!r}", "is no region's name", "letters, digits, `.`, `_` and `-`")
    if not _HOST.fullmatch(peer.host) or peer.host.startswith("-") or not 0 < peer.port <= MAX_PORT:
        raise EnvironmentFault(
            f"peer {peer.region}", f"no host and port: {peer.host}:{peer.port}", "give it as host:port"
        )
    if len(os.fsencode(control_socket)) + _SUFFIX > _SOCKET_PATH:
        raise EnvironmentFault(control_socket, "is too long for a socket", "give it a shorter run_dir")


def _config(peer: Peer, keys: InstalledKeys, control_socket: str) -> str:
    lines = (
        ("Host", peer.region),
        ("HostName", peer.host),
        ("Port", str(peer.port)),
        ("User", LOGIN),
        ("HostKeyAlias", peer.region),
        ("ControlPath", control_socket),
        ("ControlMaster", "no"),
        ("ProxyCommand", "false"),
        ("IdentityFile", keys.client_key),
        ("IdentitiesOnly", "yes"),
        ("IdentityAgent", "none"),
        ("UserKnownHostsFile", keys.known_hosts),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("StrictHostKeyChecking", "yes"),
        ("UpdateHostKeys", "no"),
        ("CheckHostIP", "no"),
        ("BatchMode", "yes"),
        ("PreferredAuthentications", "publickey"),
        ("ClearAllForwardings", "yes"),
        ("Compression", "no"),
        ("Ciphers", CIPHERS),
        ("IPQoS", "none"),
        ("ConnectTimeout", "10"),
        ("ServerAliveInterval", "5"),
        ("ServerAliveCountMax", "3"),
        ("RequestTTY", "no"),
        ("EscapeChar", "none"),
        ("LogLevel", "ERROR"),
    )
    return "".join(f"{name} {value}\n" for name, value in lines)
