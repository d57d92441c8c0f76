"""`make bench`: the figures of the README, measured on the running compose project; written to bench/results/ too.

Each work runs in a container of its own beside the two regions, which mounts both volumes and looks at the files.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import docker

HERE = Path(__file__).parent
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "georoot")
IMAGE = f"{os.environ.get('IMAGE', 'georoot')}:{os.environ.get('VERSION', '0.1.0')}"
TURNS = int(os.environ.get("TURNS", "3"))
WORKS = ("singles", "overwrites", "burst")


def measured(client: docker.DockerClient, work: str) -> dict[str, Any]:
    """One turn of one work."""
    said = client.containers.run(
        IMAGE,
        ["-B", "/bench/probe.py", work],
        entrypoint=["/usr/bin/python3"],
        user="33:33",
        remove=True,
        network_mode="none",
        mounts=[
            docker.types.Mount(f"/volumes/{region}", f"{PROJECT}_{region}", type="volume") for region in ("msk", "ams")
        ]
        + [docker.types.Mount("/bench", str(HERE), type="bind", read_only=True)],
        environment={"MSK": "/volumes/msk/html", "AMS": "/volumes/ams/html"},
    )
    result: dict[str, Any] = json.loads(said.splitlines()[-1])
    return result


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The numbers of a result, by name."""
    numbers = result.get("ms") or result["seconds"]
    unit = "ms" if "ms" in result else "s"
    return {f"{name} {unit}": value for name, value in numbers.items()} | (
        {"missing": result["missing"]} if "missing" in result else {}
    )


def main() -> None:
    client = docker.from_env()
    results: dict[str, list[dict[str, float]]] = {work: [] for work in WORKS}
    for turn in range(TURNS):
        for work in WORKS:
            print(f"turn {turn + 1} of {TURNS}: {work}", flush=True)
            results[work].append(figures(measured(client, work)))
    print(f"\n{'':<24}{'median':>10}{'least':>10}{'most':>10}")
    for work, turns in results.items():
        for name in turns[0]:
            values = [turn[name] for turn in turns]
            print(f"{work + ' ' + name:<24}{statistics.median(values):>10.2f}{min(values):>10.2f}{max(values):>10.2f}")
    out = HERE / "results"
    out.mkdir(exist_ok=True)
    (out / f"{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(results, indent=1))


main()
