"""One tool in two containers, a witness beside them: made, started, asked for work, and taken away again."""

import contextlib
import dataclasses
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from bench import meter
from bench.desk import Desk
from bench.outcome import Measurement, Outcome, Size
from bench.tools.base import HOME, REGIONS, VOLUME, Tool, other
from bench.works import HELPERS, PRESSED, WORKS

HERE = Path(__file__).parent
CODE = "/opt/bench/bench"
LABEL = "com.docker.compose.project"
"""`make clean` takes away what bears it with a name as new_project() makes them."""
SETTLES = 20.0
"""Seconds that a tool has to become quiet after a work; what it does longer falls into the next."""
RESTLESS = 5.0
"""Seconds over which it is seen what a tool takes that is never quiet."""
STARTS = 60.0
"""Seconds until both sides carry a first file."""
STOPS = 30
GLANCE = 2.0
"""Seconds between two looks at the memory during a work."""


class NotUp(Exception):
    """A tool's nodes do not carry anything."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wan:
    """What lies between the two nodes instead of a network of the engine's."""

    delay_ms: float = 25.0
    """Each way."""
    mbit: float = 100.0
    """A second, each way."""


class Lab:
    """A context manager: inside it the containers are there; start() starts the nodes."""

    def __init__(self, client: docker.DockerClient, base: str, image: str, tool: Tool, wan: Wan | None = None) -> None:
        self.tool = tool
        self._client, self._image, self._wan = client, image, wan
        self._project = f"{base}-bench-{secrets.token_hex(4)}"
        self._calm = meter.CALM
        self._replaced_at = -1e9
        self._nodes: list[Container] = []
        self._networks: dict[str, Network] = {}

    def __enter__(self) -> Self:
        try:
            self._make_volumes()
            self._make_networks()
            self._witness = self._container("witness", self._image, ["sleep", "infinity"], self._views())
            self._witness.start()
            self.desk = Desk(self._witness, self._beside)
            self.desk.run("mkdir", *(f"/volumes/{region}/html/bench" for region in REGIONS))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _views(self) -> dict[str, Any]:
        volumes = [docker.types.Mount(CODE, str(HERE), type="bind", read_only=True)]
        for region in REGIONS:
            volumes.append(docker.types.Mount(f"/volumes/{region}", f"{self._project}_{region}"))
            volumes.append(docker.types.Mount(f"/homes/{region}", f"{self._project}_{region}-home"))
        return {"mounts": volumes, "network_mode": "none", "user": "33:33"}

    def _container(self, name: str, image: str, command: list[str], options: dict[str, Any]) -> Container:
        return self._client.containers.create(
            image,
            command,
            name=f"{self._project}-{name}",
            hostname=name,
            labels={LABEL: self._project},
            healthcheck={"test": ["NONE"]},
            init=True,
            **options,
        )

    def _beside(self, image: str, argv: list[str]) -> None:
        container = self._container(f"once-{secrets.token_hex(2)}", image, argv, self._views() | _SIDECARS)
        container.start()
        ended = container.wait(timeout=STARTS)
        if ended["StatusCode"]:
            raise RuntimeError(f"{argv!r} in {image} failed: {container.logs(tail=20).decode()}")
        container.remove()

    def _make_volumes(self) -> None:
        for region in REGIONS:
            for name in (region, f"{region}-home"):
                self._client.volumes.create(f"{self._project}_{name}", labels={LABEL: self._project})

    def _make_networks(self) -> None:
        for name in REGIONS if self._wan else ("link",):
            self._networks[name] = self._client.networks.create(
                f"{self._project}_{name}", internal=True, labels={LABEL: self._project}
            )
        if self._wan:
            wan = [f"{self._wan.delay_ms:g}", f"{self._wan.mbit:g}"]
            view = docker.types.Mount(CODE, str(HERE), type="bind", read_only=True)
            relay = self._container(
                "relay",
                self._image,
                ["python3", "-B", "-m", "bench.relay", *wan],
                {"mounts": [view], "network": self._networks["msk"].name},
            )
            # Each node knows its peer's name, and finds the relay under it.
            for region in REGIONS:
                with contextlib.suppress(docker.errors.APIError):
                    self._networks[region].disconnect(relay)
                self._networks[region].connect(relay, aliases=[other(region)])
            relay.start()

    # --- the nodes ---

    def start(self, rescan: float | None = None, within: float = STARTS) -> float:
        """Make the nodes, start them, and wait until both carry; seconds that took."""
        self.tool.prepare(self.desk, rescan)
        for region in REGIONS:
            node = self.tool.node(region)
            network = self._networks[region if self._wan else "link"]
            mounts = [
                docker.types.Mount(VOLUME, f"{self._project}_{region}"),
                docker.types.Mount(HOME, f"{self._project}_{region}-home"),
                docker.types.Mount(CODE, str(HERE), type="bind", read_only=True),
            ]
            options = {
                "mounts": mounts,
                "environment": dict(node.environment),
                "user": "33:33",
                "network": network.name,
            }
            container = self._container(region, node.image, list(node.command), options | _SIDECARS)
            network.disconnect(container)
            network.connect(container, aliases=[f"{region}-node", *(() if self._wan else (region,))])
            self._nodes.append(container)
        return self._up(within)

    def restart(self, within: float = STARTS) -> float:
        """Stop both nodes, start them again, and wait until both carry; seconds from the start on."""
        for node in self._nodes:
            node.stop(timeout=STOPS)
        return self._up(within)

    def remake(self, rescan: float | None, within: float = STARTS) -> float:
        """The same nodes with another time between scans."""
        for node in self._nodes:
            node.stop(timeout=STOPS)
            node.remove()
        self._nodes = []
        return self.start(rescan, within)

    def _up(self, within: float) -> float:
        began = time.monotonic()
        for node in self._nodes:
            node.start()
        if self._ask("sentinel", "run", Size(budget=within), within + STARTS) is None:
            said = "\n".join(f"--- {node.name}\n{node.logs(tail=15).decode()}" for node in self._nodes)
            raise NotUp(f"{self.tool.name} carries nothing after {within:.0f} s:\n{said}")
        return time.monotonic() - began

    def reading(self) -> meter.Reading:
        """The nodes' counters now."""
        return meter.read(self._nodes)

    def calm(self, within: float) -> meter.Reading | None:
        """Wait until the nodes are quiet; the counters when that began, None: not within the limit."""
        return meter.quiet(self._nodes, self._calm, within)

    def settle(self, within: float = SETTLES) -> meter.Reading:
        """Wait until the nodes are quiet, or not any longer; the counters when that began."""
        return self.calm(within) or self.reading()

    def learn_calm(self) -> None:
        """See what the nodes take when nothing happens: some tools are never quiet."""
        if not meter.quiet(self._nodes, meter.CALM, SETTLES):
            before = self.reading()
            time.sleep(RESTLESS)
            self._calm = meter.CALM + 1.5 * meter.share(before, self.reading())

    def memory(self) -> int:
        """PSS of both nodes in bytes."""
        return meter.memory(self._nodes)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[list[int]]:
        """What memory() says meanwhile, now and then."""
        seen, over = list[int](), threading.Event()

        def watch() -> None:
            while not over.wait(GLANCE):
                seen.append(self.memory())

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield seen
        finally:
            over.set()
            watching.join()

    # --- work ---

    def _ask(self, work: str, phase: str, size: Size, limit: float) -> Outcome | None:
        command = ("python3", "-B", "-m", "bench.works", work, phase, json.dumps(dataclasses.asdict(size)))
        read = self.desk.outcome("timeout", "-k", "5", f"{limit:.0f}", *command)
        return Outcome.from_dict(read) if read else None

    def help(self, helper: str, size: Size) -> None:
        """One of the works that are done around the others."""
        if self._ask(helper, "run", size, HELPERS[helper].limit) is None:
            raise NotUp(f"{helper} was not in time")

    def measure(self, name: str, turn: int, size: Size) -> Measurement:
        """One work: what it needs made, a quiet moment, the work, and quiet again."""
        work = (WORKS | PRESSED)[name]
        ready = self._ask(name, "prepare", size, work.limit)
        if work.sweeps:
            time.sleep(max(0.0, self._replaced_at + self.tool.rest - time.monotonic()))
        self.settle()
        before = self.reading()
        with self._watched() if work.peak else contextlib.nullcontext([0]) as most:
            outcome = ready and self._ask(name, "run", size, work.limit)
        after = self.settle()
        if work.replaces:
            self._replaced_at = time.monotonic()
        return Measurement(
            tool=self.tool.name,
            work=name,
            turn=turn,
            outcome=outcome,
            tool_cpu=round(after.cpu - before.cpu, 3),
            wire=after.sent - before.sent,
            elapsed=round(after.at - before.at, 3),
            memory=max([*most, self.memory()]) if work.memory else None,
        )

    def _remove(self) -> None:
        """As far as it goes: what one refuses does not keep the rest."""
        mine: dict[str, Any] = {"label": f"{LABEL}={self._project}"}
        for container in self._client.containers.list(all=True, filters=mine):
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
        for volume in self._client.volumes.list(filters=mine):
            with contextlib.suppress(docker.errors.APIError):
                volume.remove(force=True)
        for network in self._client.networks.list(filters=mine):
            with contextlib.suppress(docker.errors.APIError):
                network.remove()


_SIDECARS: dict[str, Any] = {
    "tmpfs": {"/run/georoot": "uid=33,gid=33,mode=0700", "/tmp": ""},  # noqa: S108
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
"""As compose/ has it. The peers need nothing more."""
