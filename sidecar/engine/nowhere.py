"""Bytes of a losing version that no region has any more: they went with a volume before anybody else had them."""

import dataclasses
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog

from sidecar.core import version as versions
from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.engine.replica import Replica

log = structlog.get_logger(__name__)

FRESH: Final = 60.0
"""Seconds for which a peer's word counts that it has not got them: it says so again every ten."""


@dataclasses.dataclass(slots=True)
class Nowhere:
    """Hears from the peers what they have not got; what none has is listed no longer: it would be asked for for ever.

    Args:
        regions: the peers.
        monotonic: seconds.
    """

    replica: Replica
    regions: Collection[str]
    monotonic: Callable[[], float] = time.monotonic
    _said: dict[tuple[RelPath, bytes], dict[str, float]] = dataclasses.field(default_factory=dict)

    def said(self, region: str, path: RelPath, digest: bytes) -> bool:
        """`region` has not got these bytes, which this node lacks; True: nor has anybody, so the row is written without
        that head. For the caller's transaction."""
        row = self.replica.row(path)
        if digest not in {head.hash for head in versions.losers(row.version)} or self._here(row, digest):
            self._said.pop((path, digest), None)
            return False
        now = self.monotonic()
        said = self._said.setdefault((path, digest), {})
        said[region] = now
        if any(now - said.get(peer, -FRESH) >= FRESH for peer in self.regions):
            return False
        del self._said[path, digest]
        log.warning("the bytes of a version that lost are nowhere any more", path=path)
        without = versions.without(row.version, digest)
        self.replica.commit(Row(path, without, row.stat, row.hash, row.seq, row.flags), local=False, content=False)
        return True

    def _here(self, row: Row, digest: bytes) -> bool:
        return row.hash == digest or self.replica.disk.have(digest)
