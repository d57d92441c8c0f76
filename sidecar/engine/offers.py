"""When may what the first scan found become a write of its own? When every configured peer has said what it has."""

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(slots=True)
class Finding:
    """Waits for the peers of a node with a new index.

    Args:
        region: this node's region.
        peers: the configured peers.
        joins: this node goes after those with a new index that do not join.
    """

    region: str
    peers: Iterable[str]
    joins: bool = False
    new: dict[str, bool] = dataclasses.field(default_factory=dict)
    """what the peers said of their own index in hello"""
    joining: dict[str, bool] = dataclasses.field(default_factory=dict)
    """do they join too?"""
    offered: set[str] = dataclasses.field(default_factory=set)
    """who has offered everything"""
    put_off: bool = False
    """are rows to be asked for again, when all have answered?"""

    def waits_for(self) -> list[str]:
        """The peers that have yet to offer all they have.

        A peer whose own index is new has nothing to say, unless all are new: then who does not join goes first, and
        among equals the smaller name.
        """
        return sorted(p for p in self.peers if p not in self.offered and not (self.new.get(p) and self._is_later(p)))

    def wait(self) -> None:
        """A peer's row was put off until all have answered."""
        self.put_off = True

    def last(self, region: str) -> bool:
        """Has every peer but this one offered everything?"""
        return not set(self.waits_for()) - {region}

    def _is_later(self, peer: str) -> bool:
        return (self.joining.get(peer, False), peer) > (self.joins, self.region)
