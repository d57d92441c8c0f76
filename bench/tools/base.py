"""What a tool is: what its two nodes run, and what they need to know."""

import abc
import dataclasses
from collections.abc import Mapping

from bench.desk import Desk

REGIONS = ("msk", "ams")
HOME = "/home/node"
"""Where a node finds what prepare() wrote beneath /homes/<region>."""
VOLUME = "/srv/web"
TREE = f"{VOLUME}/html"
"""Where it finds its web root."""


def other(region: str) -> str:
    """The peer of a region; its host name too."""
    return REGIONS[1 - REGIONS.index(region)]


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """The container of one node."""

    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Tool(abc.ABC):
    """One way to keep two trees the same, with its settings."""

    name: str
    about: str
    """Its settings, in a few words."""
    skips: frozenset[str] = frozenset()
    """Works that make no sense with it."""
    rest: float = 0.0
    """Seconds after anything was replaced or deleted, after which most of the tree may be unasked."""
    rescans: bool = False
    """Does it scan all of its tree from time to time?"""
    gives_up_at: int = 100_000
    """Files above which `make bench-scale` leaves it out."""

    @abc.abstractmethod
    def prepare(self, desk: Desk, rescan: float | None) -> None:
        """Write what the nodes need beneath /homes/msk and /homes/ams, once, before they start.

        `rescan`: seconds between full scans; None: as they come.
        """

    @abc.abstractmethod
    def node(self, region: str) -> Node:
        """What its container runs."""
