"""What `make bench`, `make bench-wan` and `make bench-scale` run; variables choose what of it.

python -m bench [lan|wan|scale]
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import docker

from bench import compare, report, scale
from bench.lab import NotUp, Wan

Setup = Callable[[docker.DockerClient], None]
ENGINE_SECONDS = 3600
"""A work's own limit ends it, never the wait for the engine's answer."""


def ended(_signal: int, _frame: object) -> NoReturn:
    """What was started is taken away again."""
    raise SystemExit("bench: stopped")


def main(what: str = "lan") -> None:
    runs: dict[str, Setup] = {
        "lan": lambda client: compare.run(client, None),
        "wan": lambda client: compare.run(client, Wan(report.number("DELAY", 25), report.number("MBIT", 100))),
        "scale": scale.run,
    }
    if what not in runs:
        raise SystemExit(f"bench: {what}: one of {', '.join(runs)}")
    signal.signal(signal.SIGTERM, ended)
    try:
        runs[what](docker.from_env(timeout=ENGINE_SECONDS))
    except KeyboardInterrupt:
        sys.exit(130)
    except (docker.errors.DockerException, NotUp, RuntimeError) as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    os.environ.setdefault("COMPOSE_PROJECT_NAME", "georoot")
    main(*sys.argv[1:])
