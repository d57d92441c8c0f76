"""What is counted, in Prometheus' terms. Everything that can be read off the node's status is not counted here."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from sidecar.core.frames import Answer, Frame, Lane, Outcome, Settle

_SECONDS: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)


disable_created_metrics()  # type: ignore[no-untyped-call]  # it comes without types; when a counter was made tells nothing


class Metrics:
    """The counters of one node, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry: Final = registry
        self._frames = Counter("georoot_frames", "Control frames", ["direction", "kind"], registry=registry)
        self._batches = Counter("georoot_batches_sent", "Batches sent to a peer", ["peer", "lane"], registry=registry)
        self._entries = Counter(
            "georoot_entries_sent", "Entries of the batches sent to a peer", ["peer", "lane"], registry=registry
        )
        self._files = Counter(
            "georoot_files_sent", "Files whose content was sent to a peer", ["peer"], registry=registry
        )
        self._bytes = Counter(
            "georoot_file_bytes_sent", "Sizes of the files sent to a peer", ["peer"], registry=registry
        )
        self._settled = Counter(
            "georoot_entries_settled", "Entries by what the peer answered", ["peer", "outcome"], registry=registry
        )
        self._landed = Counter(
            "georoot_entries_landed",
            "Entries of a peer by what became of them here",
            ["peer", "outcome"],
            registry=registry,
        )
        self._rsyncs = Counter(
            "georoot_rsyncs_ended", "The rsyncs that sent something to a peer, by how they ended", ["peer", "verdict"],
            registry=registry,
        )  # fmt: skip
        self._compared = Counter(
            "georoot_comparisons",
            "Comparisons of the index with a peer's, by what they told: same, different, put_off, too_much_left_out",
            ["peer", "result"],
            registry=registry,
        )  # fmt: skip
        self._offered = Counter(
            "georoot_rows_offered_anew", "Rows offered because the index of a peer differed", ["peer"],
            registry=registry,
        )  # fmt: skip
        self.index_damaged: Final = Counter(
            "georoot_index_damaged", "Indexes that were damaged, set aside and built anew", registry=registry
        )
        self._refused = Counter(
            "georoot_gate_refusals", "What the gate did not let a peer's key do", ["peer"], registry=registry
        )
        self._violations = Counter(
            "georoot_protocol_violations", "Links that were cut because a peer said what no node says", ["peer"],
            registry=registry,
        )  # fmt: skip
        self._rows = Counter(
            "georoot_rows_written",
            "Versions written to the index, by where they were made",
            ["origin"],
            registry=registry,
        )
        self._scan = Histogram(
            "georoot_scan_duration_seconds", "Time a full scan took", buckets=_SECONDS, registry=registry
        )
        self._delivery = Histogram(
            "georoot_settle_duration_seconds", "From the sending of a batch to its durable answer", ["peer", "lane"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.overflows: Final = Counter(
            "georoot_inotify_overflows", "Times that the kernel's event queue was full", registry=registry
        )
        self._rows_of = {local: self._rows.labels("local" if local else "peer") for local in (True, False)}

    def frame_sent(self, frame: Frame) -> None:
        """A control frame went out."""
        self._frames.labels("sent", type(frame).__name__.lower()).inc()

    def frame_received(self, frame: Frame) -> None:
        """A control frame came in."""
        self._frames.labels("received", type(frame).__name__.lower()).inc()

    def batch_sent(self, peer: str, lane: Lane, entries: int) -> None:
        """A batch went to `peer`."""
        self._batches.labels(peer, lane.name.lower()).inc()
        self._entries.labels(peer, lane.name.lower()).inc(entries)

    def content_sent(self, peer: str, files: int, size: int) -> None:
        """Files were sent; `size` is theirs together, in bytes."""
        self._files.labels(peer).inc(files)
        self._bytes.labels(peer).inc(size)

    def rsync_ended(self, peer: str, verdict: str) -> None:
        """An rsync that had names ended."""
        self._rsyncs.labels(peer, verdict.replace(" ", "_")).inc()

    def settled(self, peer: str, frame: Settle, entries: int, seconds: float) -> None:
        """`peer` answered a batch of so many entries, so long after it was sent."""
        self._delivery.labels(peer, frame.lane.name.lower()).observe(seconds)
        named = [answer.outcome for answer in frame.answers]
        self._count(self._settled, peer, [*named, *[frame.rest] * (entries - len(named))])

    def batch_landed(self, peer: str, lane: Lane, answers: Iterable[Answer]) -> None:
        """A batch of `peer` was worked on."""
        if lane is not Lane.OFFER:
            self._count(self._landed, peer, [answer.outcome for answer in answers])

    def compared(self, peer: str, result: str) -> None:
        """The index was compared with that of `peer`."""
        self._compared.labels(peer, result.replace(" ", "_")).inc()

    def offered_anew(self, peer: str, rows: int) -> None:
        """So many rows were offered because it differed."""
        self._offered.labels(peer).inc(rows)

    def refused(self, peer: str) -> None:
        """The gate refused something."""
        self._refused.labels(peer).inc()

    def violated(self, peer: str) -> None:
        """A peer broke the protocol: its link was cut."""
        self._violations.labels(peer).inc()

    def row_written(self, *, local: bool) -> None:
        """A version was written to the index."""
        self._rows_of[local].inc()

    def scanned(self, seconds: float) -> None:
        """A full scan ended."""
        self._scan.observe(seconds)

    @staticmethod
    def _count(counter: Counter, peer: str, outcomes: list[Outcome]) -> None:
        for outcome in set(outcomes):
            counter.labels(peer, outcome.name.lower()).inc(outcomes.count(outcome))
