"""Asking a sidecar over HTTP how it is, and waiting with a deadline."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

WITHIN = 30.0
"""Seconds that anything may take: some hundred times what it takes."""
COUNTED = ("georoot_rows_written_total", "georoot_files_sent_total", "georoot_entries_sent_total")
"""What moves when anything is replicated."""


def wait_for(true: Callable[[], object], what: str, within: float = WITHIN, every: float = 0.005) -> None:
    """Poll with a deadline."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(every)


class Asked:
    """One sidecar, by its HTTP address."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def get(self, path: str) -> str:
        with contextlib.closing(http.client.HTTPConnection(self._host, self._port, timeout=5)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def status(self) -> dict[str, Any]:
        """/api/status, {} while nobody answers."""
        try:
            status: dict[str, Any] = json.loads(self.get("/api/status"))
        except (OSError, http.client.HTTPException):
            return {}
        return status

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of a metric that have these labels."""
        samples = (s for family in text_string_to_metric_families(self.get("/metrics")) for s in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def counted(self) -> dict[str, float]:
        """The counters that stand still when nothing is replicated."""
        return {name: self.metric(name) for name in COUNTED}

    @property
    def settled(self) -> bool:
        """Up to date, as far as it knows: nothing to look at, every peer there and without anything pending."""
        status = self.status()
        return bool(
            status
            and status["state"] == "running"
            and not status["pending_local"]
            and all(peer["state"] == "up" and peer["pending"] == 0 and peer["receiving"] for peer in status["peers"])
        )
