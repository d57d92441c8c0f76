"""How both sides of a link see that the other one lives."""

from typing import Final

from sidecar.errors import Retryable

HEARTBEAT: Final = 5.0
"""Seconds between two pings."""
SILENCE: Final = 20.0
"""Seconds without a frame after which a link counts as cut."""


def check_heard(region: str, heard_at: float, now: float) -> None:
    """Its last frame came at `heard_at` (monotonic seconds). Raises Retryable: that is too long ago."""
    if now - heard_at > SILENCE:
        raise Retryable(f"{region} has been silent for {SILENCE:.0f} s")
