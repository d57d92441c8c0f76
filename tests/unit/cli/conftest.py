"""The command as a person types it, in this process."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from sidecar.cli import commands


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Sidecar = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUN_DIR", "HTTP_PORT", "KEYS_DIR", "REGION", "LOG_LEVEL"):
        monkeypatch.delenv(f"GEOROOT_{name}", raising=False)


@pytest.fixture
def sidecar(capfd: pytest.CaptureFixture[str]) -> Iterator[Sidecar]:
    """Runs a command line."""

    def ran(*arguments: str) -> Ran:
        code = commands.main(list(arguments))
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    yield ran
    capfd.readouterr()
