"""The two regions of compose/ as a test has them: a project of its own, on ports of its own, and what breaks it.

A witness, a container beside them that mounts both volumes, reads and writes the web roots: whoever runs the tests
need not be allowed to look into the engine's directories, and the volumes can be seen while a region is down.
"""

import contextlib
import functools
import http.client
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import docker
from docker.models.containers import Container
from testcontainers.compose import DockerCompose

from tests.support import tree
from tests.support.asking import Asked, wait_for
from tests.support.tree import Tree

HERE = Path(__file__).parents[2]
IMAGE = f"{os.environ.get('GEOROOT_IMAGE', 'georoot')}:{os.environ.get('GEOROOT_VERSION', '0.1.0')}"
TEST_IMAGE = "-test:".join(IMAGE.rsplit(":", 1))
WITHIN = 60.0
"""Seconds that anything may take; most of it takes less than one."""
SILENT = 300
"""Seconds that a command in a container may say nothing: reading a hundred thousand files takes a while."""
LABEL = "com.docker.compose.project"
"""`make clean` takes away what bears it with the name of a test's project."""
WEB_UID = "33:33"
DOCUMENTS = "/usr/local/apache2/htdocs"
READER = Path(tree.__file__).read_text("utf-8")
_REGIONS = ("msk", "ams")


def new_project() -> str:
    """A name as scripts/clean knows them."""
    return f"{os.environ.get('COMPOSE_PROJECT_NAME') or 'georoot'}-test-{secrets.token_hex(4)}"


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def said(container: Container, *argv: str, user: str = "", workdir: str | None = None) -> str:
    """What a command in a container says; it must end well."""
    done = container.exec_run(list(argv), user=user, workdir=workdir)
    assert isinstance(done.output, bytes)
    text = done.output.decode("utf-8", "surrogateescape")
    assert 0 == done.exit_code, f"{argv!r} in {container.name}: {done.exit_code}: {text}"
    return text


class Answer(NamedTuple):
    """What a web server answered."""

    status: int
    region: str
    body: bytes


class Region:
    """One region: its two containers, its site, its sidecar's status."""

    def __init__(self, name: str, web: Container, sidecar: Container, ports: tuple[int, int]) -> None:
        self.name = name
        self.web, self.sidecar = web, sidecar
        self.web_port, self.status_port = ports
        self.asked = Asked("127.0.0.1", self.status_port)

    def fetch(self, path: str) -> Answer:
        """GET `path` from the region's site."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("X-Region", ""), answer.read())

    def stop(self) -> None:
        """Stop the region, as `docker compose stop` does."""
        self.web.stop()
        self.sidecar.stop()

    def start(self) -> None:
        """Start what was stopped or killed; returns at once."""
        for container in (self.sidecar, self.web):
            container.start()

    def exit_code(self) -> int:
        """Of the sidecar's last run."""
        self.sidecar.reload()
        code: int = self.sidecar.attrs["State"]["ExitCode"]
        return code


class _Compose(DockerCompose):
    """docker compose with an environment that nobody else has: what is exported by whoever runs this does not count."""

    variables: dict[str, str]

    @functools.cached_property
    def compose_command_property(self) -> list[str]:
        given = (f"{name}={value}" for name, value in self.variables.items())
        return ["env", *given, *super().compose_command_property]


class Project:
    """Two regions that run, and the witness."""

    def __init__(self, name: str, compose: DockerCompose, client: docker.DockerClient, ports: list[int]) -> None:
        self.name = name
        self.compose = compose
        self.client = client
        self._link = client.networks.get(f"{name}_link")
        self.msk = self._region("msk", (ports[0], ports[1]))
        self.ams = self._region("ams", (ports[2], ports[3]))
        self.regions = (self.msk, self.ams)
        self.witness = self.beside(IMAGE, {}, name=f"{name}-witness")

    def _region(self, name: str, ports: tuple[int, int]) -> Region:
        web, sidecar = (
            self.client.containers.get(str(self.compose.get_container(f"{name}-{what}").ID))
            for what in ("web", "sidecar")
        )
        return Region(name, web, sidecar, ports)

    def beside(self, image: str, volumes: dict[str, str], **options: Any) -> Container:
        """A container that only waits to be told what to do, with both regions' volumes beneath /volumes."""
        own = {f"{self.name}_{region}": f"/volumes/{region}" for region in _REGIONS}
        return idle(self.client, self.name, image, own | volumes, **options)

    def trees(self, directory: str = ".") -> tuple[Tree, Tree]:
        """What lies beneath a directory of the web roots of msk and ams."""
        where = [f"/volumes/{region}/html/{directory}" for region in _REGIONS]
        msk, ams = tree.read(said(self.witness, "/usr/bin/python3", "-Bc", READER, *where).encode())
        return msk, ams

    def wait_settled(self, within: float = WITHIN) -> None:
        """Until both say that they are up to date."""
        try:
            wait_for(
                lambda: all(region.asked.settled for region in self.regions), "both up to date", within, every=0.05
            )
        except AssertionError as error:
            error.add_note("\n".join(self._said()))
            raise

    def wait_identical(self, directory: str = ".", within: float = WITHIN) -> Tree:
        """Until both web roots hold the same and nothing is pending; what they hold."""
        deadline = time.monotonic() + within
        while True:
            settled = [region.asked.settled for region in self.regions]
            late = time.monotonic() > deadline
            if all(settled) or late:
                msk, ams = self.trees(directory)
                if msk == ams and all(settled):
                    return msk
                if late:
                    raise AssertionError(self._why(within, msk, ams))
            time.sleep(0.05)

    def _why(self, within: float, msk: Tree, ams: Tree) -> str:
        lines = [f"msk and ams are not identical and settled within {within} s:"]
        lines += tree.differences(msk, ams)[:40]
        return "\n".join([*lines, *self._said()])

    def _said(self) -> list[str]:
        """How each region is, and what it said last."""
        return [
            f"--- {region.name}: {region.asked.status()}\n{region.sidecar.logs(tail=40).decode()}"
            for region in self.regions
        ]

    def cut(self, region: Region) -> None:
        """Take a region's sidecar off the network between the regions: packets vanish, nobody is told."""
        self._link.disconnect(region.sidecar)

    def mend(self, region: Region) -> None:
        """Put it back, under the name by which its peer knows it: the engine forgets that."""
        self._link.connect(region.sidecar, aliases=[f"{region.name}-sidecar"])

    def restart(self) -> None:
        """`docker compose restart`, all of it."""
        self.compose._run_command([*self.compose.compose_command_property, "restart"])

    def silent(self, seconds: float) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """The counters of both, before and after some seconds in which nobody writes."""
        self.wait_settled()
        before = [region.asked.counted() for region in self.regions]
        time.sleep(seconds)
        return before, [region.asked.counted() for region in self.regions]


