"""The tools, one module each. To add one, write a module with a Tool and name it below."""

from bench.tools.base import Tool
from bench.tools.georoot import Georoot
from bench.tools.lsyncd import Lsyncd
from bench.tools.rsync import Rsync
from bench.tools.syncthing import Syncthing


def tools(georoot: str, others: str) -> dict[str, Tool]:
    """By name; told the image of georoot, and that of all others."""
    every: tuple[Tool, ...] = (
        Georoot(georoot),
        Rsync(others),
        Lsyncd(others, 1),
        Syncthing(others, 1),
        Lsyncd(others, 0),
        Syncthing(others, 0.1),
        Lsyncd(others, 0, kept=True),
    )
    return {tool.name: tool for tool in every}


USUAL = ("georoot", "rsync", "lsyncd-1", "syncthing-1", "lsyncd-0", "syncthing-0.1")
"""Those that `make bench` compares unless it is told otherwise."""
