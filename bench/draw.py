"""Pictures of results as SVG: curves in a frame, with a linear or logarithmic scale each way. Pure.

Made here because what the usual libraries draw either lacks a logarithmic x or brings a hundred megabytes.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from bench.outcome import Measurement
from bench.stats import NEVER

Point = tuple[float, float]

COLOURS: Final = ("#0b6e4f", "#777777", "#c1121f", "#1d4ed8", "#f08080", "#7db3f5", "#9a6a00")
"""Of the first tool, the second, …; the same tool in the same colour on every picture of a run."""
WIDTH: Final = 900
HEIGHT: Final = 360
LEFT: Final = 70
RIGHT: Final = 170
TOP: Final = 40
BOTTOM: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """One line, with its name in the legend."""

    name: str
    points: Sequence[Point]
    colour: str


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """From a figure to a place between two pixels."""

    least: float
    most: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        low, high, here = (self._of(one) for one in (self.least, self.most, value))
        return self.start + (here - low) / ((high - low) or 1.0) * (self.end - self.start)

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-9)) if self.log else value

    def ticks(self) -> list[float]:
        """Round figures within: the powers of ten, or some five multiples of 1, 2 or 5."""
        if self.log:
            first, last = math.floor(math.log10(self.least)), math.ceil(math.log10(self.most))
            marks = [10.0**power for power in range(first, last + 1)]
        else:
            step = round_up((self.most - self.least) / 5 or 1.0)
            marks = [step * number for number in range(int(self.most / step) + 1)]
        return [mark for mark in marks if self.least * 0.999 <= mark <= self.most * 1.001]


def round_up(value: float) -> float:
    """The next of … 1, 2, 5, 10, 20, …, or the figure itself if it is one."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999)


def panel(title: str, axes: tuple[str, str], curves: Iterable[Curve], *, logs: tuple[bool, bool]) -> list[str]:
    """The elements of one frame, its corner at 0, 0; points that a logarithm cannot show are left out."""
    shown = [
        dataclasses.replace(
            curve, points=[p for p in curve.points if all(v > 0 or not log for v, log in zip(p, logs, strict=True))]
        )
        for curve in curves
    ]
    points = [point for curve in shown for point in curve.points] or [(1.0, 1.0)]
    x = _scale([point[0] for point in points], LEFT, WIDTH - RIGHT, log=logs[0])
    y = _scale([point[1] for point in points], HEIGHT - BOTTOM, TOP, log=logs[1])
    return [
        _text(LEFT, TOP - 15, title, "start", bold=True),
        *_frame(x, y, axes),
        *(_curve(curve, x, y) for curve in shown),
        *_legend(shown),
    ]


def _scale(values: Sequence[float], start: float, end: float, *, log: bool) -> Scale:
    least, most = (min(values), max(values)) if log else (0.0, max(values))
    if log:
        least, most = 10.0 ** math.floor(math.log10(least)), 10.0 ** math.ceil(math.log10(most))
        most = most if most > least else 10 * least
    return Scale(least, most or 1.0, start, end, log)


def _frame(x: Scale, y: Scale, axes: tuple[str, str]) -> list[str]:
    drawn = []
    for mark in x.ticks():
        place = x.place(mark)
        drawn.append(f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        drawn.append(_text(place, HEIGHT - BOTTOM + 16, f"{mark:g}", "middle"))
    for mark in y.ticks():
        place = y.place(mark)
        drawn.append(f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        drawn.append(_text(LEFT - 6, place + 4, f"{mark:g}", "end"))
    drawn.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 36, axes[0], "middle"))
    drawn.append(_text(LEFT, TOP - 2, axes[1], "start"))
    return drawn


def _curve(curve: Curve, x: Scale, y: Scale) -> str:
    places = [f"{x.place(one):.1f},{y.place(other):.1f}" for one, other in curve.points]
    if len(places) == 1:
        one, other = places[0].split(",")
        return f'<circle cx="{one}" cy="{other}" r="3" fill="{curve.colour}"/>'
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{curve.colour}" stroke-width="2"/>'


def _legend(curves: Sequence[Curve]) -> list[str]:
    drawn = []
    for number, curve in enumerate(curves):
        place, left = TOP + 12 + 20 * number, WIDTH - RIGHT + 14
        drawn.append(f'<path d="M{left} {place}h22" stroke="{curve.colour}" stroke-width="3"/>')
        drawn.append(_text(left + 28, place + 4, curve.name, "start"))
    return drawn


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def picture(panels: Sequence[Sequence[str]]) -> str:
    """An SVG document of panels, one beneath the other."""
    height = HEIGHT * len(panels)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, drawn in enumerate(panels):
        lines += [f'<g transform="translate(0 {HEIGHT * number})">', *drawn, "</g>"]
    return "\n".join([*lines, "</svg>", ""])


# --- what is drawn ---


def distribution(samples: Sequence[float], never: int) -> list[Point]:
    """The share of all changes that took no longer than so many milliseconds."""
    count = len(samples) + never
    return [(1000 * sample, 100 * (rank + 1) / count) for rank, sample in enumerate(sorted(samples))]


def middle(measured: Sequence[Measurement]) -> Measurement | None:
    """The turn whose time is the median."""
    ordered = sorted(measured, key=lambda one: NEVER if one.seconds is None else one.seconds)
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def comparison(measured: Sequence[Measurement], tools: Sequence[str]) -> str:
    """How long single changes take, and how a burst arrives. What was not measured is not drawn."""
    panels = []
    for work, title in (
        ("singles", "New 4 KiB files: share visible elsewhere after so long"),
        ("overwrites", "One file overwritten again and again: share visible elsewhere after so long"),
        ("both", "Both sides write 200 files a second: share visible elsewhere after so long"),
    ):
        curves = [Curve(tool, _latency(measured, tool, work), colour) for tool, colour in _coloured(tools)]
        if any(curve.points for curve in curves):
            panels.append(panel(title, ("milliseconds", "%"), curves, logs=(True, False)))
    bursts = [Curve(tool, _arrivals(measured, tool), colour) for tool, colour in _coloured(tools)]
    if any(curve.points for curve in bursts):
        title = "Many new 4 KiB files at once: how many are there (rsync: from its start, all being written)"
        panels.append(panel(title, ("seconds", "files"), bursts, logs=(False, False)))
    return picture(panels)


def _coloured(tools: Sequence[str]) -> Iterable[tuple[str, str]]:
    return [(tool, COLOURS[number % len(COLOURS)]) for number, tool in enumerate(tools)]


def _latency(measured: Sequence[Measurement], tool: str, work: str) -> list[Point]:
    seen = [one.outcome for one in measured if (one.tool, one.work) == (tool, work) and one.outcome]
    return distribution([sample for one in seen for sample in one.samples], sum(one.never for one in seen))


def _arrivals(measured: Sequence[Measurement], tool: str) -> Sequence[Point]:
    turn = middle([one for one in measured if (one.tool, one.work) == (tool, "burst") and one.outcome])
    return turn.outcome.timeline if turn and turn.outcome else ()
