"""What a node says of itself while it cannot open its index yet: it lives, it is not ready, and why."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from sidecar.core.frames import PROTOCOL
from sidecar.engine.options import Options
from sidecar.engine.patience import Patience
from sidecar.engine.status import NodeState, ScanStatus, Status, StoreStatus, WatchStatus
from sidecar.fs import limits


class Starting:
    """A node without an index, as the web side asks for it.

    Args:
        layout: as in the settings, for people.
        free_bytes: of the volume, -1 if it does not say.
        opening: what waits for the index.
        registry: what the node counts, nothing yet.
    """

    def __init__(
        self,
        options: Options,
        layout: str,
        free_bytes: Callable[[], int],
        opening: Patience,
        registry: CollectorRegistry,
    ) -> None:
        self._options = options
        self._layout = layout
        self._free_bytes = free_bytes
        self._opening = opening
        self._started = time.monotonic()
        self.registry = registry

    def status(self) -> Status:
        """It as it is now; of peers, paths and rows nothing is known."""
        options, limit = self._options, limits.watches()
        return Status(
            region=options.region,
            node=options.node,
            image=options.image,
            protocol=PROTOCOL,
            state=NodeState.STARTING,
            paused=False,
            ready=False,
            alive=True,
            uptime=time.monotonic() - self._started,
            root=options.root,
            layout=self._layout,
            exclude=options.exclude,
            waits_for=(),
            pending_local=0,
            warnings=(self._opening.problem or "the index is being opened",),
            holds=(),
            problems=(),
            problem_count=0,
            forgotten=0,
            scan=ScanStatus(False, -1.0, 0.0, 0, 0, 0),
            watch=WatchStatus(0, limit.value, limit.sysctl, 0, 0, -1.0, options.poll_interval, ""),
            store=StoreStatus(0, 0, 0, 0, 0, 0, 0, 0, self._free_bytes()),
            peers=(),
        )