class Corner:
    """A directory of one region's web root that one test has for itself."""

    def __init__(self, project: Project, region: Region, name: str) -> None:
        self._project, self.region, self.name = project, region, name

    def sh(self, script: str) -> str:
        """Run a shell script in it, in the web server's container, as the web server's user."""
        return said(self.region.web, "sh", "-euc", script, workdir=f"{DOCUMENTS}/{self.name}")

    def python(self, source: str) -> str:
        """Run Python in it, in the witness: also while the region is down."""
        where = f"/volumes/{self.region.name}/html/{self.name}"
        return said(self._project.witness, "/usr/bin/python3", "-Bc", source, workdir=where)

    def read(self, path: str) -> str:
        """What a file of it holds."""
        return self.python(f"import sys; sys.stdout.buffer.write(open({path!r}, 'rb').read())")

    def fetch(self, path: str) -> Answer:
        """GET a file of it from the region's site."""
        return self.region.fetch(f"/{self.name}/{path}")


class Site:
    """One test's directory in both regions."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self.msk, self.ams = (Corner(project, region, name) for region in project.regions)
        self.both = (self.msk, self.ams)

    def make(self) -> None:
        """Make it in msk and wait until it is in ams."""
        said(self.project.witness, "mkdir", f"/volumes/msk/html/{self.name}")
        self.wait_identical()
        wait_for(lambda: self.name in self.project.trees()[1], f"{self.name} in ams", WITHIN)

    def wait_identical(self, within: float = WITHIN) -> Tree:
        """Until it is the same in both and nothing is pending; what it holds."""
        return self.project.wait_identical(self.name, within)


def idle(client: docker.DockerClient, project: str, image: str, volumes: dict[str, str], **options: Any) -> Container:
    """A container that only waits to be told what to do; it is the project's, so it goes with it."""
    usual: dict[str, Any] = {"user": WEB_UID, "network_mode": "none"}
    return client.containers.run(
        image,
        ["infinity"],
        entrypoint=["/usr/bin/sleep"],
        init=True,
        detach=True,
        volumes={volume: {"bind": where, "mode": "rw"} for volume, where in volumes.items()},
        labels={LABEL: project},
        healthcheck={"test": ["NONE"]},
        **(usual | options),
    )


def remove(client: docker.DockerClient, project: str) -> None:
    """Everything that bears the project's name: containers, volumes, networks."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={project}"}
    for container in client.containers.list(all=True, filters=mine):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=mine):
        volume.remove(force=True)
    for network in client.networks.list(filters=mine):
        network.remove()


@contextlib.contextmanager
def two_regions(settings: Mapping[str, str] | None = None, otherwise: Path | None = None) -> Iterator[Project]:
    """The project of compose/, up and well; nothing of it is left afterwards.

    Args:
        settings: variables that both sidecars get besides.
        otherwise: a file that compose reads over its own, for a test that needs another volume or image.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as more:
        json.dump({"services": {f"{name}-sidecar": {"environment": settings or {}} for name in _REGIONS}}, more)
        more.flush()
        yield from _two_regions(more.name, *([str(otherwise)] if otherwise else []))


def _two_regions(*more: str) -> Iterator[Project]:
    name, ports = new_project(), free_ports(4)
    image, _, version = IMAGE.rpartition(":")
    compose = _Compose(HERE / "compose", compose_file_name=["compose.yaml", *more])
    compose.variables = {
        "COMPOSE_PROJECT_NAME": name,
        "GEOROOT_IMAGE": image,
        "GEOROOT_VERSION": version,
        "BIND": "127.0.0.1",
        "MSK_PORT": str(ports[0]),
        "MSK_STATUS_PORT": str(ports[1]),
        "AMS_PORT": str(ports[2]),
        "AMS_STATUS_PORT": str(ports[3]),
    }
    client = docker.from_env(timeout=SILENT)
    try:
        compose.start()
        project = Project(name, compose, client, ports)
        project.wait_settled()
        yield project
    finally:
        remove(client, name)
        client.close()
