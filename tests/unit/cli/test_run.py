"""`sidecar run`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import config, daemon
from sidecar.cli import exits
from sidecar.cli.setup import setup_of
from sidecar.engine.options import Setup
from sidecar.errors import ConfigError
from tests.unit.cli.conftest import Sidecar


@pytest.mark.parametrize("code", [exits.DONE, exits.UNSENT])
def test_it_runs_the_daemon_on_the_settings_and_ends_with_its_code(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    settings = config.Settings(region="msk", peers={"ams": "ams:2222"}, exclude=("*.bak",))
    given: list[Setup] = []

    def run(what: Setup) -> int:
        given.append(what)
        return code

    monkeypatch.setattr(config, "load", lambda: settings)
    monkeypatch.setattr(daemon, "run", run)
    assert code == sidecar("run").code
    assert [setup_of(settings)] == given
    assert ("msk", "ams", 2222) == (given[0].options.region, given[0].options.peers[0].host, given[0].options.ssh_port)


def test_a_wrong_setting_is_one_line_and_nothing_runs(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> object:
        raise ConfigError("GEOROOT_PEERS", "is missing", "name the other regions")

    monkeypatch.setattr(config, "load", load)
    monkeypatch.setattr(daemon, "run", lambda _settings: pytest.fail("it ran"))
    ran = sidecar("run")
    assert (2, "", "sidecar: GEOROOT_PEERS: is missing; name the other regions\n") == (ran.code, ran.out, ran.err)


def test_the_daemons_code_for_what_is_left_is_the_documented_one() -> None:
    assert exits.UNSENT == daemon.NOT_FLUSHED


def test_the_daemon_holds_nothing_that_is_for_eyes_alone_or_for_the_settings(tmp_path: Path) -> None:
    asked = """
import sys
from sidecar.cli import commands

commands.main(["run"])
print(sorted({"pydantic", "pygments", "rich", "sidecar.daemon", "structlog", "yaml"} & sys.modules.keys()))
import rich.console
"""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "GEOROOT_REGION": "msk",
        "GEOROOT_VOLUME": str(tmp_path / "none"),
    }
    argv = (sys.executable, "-c", asked)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert ("['sidecar.daemon', 'structlog']\n", 0) == (done.stdout, done.returncode), done.stderr
