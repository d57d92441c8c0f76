"""What commands say, in words."""

import pytest

from sidecar.cli.text import counted


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (2, ("file",), "2 files"),
        (1, ("directory", "directories"), "1 directory"),
        (3, ("directory", "directories"), "3 directories"),
    ],
)
def test_one_is_told_from_many(count: int, words: tuple[str, ...], said: str) -> None:
    assert said == counted(count, *words)
