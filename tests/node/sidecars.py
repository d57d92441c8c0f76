"""Whole sidecars on loopback: the daemon as it ships, each with a volume, keys and ports of its own."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sidecar.link import keys
from tests.node.region import free_port
from tests.support.asking import WITHIN, Asked, wait_for
from tests.support.tree import Tree, differences, tree_of


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Sidecar(Asked):
    """One node: `start`, `stop`, `kill`, and what a test looks at."""

    def __init__(self, region: str, base: Path) -> None:
        self.region = region
        self.volume = base / region
        self.html = self.volume / "html"
        self.state = self.volume / ".sidecar"
        self.keys_dir = base / f"keys-{region}"
        self.html.mkdir(parents=True)
        self.run_dir = Path(tempfile.mkdtemp(prefix="geo", dir="/tmp"))
        self.ssh_port, self.http_port = free_port(), free_port()
        super().__init__("127.0.0.1", self.http_port)
        self.log = base / f"{region}.log"
        self.env: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        """what execs the daemon, with its command line as the last arguments"""
        self._process: subprocess.Popen[bytes] | None = None
        keys.make_region_keys(str(self.keys_dir))

    def knows(self, *peers: "Sidecar") -> None:
        """Its peers."""
        self.env["GEOROOT_PEERS"] = ",".join(f"{peer.region}=127.0.0.1:{peer.ssh_port}" for peer in peers)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GEOROOT_REGION": self.region,
            "GEOROOT_VOLUME": str(self.volume),
            "GEOROOT_KEYS_DIR": str(self.keys_dir),
            "GEOROOT_RUN_DIR": str(self.run_dir),
            "GEOROOT_SSH_LISTEN": "127.0.0.1",
            "GEOROOT_SSH_PORT": str(self.ssh_port),
            "GEOROOT_HTTP_LISTEN": "127.0.0.1",
            "GEOROOT_HTTP_PORT": str(self.http_port),
            "GEOROOT_LOG_LEVEL": "debug",
            "GEOROOT_DRAIN": "10",
            **self.env,
        }

    def start(self) -> None:
        """Start the daemon; returns at once."""
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (*self.prefix, sys.executable, "-m", "sidecar", "run"),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started, as the end of a container is."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        _kill_children_of(str(self.run_dir))

    def send(self, sig: signal.Signals) -> None:
        """Send a signal to the daemon alone."""
        assert self._process is not None
        os.kill(self._process.pid, sig)

    def _end(self, sig: signal.Signals) -> int:
        assert self._process is not None
        os.kill(self._process.pid, sig)
        code = self._process.wait(WITHIN)
        self._process = None
        return code

    def command(self, *arguments: str) -> "Ran":
        """`sidecar …`, as a person types it beside the daemon."""
        done = subprocess.run(
            (sys.executable, "-m", "sidecar", *arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * WITHIN,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode())

    def ended(self) -> int:
        """The exit code of a daemon that ends by itself."""
        assert self._process is not None
        code = self._process.wait(WITHIN)
        self._process = None
        _kill_children_of(str(self.run_dir))
        return code

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tree(self) -> Tree:
        return tree_of(self.html)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def clean(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.run_dir, ignore_errors=True)


def _kill_children_of(run_dir: str) -> None:
    """End every process whose command line names this run directory (ssh, sshd, rsync)."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if run_dir.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                os.kill(int(name), signal.SIGKILL)


class Regions:
    """Several sidecars that all know each other."""

    def __init__(self, base: Path, *names: str, **elsewhere: Path) -> None:
        self.all = [Sidecar(name, elsewhere.get(name, base)) for name in names]
        keys.exchange({one.region: str(one.keys_dir) for one in self.all})
        for one in self.all:
            one.knows(*(other for other in self.all if other is not one))

    def start(self) -> None:
        for one in self.all:
            one.start()
        self.wait_settled()

    def wait_settled(self, within: float = WITHIN) -> None:
        """Until every node says that it is up to date."""
        try:
            wait_for(lambda: all(one.settled for one in self.all), "every node up to date", within, every=0.05)
        except AssertionError as error:
            raise AssertionError("\n".join((str(error), *self.how_it_is()))) from None

    def wait_identical(self, within: float = WITHIN) -> Tree:
        """Until all trees are the same and nothing is pending; the tree."""
        deadline = time.monotonic() + within
        while True:
            trees = [one.tree() for one in self.all]
            if all(tree == trees[0] for tree in trees) and all(one.settled for one in self.all):
                return trees[0]
            if time.monotonic() > deadline:
                raise AssertionError(self._differences(trees, within))
            time.sleep(0.05)

    def _differences(self, trees: list[Tree], within: float) -> str:
        first, lines = trees[0], [f"not identical within {within} s:"]
        for one, tree in zip(self.all[1:], trees[1:], strict=True):
            lines += [f"  {self.all[0].region}, {one.region}: {line}" for line in differences(first, tree)]
        return "\n".join(lines[:40] + self.how_it_is())

    def how_it_is(self, log: int = 3000) -> list[str]:
        """For a test that fails: what each says of itself, and so many of the last characters of its log."""
        lines = [f"{one.region}: {json.dumps(one.status())[:1500]}" for one in self.all]
        return lines + [f"--- log of {one.region}\n{one.said()[-log:]}" for one in self.all]

    def clean(self) -> None:
        for one in self.all:
            one.clean()


@contextlib.contextmanager
def regions(base: Path, *names: str, **elsewhere: Path) -> Iterator[Regions]:
    """Sidecars, not started yet; ended in any case. `elsewhere`: where the volumes of some of them are."""
    made = Regions(base, *names, **elsewhere)
    try:
        yield made
    finally:
        made.clean()
