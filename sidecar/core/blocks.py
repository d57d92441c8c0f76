"""How long the blocks are of which a delta is made: a large file goes as what differs from the peer's copy."""

import math
from typing import Final

SUM: Final = 7
"""Bytes that the peer says of each block: a rolling sum of 4, and 3 of a strong one (rsync's sum_sizes_sqroot())."""
LEAST: Final = 4096
MOST: Final = 128 * 1024
"""rsync's MAX_BLOCK_SIZE."""


def block_size(size: int) -> int:
    """Bytes of a block of a file of `size` bytes: so many that one change in one place costs least.

    The sums of n bytes in blocks of b take SUM * n / b bytes, and around what changed one block more is sent than has:
    together least at b = sqrt(SUM * n). rsync itself takes sqrt(n), which is right for seven changes far apart.
    """
    return min(MOST, max(LEAST, math.isqrt(SUM * size) // 8 * 8))
