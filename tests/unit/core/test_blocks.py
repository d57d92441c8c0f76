"""How long the blocks of a delta are."""

import pytest

from sidecar.core.blocks import LEAST, MOST, SUM, block_size

MIB = 1 << 20


def overhead(size: int, block: int) -> float:
    """Bytes beside what changed, where it changed in one place: the sums, and on the average one block more."""
    return SUM * size / block + block


@pytest.mark.parametrize("size", [8 * MIB, 256 * MIB + 1, 2048 * MIB])
def test_no_other_length_costs_less(size: int) -> None:
    block = block_size(size)
    assert all(overhead(size, block) <= overhead(size, block * share // 10) for share in (5, 9, 11, 20))


@pytest.mark.parametrize(("size", "block"), [(0, LEAST), (1000, LEAST), (1 << 60, MOST)])
def test_rsync_takes_what_it_is(size: int, block: int) -> None:
    assert block == block_size(size)


def test_it_is_a_multiple_of_eight_as_rsyncs_own() -> None:
    assert not any(block_size(size) % 8 for size in range(MIB, 300 * MIB, 999_983))
