"""`sidecar run`: the daemon, in the foreground."""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import cast

import click

from sidecar.cli import given


@click.command
def run() -> int:
    """Run the sidecar in the foreground until it is told to stop (SIGTERM, SIGINT)."""
    setup = given.load()
    with _without("rich"):  # structlog loads it for tracebacks in colours: 3 MB that no log line of ours needs
        import structlog  # noqa: F401, PLC0415
    from sidecar import daemon  # noqa: PLC0415 - the other commands need none of it

    return daemon.run(setup)


@contextlib.contextmanager
def _without(module: str) -> Iterator[None]:
    """What is imported in the block does without an optional module, unless that is loaded already."""
    loaded = module in sys.modules
    if not loaded:
        sys.modules[module] = cast("ModuleType", None)  # what the import statement takes for: it is not there
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[module]
