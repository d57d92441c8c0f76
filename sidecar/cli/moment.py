"""Times as people type them: a point in time, and how long."""

import datetime as dt
import math
import re
import time
from typing import Any, Final

import click

_SPAN: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNIX: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_DAY: Final = 86_400.0


class Span(click.ParamType[float]):
    """Seconds: a number with ms, s, m, h or d; without, it is seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """At most a day."""
        text = str(value).strip()
        seconds = _span(text if text[-1:].isalpha() else f"{text}s")
        if seconds is None or seconds > _DAY:
            self.fail(f"{text!r} is no time up to a day, such as 90s or 5m", param, ctx)
        return seconds


class Moment(click.ParamType[float]):
    """Unix seconds: ISO 8601, how long ago (2h), or unix seconds themselves."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Not in the future."""
        text, now = str(value).strip(), time.time()
        seconds = moment(text, now)
        if seconds is None:
            self.fail(f"{text!r} is no time: write 2026-03-01T12:00, 2h (ago) or unix seconds", param, ctx)
        if seconds > now:
            self.fail(f"{text!r} is in the future", param, ctx)
        return seconds


def moment(text: str, now: float) -> float | None:
    """The unix time that is meant, None if it is none. `now`: unix seconds."""
    ago = _span(text)
    if ago is not None:
        return max(0.0, now - ago)
    if _UNIX.fullmatch(text):
        return float(text)
    try:
        seconds = dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return seconds if seconds >= 0 and math.isfinite(seconds) else None


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text)
    return float(match[1]) * _SECONDS[match[2]] if match is not None else None
