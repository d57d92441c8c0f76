"""All tools on the same works, in turns: a turn starts each tool on empty trees of its own, and takes it away again."""

import time

import docker

from bench import draw, report
from bench.lab import Lab, NotUp, Wan
from bench.outcome import Measurement, Size
from bench.table import table
from bench.tools import USUAL, tools
from bench.tools.base import Tool
from bench.works import PRESSED, WORKS

WAN_TOOLS = ("georoot", "rsync")
WAN_WORKS = ("singles", "overwrites", "burst", "upload", "delta")


def run(client: docker.DockerClient, wan: Wan | None) -> None:
    """TURNS, TOOLS, WORKS and the sizes FILES, SINGLES, OVERWRITES, MIB and SECONDS are read from the environment, and
    LARGE and FLOOD of the works that must be named."""
    every = tools(report.OURS, report.OTHERS)
    usual = Size()
    size = Size(
        singles=report.number("SINGLES", usual.singles),
        overwrites=report.number("OVERWRITES", usual.overwrites),
        files=report.number("FILES", usual.files),
        mib=report.number("MIB", usual.mib),
        seconds=report.number("SECONDS", usual.seconds),
        large=report.number("LARGE", usual.large),
        flood=report.number("FLOOD", usual.flood),
    )
    turns = report.number("TURNS", 5)
    named = report.chosen("TOOLS", WAN_TOOLS if wan else USUAL, every)
    works = report.chosen("WORKS", WAN_WORKS if wan else tuple(WORKS), WORKS | PRESSED)
    works.sort(key=list(WORKS | PRESSED).index)
    about = report.heading(client, [every[name] for name in named])
    if wan:
        about += f"\nthrough a relay: {wan.delay_ms:g} ms and {wan.mbit:g} Mbit/s each way"
    about += f"\n{turns} turns; {size.files} files, {size.mib} MiB, {size.singles} single files"
    print(about, flush=True)
    files, measured = report.Files("wan" if wan else "lan"), list[Measurement]()
    for number in range(turns):
        for name in named:
            measured += turn(client, every[name], works, number, size, wan)
            files.json(about, measured)
    text = table(measured, named)
    print(f"\n{text}\n")
    files.write(".md", f"{about}\n\n{text}\n")
    print(files.write(".svg", draw.comparison(measured, named)))


def turn(
    client: docker.DockerClient, tool: Tool, works: list[str], number: int, size: Size, wan: Wan | None
) -> list[Measurement]:
    """One tool's works; what it cannot even begin is missing."""
    measured = list[Measurement]()
    with Lab(client, report.BASE, report.OTHERS, tool, wan) as lab:
        try:
            lab.start()
        except NotUp as error:
            print(f"turn {number + 1} {tool.name}: {error}", flush=True)
            return []
        lab.learn_calm()
        for work in works:
            if work not in tool.skips:
                began = time.monotonic()
                measured.append(lab.measure(work, number, size))
                print(f"turn {number + 1} {tool.name} {work}: {time.monotonic() - began:.0f} s", flush=True)
    return measured
