"""`python3 -m bench.works NAME prepare|run SIZE`: one work, in the witness; its last line: the outcome, or `late`."""

import dataclasses
import json
import os
import sys
from pathlib import Path

from bench.outcome import Outcome, Size
from bench.works import HELPERS, PRESSED, WORKS
from bench.works.site import Late, Site

TICK = os.sysconf("SC_CLK_TCK")


def machine_cpu() -> float:
    """Seconds that all cores together were not idle since they started."""
    ticks = [int(one) for one in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICK


def main(name: str, phase: str, size: str) -> None:
    work, site = (WORKS | PRESSED | HELPERS)[name], Site()
    try:
        if phase == "prepare":
            work.prepare(site, Size(**json.loads(size)))
            print(Outcome().to_json())
        else:
            before = machine_cpu()
            outcome = work.run(site, Size(**json.loads(size)))
            print(dataclasses.replace(outcome, machine_cpu=machine_cpu() - before).to_json())
    except Late:
        print("late")


main(*sys.argv[1:])
