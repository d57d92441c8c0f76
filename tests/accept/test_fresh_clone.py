"""A newcomer's way: a fresh clone, `make up`, and at the end nothing is left. Under names and ports of its own."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support import compose
from tests.support.asking import Asked, wait_for
from tests.support.compose import HERE, LABEL, free_ports
from tests.support.packages import BASE

NAME = "georoot-accept"
LONG = 900.0
"""Seconds that one make may take."""


class Clone:
    """A clone of what is committed, and make in it."""

    def __init__(self, base: Path) -> None:
        self.path = base / "clone"
        subprocess.run(("git", "clone", "--quiet", str(HERE), str(self.path)), check=True)
        names = ("MSK_PORT", "AMS_PORT", "MSK_STATUS_PORT", "AMS_STATUS_PORT")
        self.ports = dict(zip(names, free_ports(4), strict=True))
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GEOROOT_", "MAKE", "MFLAGS"))
        }
        self._env = kept | {
            "COMPOSE_PROJECT_NAME": NAME,
            "IMAGE": NAME,
            "HTTPD": f"{NAME}-httpd:2.4",
            "BASE": f"{NAME}-base:trixie",
            "SYSROOT": str(base / "no-engine-of-ours"),  # so `make clean` leaves the engine's build cache alone
            **{name: str(port) for name, port in self.ports.items()},
        }

    def make(self, *targets: str, **env: str) -> str:
        """What make says; it must end well."""
        done = subprocess.run(
            ("make", "--no-print-directory", *targets),
            cwd=self.path,
            env=self._env | env,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert 0 == done.returncode, f"make {targets}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def exec(self, service: str, script: str) -> None:
        argv = ("docker", "compose", "-p", NAME, "exec", "-T", service, "sh", "-euc", script)
        subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def clone(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Clone]:
    engine.images.get(BASE).tag(f"{NAME}-base", "trixie")
    made = Clone(tmp_path)
    try:
        yield made
    finally:
        compose.remove(engine, NAME)


def left(engine: docker.DockerClient) -> list[str]:
    """Whatever in the engine bears the name."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={NAME}"}
    found = [str(one.name) for one in engine.containers.list(all=True, filters=mine)]
    found += [str(one.name) for one in engine.volumes.list(filters=mine)]
    found += [str(one.name) for one in engine.networks.list(filters=mine)]
    return found + [tag for image in engine.images.list() for tag in image.tags if tag.startswith(NAME)]


def test_up_down_up_keeps_what_there_is_and_clean_leaves_nothing(clone: Clone, engine: docker.DockerClient) -> None:
    said = clone.make("up")
    urls = re.findall(r"http://localhost:(\d+)", said)
    assert {str(port) for port in clone.ports.values()} <= set(urls), said
    sites = {region: _region(clone, region) for region in ("msk", "ams")}
    assert all(one["ready"] for one in sites.values())
    clone.exec("msk-web", "echo from msk >htdocs/msk.html")
    clone.exec("ams-web", "echo from ams >htdocs/ams.html")
    _wait_served(clone)
    assert "running, ready" in clone.make("status")
    clone.make("down")
    assert [] == engine.containers.list(all=True, filters={"label": f"{LABEL}={NAME}"})
    clone.make("up")
    _wait_served(clone)
    said = clone.make("clean", FORCE="1")
    assert f"{NAME}_msk" in said
    assert [] == left(engine)
    assert "" == _git_status(clone)
    shutil.rmtree(clone.path)


def _region(clone: Clone, region: str) -> dict[str, object]:
    asked = Asked("127.0.0.1", clone.ports[f"{region.upper()}_STATUS_PORT"])
    status: dict[str, object] = json.loads(asked.get("/api/status"))
    return status


def _wait_served(clone: Clone) -> None:
    for site in ("MSK", "AMS"):
        asked = Asked("127.0.0.1", clone.ports[f"{site}_PORT"])
        for page in ("msk", "ams"):
            wait_for(functools.partial(_serves, asked, page), f"{page}.html at {site}")


def _serves(asked: Asked, page: str) -> bool:
    return asked.get(f"/{page}.html") == f"from {page}\n"


def _git_status(clone: Clone) -> str:
    argv = ("git", "status", "--porcelain", "--ignored")
    return subprocess.run(argv, cwd=clone.path, check=True, capture_output=True, text=True).stdout
