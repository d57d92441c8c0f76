"""One version, wherever it is asked for."""

import tomllib
from pathlib import Path

from sidecar import VERSION
from tests.unit.cli.conftest import Sidecar

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_the_package_is_of_the_projects_version() -> None:
    assert tomllib.loads(PROJECT.read_text())["project"]["version"] == VERSION


def test_the_command_says_its_version(sidecar: Sidecar) -> None:
    ran = sidecar("--version")
    assert (0, f"sidecar {VERSION}\n") == (ran.code, ran.out)
