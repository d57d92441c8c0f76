"""What is read off a node's status whenever it is scraped. Base units; what is unknown is absent, not -1."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from sidecar.engine.status import HoldKind, NodeState, PeerStatus, Status, StoreStatus

_OF_NODE: Final[Sequence[tuple[str, str, Callable[[Status], float]]]] = (
    ("ready", "1: the web root may be served", lambda of: of.ready),
    ("paused", "1: it neither sends nor receives until `sidecar resume`", lambda of: of.paused),
    ("pending_paths", "Paths with an event that were not looked at yet", lambda of: of.pending_local),
    ("problem_paths", "Paths that are not replicated until somebody does something", lambda of: of.problem_count),
    ("warnings", "What somebody should look at, listed by /api/status", lambda of: len(of.warnings)),
    ("conflicts", "Conflicts that are listed", lambda of: of.store.conflicts),
    (
        "forgotten_nodes",
        "Nodes not heard of for `forget_after`, of regions of which no other was",
        lambda of: of.forgotten,
    ),
    ("trash_files", "Files and directories in the trash", lambda of: of.store.trash),
    ("trash_bytes", "Size of the trash", lambda of: of.store.trash_bytes),
    ("index_seq", "The number of the newest row", lambda of: of.store.seq),
    ("watched_directories", "Directories with an inotify watch", lambda of: of.watch.directories),
    ("unwatched_directories", "Directories that are polled: there was no watch", lambda of: of.watch.unwatched),
    ("special_paths", "FIFOs, sockets and devices, which are never replicated", lambda of: of.scan.special),
    ("scan_running", "1: a full scan is running", lambda of: of.scan.running),
)
_OF_PEER: Final[Sequence[tuple[str, str, Callable[[PeerStatus], float]]]] = (
    ("up", "1: the link to the peer is up", lambda of: of.state == "up"),
    ("receiving", "1: the peer's own link to this node is open", lambda of: of.receiving),
    ("differing_parts", "Of 1024 parts of the index, those that differed when last compared", lambda of: of.differing),
    ("in_flight_batches", "Batches that the peer has not answered", lambda of: of.in_flight),
)
_ROWS: Final[Sequence[tuple[str, Callable[[StoreStatus], float]]]] = (
    ("file", lambda of: of.files),
    ("directory", lambda of: of.directories),
    ("symlink", lambda of: of.symlinks),
    ("tombstone", lambda of: of.tombstones),
)
_UNKNOWN: Final = -1.0


def families(status: Status, now: float) -> Iterator[Metric]:
    """Every gauge of the node. `now`: unix time in seconds."""
    named = {"region": status.region, "node": status.node, "image": status.image, "protocol": str(status.protocol)}
    yield InfoMetricFamily("georoot", "What runs here", named)
    for name, about, value in _OF_NODE:
        yield _gauge(name, about, value(status))
    yield _labelled("state", "1: the node is in this state", "state", _states(status))
    yield _labelled("holds", "Paths that are held until `sidecar approve`, by the hold", "hold", _holds(status))
    yield _labelled("index_rows", "Rows of the index", "kind", ((kind, of(status.store)) for kind, of in _ROWS))
    if status.watch.limit >= 0:
        yield _gauge("watch_limit", "How many directories this user may watch", status.watch.limit)
    if status.store.free_bytes >= 0:
        yield _gauge("volume_free_bytes", "Free space of the volume", status.store.free_bytes)
    if status.store.complete_since:
        about = "Of what was deleted before, tombstones were dropped"
        yield _gauge("complete_since_timestamp_seconds", about, status.store.complete_since)
    if status.scan.age >= 0:
        yield _gauge("last_scan_timestamp_seconds", "When the last full scan ended", now - status.scan.age)
    yield from _peers(status.peers)


def _peers(peers: Sequence[PeerStatus]) -> Iterator[Metric]:
    for name, about, value in _OF_PEER:
        yield _labelled(f"peer_{name}", about, "peer", ((peer.region, value(peer)) for peer in peers))
    spoken = ((peer.region, peer.protocol) for peer in peers if peer.protocol)
    yield _labelled("peer_protocol", "The protocol that the peer spoke last, understood or not", "peer", spoken)
    pending = ((peer.region, peer.pending) for peer in peers if peer.pending >= 0)
    yield _labelled("peer_pending_entries", "Paths whose last version the peer has not confirmed", "peer", pending)
    lags = ((peer.region, peer.lag) for peer in peers if peer.lag >= 0)
    yield _labelled("peer_lag_seconds", "Age of the oldest change that the peer has not confirmed", "peer", lags)
    clocks = ((peer.region, peer.clock_off) for peer in peers if peer.clock_off != _UNKNOWN)
    yield _labelled("peer_clock_offset_seconds", "The peer's clock is ahead of ours by so much", "peer", clocks)


def _states(status: Status) -> Iterator[tuple[str, float]]:
    return ((state.value, state is status.state) for state in NodeState)


def _holds(status: Status) -> Iterator[tuple[str, float]]:
    held = {hold.id: hold.paths for hold in status.holds}
    return ((kind.value, held.get(kind.value, 0)) for kind in HoldKind)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"georoot_{name}", about, value)


def _labelled(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"georoot_{name}", about, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family
