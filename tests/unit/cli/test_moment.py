"""Times as people type them."""

import datetime as dt
import time
from collections.abc import Iterator

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.moment import Moment, Span, moment

NOW = 1_764_000_000.0


@pytest.fixture(autouse=True)
def _in_moscow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Moscow")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", NOW - 7200),
        ("90s", NOW - 90),
        ("1.5d", NOW - 129_600),
        ("10 m", NOW - 600),
        ("99999d", 0.0),
        ("1764000000", NOW),
        ("1764000000.25", NOW + 0.25),
        ("2025-11-24T16:00:00Z", NOW),
        ("2025-11-24T16:00:00+00:00", NOW),
        ("2025-11-24T19:00:00", NOW),
        ("2025-11-24 19:00", NOW),
        ("2025-11-24", NOW - 19 * 3600),
        ("", None),
        ("yesterday", None),
        ("2025-13-01", None),
        ("1960-01-01", None),
        ("-5", None),
        ("nan", None),
        ("2w", None),
        ("٣h", None),
    ],
)
def test_a_point_in_time(text: str, meant: float | None) -> None:
    assert meant == moment(text, NOW)


@given(st.integers(0, 4_000_000_000))
def test_iso_8601_means_what_it_says(seconds: int) -> None:
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert when.timestamp() == moment(when.isoformat(), NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("24h", 86_400), ("1d", 86_400), ("90", 90), ("250ms", 0.25), ("0", 0)],
)
def test_how_long(text: str, seconds: float) -> None:
    assert seconds == pytest.approx(Span().convert(text, None, None))


@pytest.mark.parametrize("text", ["", "s", "25h", "1w", "-1", "soon", "1e3"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time up to a day"):
        Span().convert(text, None, None)


@pytest.mark.parametrize(("text", "problem"), [("soon", "is no time"), ("2999-01-01", "is in the future")])
def test_what_is_no_moment_is_refused(text: str, problem: str) -> None:
    with pytest.raises(click.BadParameter, match=problem):
        Moment().convert(text, None, None)
