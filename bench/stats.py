"""What many figures say together. Pure."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Final

NEVER: Final = math.inf
"""Stands for what did not happen within its limit: worse than every figure."""


def quantile(samples: Sequence[float], share: float) -> float:
    """The least of the samples that so large a share of all is not above (nearest rank); NEVER: there are none."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else NEVER


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """One figure over all turns."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, turns: Sequence[float]) -> "Spread | None":
        """None: there was no turn. With an even number the upper of the two in the middle, if one never happened."""
        if not turns:
            return None
        median = statistics.median(turns) if NEVER not in turns else statistics.median_high(turns)
        return cls(median, min(turns), max(turns))


def written(value: float, digits: int) -> str:
    """As a person reads it."""
    return "never" if value == NEVER else f"{value:.{digits}f}"


def ratio(theirs: float, ours: float) -> str:
    """How many times as much theirs is; empty where that says nothing."""
    if NEVER in (theirs, ours) or ours <= 0 or theirs <= 0:
        return ""
    times = theirs / ours
    return f"x{times:.0f}" if times >= 10 else f"x{times:.2g}"
