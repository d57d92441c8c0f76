"""When may what the first scan found become a write of its own? When every configured peer has said what it has."""

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(slots=True)
class Finding:
    """Waits for the peers of a node with a new index.

    Args:
        region: this node's region.
        peers: the configured peers.
    """

    region: str
    peers: Iterable[str]
    new: dict[str, bool] = dataclasses.field(default_factory=dict)
    """what the peers said of their own index in hello"""
    offered: set[str] = dataclasses.field(default_factory=set)
    """who has offered everything"""

    def waits_for(self) -> list[str]:
        """The peers that have yet to offer all they have.

        A peer whose own index is new has nothing to say, unless all are new: then the smaller name goes first.
        """
        return sorted(p for p in self.peers if p not in self.offered and not (self.new.get(p) and p > self.region))
