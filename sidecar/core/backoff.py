"""The one backoff of the project."""

from typing import NamedTuple


class Backoff(NamedTuple):
    """Exponential delays in seconds: `first`, doubled at every attempt, at most `limit`, spread by `jitter` (0..1)."""

    first: float = 0.2
    limit: float = 30.0
    jitter: float = 0.25

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait before `attempt` (0 is the first retry); `chance` is a random number in [0, 1)."""
        base = min(self.limit, self.first * 2.0 ** min(attempt, 30))
        return base * (1 + self.jitter * (2 * chance - 1))
