"""What a run says about itself, and where its results go."""

import contextlib
import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import docker

from bench.tools.base import Tool

RESULTS = Path(__file__).parent / "results"
BASE = os.environ.get("COMPOSE_PROJECT_NAME") or "georoot"
VERSION = os.environ.get("VERSION", "0.1.0")
OURS = f"{os.environ.get('IMAGE', 'georoot')}:{VERSION}"
OTHERS = f"{os.environ.get('IMAGE', 'georoot')}-bench:{VERSION}"
_ASKED = {
    "rsync": "rsync --version | head -1",
    "ssh": "ssh -V 2>&1",
    "lsyncd": "lsyncd --version",
    "syncthing": "syncthing --version",
}
BUSY = 0.3
"""Load average of the last minute above which others use the machine too."""


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What all of it ran on."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    engine: str
    load: float
    """Of the minute before."""

    def __str__(self) -> str:
        busy = f"; BUSY with other work (load {self.load:.1f})" if self.load > BUSY else ""
        made = f"{self.cores} cores ({self.processor}), {self.memory_gib:.0f} GiB"
        return f"{made}, Linux {self.kernel}, Docker {self.engine}{busy}"


def machine(client: docker.DockerClient) -> Machine:
    info: dict[str, Any] = client.info()
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        processor = next((one.split(":", 1)[1].strip() for one in lines if one.startswith("model name")), processor)
    return Machine(
        processor,
        int(info["NCPU"]),
        info["MemTotal"] / 2**30,
        str(info["KernelVersion"]),
        str(info["ServerVersion"]),
        os.getloadavg()[0],
    )


def versions(client: docker.DockerClient) -> dict[str, str]:
    """Of everything that is compared."""
    script = "; ".join(f"echo {name}: $({command})" for name, command in _ASKED.items())
    said = client.containers.run(OTHERS, ["sh", "-c", script], remove=True, network_mode="none").decode()
    return {"georoot": VERSION} | dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)


def chosen(variable: str, usual: Sequence[str], every: Iterable[str]) -> list[str]:
    """The names in a variable, separated by commas or blanks; `usual`: it is not set."""
    names = os.environ.get(variable, "").replace(",", " ").split() or list(usual)
    if strange := [name for name in names if name not in every]:
        raise SystemExit(f"bench: {variable}: {', '.join(strange)}: not one of {', '.join(every)}")
    return names


def numbers(variable: str, usual: Sequence[int]) -> list[int]:
    """The whole numbers above 0 in a variable, separated by commas or blanks."""
    words = os.environ.get(variable, "").replace(",", " ").split()
    if strange := [word for word in words if not word.isdecimal() or int(word) == 0]:
        raise SystemExit(f"bench: {variable}: {', '.join(strange)}: not a whole number above 0")
    return [int(word) for word in words] or list(usual)


def number(variable: str, usual: int) -> int:
    """One of them."""
    return numbers(variable, (usual,))[0]


def heading(client: docker.DockerClient, tools: Sequence[Tool]) -> str:
    """The machine, the versions, and each tool's settings."""
    lines = [str(machine(client)), ", ".join(f"{name} ({said})" for name, said in versions(client).items())]
    return "\n".join(lines + [f"{tool.name}: {tool.about}" for tool in tools])


class Files:
    """The files of one run, beneath one name."""

    def __init__(self, what: str) -> None:
        RESULTS.mkdir(exist_ok=True)
        self._stem = RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}-{what}"

    def write(self, ending: str, text: str) -> Path:
        path = self._stem.with_suffix(ending)
        path.write_text(text, "utf-8")
        return path

    def json(self, about: str, results: Sequence[Any]) -> Path:
        """Dataclasses, with what they were measured on."""
        content = {"about": about.splitlines(), "results": [dataclasses.asdict(one) for one in results]}
        return self.write(".json", json.dumps(content, indent=1))
