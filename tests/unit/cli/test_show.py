"""The status on a terminal, and how figures are shown."""

import io

import pytest
from rich.console import Console

from sidecar.cli.show import duration, page, size
from tests.unit.web.fakes import AMS, CUT, but


@pytest.mark.parametrize("width", [40, 80, 200])
def test_on_a_terminal_what_is_bad_is_red_and_nothing_is_lost(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard", no_color=False)
    patterns = tuple(f"pattern-{number}" for number in range(50))
    said = page(but(ready=False, exclude=patterns, peers=(AMS, CUT)), console)
    assert "\x1b[31mnot ready\x1b[0m" in said
    plain = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    folded = page(but(ready=False, exclude=patterns, peers=(AMS, CUT)), plain)
    assert all(pattern in folded for pattern in patterns)
    assert "…" not in folded


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "-"),
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.34, "340 ms"),
        (1.5, "2 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
        (8_000_000, "93 d"),
    ],
)
def test_a_duration_is_shown_in_its_unit(seconds: float, shown: str) -> None:
    assert shown == duration(seconds)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (4_404_019, "4.2 MiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_a_size_is_shown_in_its_unit(count: int, shown: str) -> None:
    assert shown == size(count)
