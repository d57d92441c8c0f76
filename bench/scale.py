"""How it grows: trees of up to a million files, the same on both sides before anything starts."""

import dataclasses
import time
from collections.abc import Sequence

import docker

from bench import report
from bench.draw import COLOURS, Curve, panel, picture
from bench.lab import Lab, NotUp
from bench.outcome import Size
from bench.stats import NEVER, quantile, written
from bench.table import aligned
from bench.tools import tools
from bench.tools.base import Tool

TOOLS = ("georoot", "rsync", "lsyncd-1", "syncthing-1")
SIZES = (1, 10_000, 100_000, 1_000_000)
"""One file: what an empty tree takes."""
SHARED = 1000
"""Files from which on bytes sent are those of the files, not of the hellos."""
PATIENCE = 900.0
"""Seconds that a tool has to come up, and again to become quiet."""
STEP = 4.0
"""Seconds between two looks at the memory of nodes that are busy."""
RESCAN = 1.0
"""Seconds between the end of a scan and the next: one is nearly always under way."""


@dataclasses.dataclass(frozen=True, slots=True)
class Grown:
    """One tool with one tree; None: not looked at, infinity: not in time."""

    tool: str
    files: int
    contact: float | None = None
    """Seconds from the first start of both nodes until they are quiet."""
    contact_bytes: float | None = None
    """That both sent meanwhile, for each file."""
    carries: float | None = None
    """Seconds from a start with both in step until a new file has arrived, both ways."""
    quiet: float | None = None
    """And until both are quiet."""
    peak: float | None = None
    """Most memory (PSS) of both nodes that was seen meanwhile, in MB."""
    memory: float | None = None
    """When they are quiet."""
    single: float | None = None
    """4 KiB file, close() to visible, p50, in ms."""
    beside_scan: float | None = None
    """The same while full scans go on all the time."""


COLUMNS = (
    ("contact", "first contact, s", 1),
    ("contact_bytes", "bytes a file", 1),
    ("carries", "start: carries, s", 1),
    ("quiet", "quiet, s", 1),
    ("peak", "most memory, MB", 0),
    ("memory", "memory, MB", 0),
    ("single", "file p50, ms", 1),
    ("beside_scan", "beside scans, ms", 1),
)
DRAWN = (
    ("quiet", "Start of two trees that are the same: seconds until quiet"),
    ("peak", "The same start: most memory (PSS) of both nodes, MB"),
    ("single", "New 4 KiB file in that tree: p50, ms"),
    ("contact_bytes", "First contact of two trees that are the same: bytes sent for each file"),
)


def run(client: docker.DockerClient) -> None:
    """TOOLS, SIZES and SINGLES are read from the environment."""
    every = tools(report.OURS, report.OTHERS)
    named = report.chosen("TOOLS", TOOLS, every)
    sizes = report.numbers("SIZES", SIZES)
    singles = report.number("SINGLES", 50)
    about = report.heading(client, [every[name] for name in named])
    print(about, flush=True)
    files, grown = report.Files("scale"), list[Grown]()
    for size in sorted(sizes):
        for name in named:
            if size <= every[name].gives_up_at:
                grown.append(grow(client, every[name], size, singles))
                print(grown[-1], flush=True)
                files.json(about, grown)
    text = table(grown)
    print(f"\n{text}\n")
    files.write(".md", f"{about}\n\n{text}\n")
    print(files.write(".svg", drawn(grown, named)))


def grow(client: docker.DockerClient, tool: Tool, count: int, singles: int) -> Grown:
    """All that is asked of one tool and one size, one after the other; what comes after a failure is left out."""
    grown = Grown(tool.name, count)
    with Lab(client, report.BASE, report.OTHERS, tool) as lab:
        lab.help("tree", Size(files=count))
        try:
            began = time.monotonic()
            lab.start(within=PATIENCE)
            at, _ = quiet(lab)
            each = lab.reading().sent / count if count >= SHARED else None
            grown = dataclasses.replace(grown, contact=at - began, contact_bytes=each)
            grown = dataclasses.replace(grown, single=p50(lab, count, singles))
            if "idle" in tool.skips:
                return grown
            began, carries = time.monotonic(), lab.restart(PATIENCE)
            at, peak = quiet(lab)
            grown = dataclasses.replace(
                grown, carries=carries, quiet=at - began, peak=peak / 1e6, memory=lab.memory() / 1e6
            )
            if tool.rescans:
                lab.remake(RESCAN, PATIENCE)
                grown = dataclasses.replace(grown, beside_scan=p50(lab, count, singles))
        except NotUp as error:
            print(error, flush=True)
            grown = not_up(grown)
    return grown


def not_up(grown: Grown) -> Grown:
    """What is known of a tool whose nodes did not carry anything when they were started once more."""
    if grown.contact is None:
        return dataclasses.replace(grown, contact=NEVER)
    if grown.carries is None:
        return dataclasses.replace(grown, carries=NEVER)
    return dataclasses.replace(grown, beside_scan=NEVER)


def quiet(lab: Lab) -> tuple[float, int]:
    """When both nodes became quiet, as time.monotonic() has it, and the most memory until then; NEVER: not in time."""
    end, peak = time.monotonic() + PATIENCE, 0
    while time.monotonic() < end:
        if reading := lab.calm(STEP):
            return reading.at, max(peak, lab.memory())
        peak = max(peak, lab.memory())
    return NEVER, peak


def p50(lab: Lab, count: int, singles: int) -> float:
    """Of single files in that tree, in ms."""
    outcome = lab.measure("singles", 0, Size(singles=singles, files=count)).outcome
    return 1000 * quantile((*outcome.samples, *[NEVER] * outcome.never), 0.5) if outcome else NEVER


def table(grown: Sequence[Grown]) -> str:
    """Markdown: a line a tool and size."""
    lines = [["files", "", *(title for _, title, _ in COLUMNS)]]
    for one in grown:
        figures = [(getattr(one, name), digits) for name, _, digits in COLUMNS]
        cells = ["" if figure is None else written(figure, digits) for figure, digits in figures]
        lines.append([f"{one.files:,}".replace(",", " "), one.tool, *cells])
    return aligned(lines)


def drawn(grown: Sequence[Grown], named: Sequence[str]) -> str:
    """A picture of how each figure grows with the tree."""
    panels = []
    for name, title in DRAWN:
        curves = []
        for number, tool in enumerate(named):
            figures = [(float(one.files), getattr(one, name)) for one in grown if one.tool == tool]
            points = [(files, figure) for files, figure in figures if figure is not None and figure != NEVER]
            curves.append(Curve(tool, points, COLOURS[number % len(COLOURS)]))
        panels.append(panel(title, ("files", ""), curves, logs=(True, True)))
    return picture(panels)
