"""The rows that `make bench` prints, and the table of them. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bench.outcome import Measurement
from bench.stats import NEVER, Spread, quantile, ratio, written

OURS = "georoot"
MEGA = 1e6

Figure = Callable[[Measurement], float | None]
"""What a row takes from one turn; None: it has no such figure."""


class Row(NamedTuple):
    """One of them."""

    title: str
    work: str
    figure: Figure
    digits: int = 2
    ratios: bool = True
    """Is it worth saying how many times ours the others' is?"""


def at(share: float) -> Figure:
    """A quantile of the samples in milliseconds; what never arrived counts as the slowest."""

    def figure(one: Measurement) -> float:
        if one.outcome is None:
            return NEVER
        return 1000 * quantile((*one.outcome.samples, *[NEVER] * one.outcome.never), share)

    return figure


def across(share: float) -> Figure:
    """The same of the changes on the other side."""

    def figure(one: Measurement) -> float:
        return NEVER if one.outcome is None else 1000 * quantile(one.outcome.across, share)

    return figure


def seconds(one: Measurement) -> float:
    return NEVER if one.seconds is None else one.seconds


def cpu(one: Measurement) -> float:
    return one.tool_cpu


def machine_cpu(one: Measurement) -> float | None:
    return one.outcome.machine_cpu if one.outcome else None


def megabytes(one: Measurement) -> float:
    return one.wire / MEGA


def never(one: Measurement) -> float | None:
    return one.outcome.never if one.outcome else None


def counted(name: str) -> Figure:
    def figure(one: Measurement) -> float | None:
        return one.outcome.counts.get(name) if one.outcome else None

    return figure


def core_share(one: Measurement) -> float:
    return 100 * one.tool_cpu / one.elapsed


def memory(one: Measurement) -> float | None:
    return None if one.memory is None else one.memory / MEGA


ROWS = (
    Row("4 KiB file, close() to visible, p50, ms", "singles", at(0.50), 1),
    Row("… p95, ms", "singles", at(0.95), 1),
    Row("… p99, ms", "singles", at(0.99), 1),
    Row("… most, ms", "singles", at(1.0), 1),
    Row("one file overwritten again and again, p50, ms", "overwrites", at(0.50), 1),
    Row("… p95, ms", "overwrites", at(0.95), 1),
    Row("… never arrived", "overwrites", never, 0, ratios=False),
    Row("… reads that found no file", "overwrites", counted("missing"), 0, ratios=False),
    Row("… reads that found an empty file", "overwrites", counted("empty"), 0, ratios=False),
    Row("… reads that found something else", "overwrites", counted("torn"), 0, ratios=False),
    Row("new 4 KiB files, first write to identical, s", "burst", seconds),
    Row("… CPU of both nodes, s", "burst", cpu),
    Row("… CPU of the machine meanwhile, s", "burst", machine_cpu),
    Row("… bytes on the wire, MB", "burst", megabytes),
    Row("their directory renamed, s", "rename", seconds),
    Row("… bytes on the wire, MB", "rename", megabytes),
    Row("rm -rf of it, s", "delete", seconds),
    Row("… bytes on the wire, MB", "delete", megabytes),
    Row("new large file, s", "upload", seconds),
    Row("… bytes on the wire, MB", "upload", megabytes),
    Row("1 MiB changed inside it, s", "delta", seconds),
    Row("… bytes on the wire, MB", "delta", megabytes),
    Row("both sides write 200 files a second, p50, ms", "both", at(0.50), 1),
    Row("… p99, ms", "both", at(0.99), 1),
    Row("… never arrived", "both", never, 0, ratios=False),
    Row("very large new file, s", "large", seconds),
    Row("… stylesheet beside it, p50, ms", "large", at(0.50), 1),
    Row("… p95, ms", "large", at(0.95), 1),
    Row("… p99, ms", "large", at(0.99), 1),
    Row("… stylesheet of the other side, p50, ms", "large", across(0.50), 1),
    Row("… p95, ms", "large", across(0.95), 1),
    Row("… never arrived", "large", never, 0, ratios=False),
    Row("… most memory (PSS), MB, both nodes", "large", memory, 0),
    Row("a flood of new files, s", "flood", seconds),
    Row("… small file of the other side, p50, ms", "flood", across(0.50), 1),
    Row("… p95, ms", "flood", across(0.95), 1),
    Row("… never arrived", "flood", never, 0, ratios=False),
    Row("… most memory (PSS), MB, both nodes", "flood", memory, 0),
    Row("idle, % of a core, both nodes", "idle", core_share, 2),
    Row("… memory (PSS), MB, both nodes", "idle", memory, 1),
)


def values(row: Row, tool: str, measured: Iterable[Measurement]) -> list[float]:
    """What the turns of one tool say to a row."""
    figures = (row.figure(one) for one in measured if (one.tool, one.work) == (tool, row.work))
    return [figure for figure in figures if figure is not None]


def cell(row: Row, spread: Spread | None, ours: Spread | None) -> str:
    """The median, the spread where there is one, and how many times ours it is."""
    if spread is None:
        return ""
    median, least, most = (written(one, row.digits) for one in (spread.median, spread.least, spread.most))
    parts = [median] if least == most else [median, f"({least}-{most})"]
    if row.ratios and ours is not None:
        parts.append(ratio(spread.median, ours.median))
    return " ".join(part for part in parts if part)


def table(measured: Sequence[Measurement], tools: Sequence[str], rows: Sequence[Row] = ROWS) -> str:
    """Markdown that can be read as it is too: a line a row that has a figure, a column a tool."""
    lines = [["", *tools]]
    for row in rows:
        spreads = {tool: Spread.of(values(row, tool, measured)) for tool in tools}
        if any(spreads.values()):
            ours = spreads.get(OURS)
            lines.append([row.title, *(cell(row, spreads[tool], None if tool == OURS else ours) for tool in tools)])
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Markdown of these cells, the first line its head, all columns of one width."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
