"""The sshd that peers connect to, run as our own user; every key leads to the gate."""

import asyncio
import dataclasses
import os
import re
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.errors import EnvironmentFault
from sidecar.link import process
from sidecar.link.identity import LOGIN
from sidecar.link.keys import InstalledKeys
from sidecar.link.master import CIPHERS, MAX_PORT
from sidecar.link.process import Tail

log = structlog.get_logger(__name__)

SSHD: Final = "/usr/sbin/sshd"
"""An absolute path: it starts itself anew for every connection."""
START_TIME: Final = 10.0
"""Seconds until it listens."""
_GRACE: Final = 2.0
_LAST_WORDS: Final = 0.2
"""Seconds in which what it said before it ended is read."""
_QUOTED: Final = re.compile(r'[^"\\\0-\x1f\x7f]+')
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.:_%*-]+")
_WARNING: Final = re.compile(r"error|fatal|refused|denied|invalid|unable|bad |maximum|timeout", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class SshdOptions:
    """Where sshd listens, and what the gate is told: `root` is the web root, `partial` where partial files lie
    (paths)."""

    listen: str
    port: int
    run_dir: str
    inbox: str
    root: str
    partial: str


class Sshd:
    """Supervises sshd.

    Args:
        env: the environment that it needs (`identity.environment`).
        delays: seconds to wait before the n-th restart in a row, n from 0.
        changed: called with (is it listening, what is wrong).

    Raises:
        EnvironmentFault: an option cannot be written into its configuration.
    """

    def __init__(
        self,
        options: SshdOptions,
        keys: InstalledKeys,
        env: dict[str, str],
        *,
        delays: Callable[[int], float],
        changed: Callable[[bool, str], None],
    ) -> None:
        self._options = options
        self._env = env
        self._delays = delays
        self._changed = changed
        self._config = os.path.join(options.run_dir, "sshd_config")
        self._listening = False
        with open(self._config, "w", encoding="utf-8") as file:
            file.write(_config(options, keys))

    @property
    def listening(self) -> bool:
        """Does it take connections?"""
        return self._listening

    async def check(self) -> None:
        """Let sshd look at its configuration and keys.

        Raises:
            EnvironmentFault: it does not accept them, or there is no sshd.
        """
        child, said = await process.start((SSHD, "-t", "-f", self._config), self._env), Tail()
        try:
            async with asyncio.timeout(START_TIME):
                await said.drain(child.stderr)
                status = await child.wait()
        except TimeoutError as error:
            child.kill()
            raise EnvironmentFault(SSHD, f"did not start within {START_TIME:.0f} s", "is the machine busy?") from error
        if status:
            problem = said.last_line or f"exit {status}"
            raise EnvironmentFault(SSHD, problem, "OpenSSH 9.8 or newer is needed, as in the image")

    async def run(self) -> None:
        """Keep it running until cancelled.

        Raises:
            EnvironmentFault: there is no sshd.
        """
        attempt = 0
        while True:
            listened, problem = await self._once()
            attempt = 0 if listened else attempt
            self._changed(False, problem)
            log.error("sshd ended", problem=problem)
            await asyncio.sleep(self._delays(attempt))
            attempt += 1

    async def _once(self) -> tuple[bool, str]:
        child = await process.start(
            (SSHD, "-D", "-e", "-f", self._config), self._env, stdout=asyncio.subprocess.DEVNULL
        )
        said = Tail(self._line)
        drained = asyncio.ensure_future(said.drain(child.stderr))
        try:
            # its stderr stays open as long as a connection outlives it
            await child.wait()
            await asyncio.wait((drained,), timeout=_LAST_WORDS)
            return self.listening, said.last_line or f"exit {child.returncode}"
        finally:
            drained.cancel()
            self._listening = False
            await asyncio.shield(child.stop(_GRACE))
            child.let_go()

    def _line(self, line: str) -> None:
        if line.startswith("Server listening on "):
            if not self.listening:
                self._listening = True
                self._changed(True, "")
            log.info("sshd", said=line)
        elif _WARNING.search(line):
            log.warning("sshd", said=line)
        else:
            log.debug("sshd", said=line)


def _config(options: SshdOptions, keys: InstalledKeys) -> str:
    if not _ADDRESS.fullmatch(options.listen) or not 0 < options.port <= MAX_PORT:
        raise EnvironmentFault(
            "ssh_listen", f"no address and port: {options.listen}:{options.port}", "as 0.0.0.0 and 2222"
        )
    told = {
        "GEOROOT_RUN": options.run_dir,
        "GEOROOT_INBOX": options.inbox,
        "GEOROOT_ROOT": options.root,
        "GEOROOT_PARTIAL": options.partial,
    }
    for path in told.values():
        if not _QUOTED.fullmatch(path):
            raise EnvironmentFault(path, "has characters that sshd's files cannot carry", "use another path")
    lines = (
        ("Port", str(options.port)),
        ("ListenAddress", options.listen),
        ("HostKey", keys.host_key),
        ("AuthorizedKeysFile", keys.authorized_keys),
        ("PidFile", "none"),
        ("UsePAM", "no"),
        ("AuthenticationMethods", "publickey"),
        ("PasswordAuthentication", "no"),
        ("KbdInteractiveAuthentication", "no"),
        ("AllowUsers", LOGIN),
        ("StrictModes", "no"),  # the files are our own copies; a run directory of mode 1777 above them is no fault
        ("DisableForwarding", "yes"),
        ("PermitTTY", "no"),
        ("PermitUserRC", "no"),
        ("PermitUserEnvironment", "no"),
        ("PrintMotd", "no"),
        ("PrintLastLog", "no"),
        ("UseDNS", "no"),
        ("Compression", "no"),
        ("Ciphers", CIPHERS),
        ("IPQoS", "none"),
        ("PerSourcePenalties", "no"),  # a load balancer's checks would lock out a peer behind the same address
        ("MaxStartups", "64:30:256"),
        ("MaxSessions", "64"),
        ("LoginGraceTime", "20"),
        ("ClientAliveInterval", "15"),
        ("ClientAliveCountMax", "3"),
        ("LogLevel", "INFO"),
        ("SetEnv", " ".join(f'"{name}={value}"' for name, value in told.items())),
    )
    return "".join(f"{name} {value}\n" for name, value in lines)
