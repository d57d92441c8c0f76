"""How both sides of a link see that the other one lives."""

from typing import Final

from sidecar.errors import Retryable

HEARTBEAT: Final = 5.0
"""Seconds between two pings at most, each of which is answered by one."""
SILENCE: Final = 20.0
"""Seconds without a frame after which a link counts as cut."""
_MARGIN: Final = 0.01
"""Seconds by which a look comes later than that: just before it would see nothing, and be the next to nothing again."""


def check_heard(region: str, heard_at: float, now: float) -> None:
    """Its last frame came at `heard_at` (monotonic seconds). Raises Retryable: that is too long ago."""
    if now - heard_at > SILENCE:
        raise Retryable(f"{region} has been silent for {SILENCE:.0f} s")


def until_silent(heard_at: float, now: float) -> float:
    """Seconds after which `check_heard` would raise, unless something is heard before."""
    return max(0.0, heard_at + SILENCE - now) + _MARGIN
