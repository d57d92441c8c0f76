"""What two containers have used: CPU, bytes sent, memory."""

import dataclasses
import time
from collections.abc import Sequence

from docker.models.containers import Container

from bench.desk import said

CALM = 0.05
"""Share of a core below which both nodes together count as quiet."""
STEP = 0.5
"""Seconds between two looks at that."""
# Of every process in the container but this one: PSS counts a page that three share as a third for each.
_PSS = """
import glob, os
total = 0
for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
    if path.split("/")[2] == str(os.getpid()):
        continue
    try:
        total += sum(int(line.split()[1]) for line in open(path) if line.startswith("Pss:"))
    except OSError:
        pass
print(total * 1024)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment."""

    at: float
    cpu: float
    """Seconds."""
    sent: int
    """Bytes, packet headers and all."""


def read(nodes: Sequence[Container]) -> Reading:
    """Of all of them together."""
    cpu, sent = 0.0, 0
    for node in nodes:
        stats = node.stats(stream=False, one_shot=True)
        assert isinstance(stats, dict)
        cpu += stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        sent += sum(one["tx_bytes"] for one in stats.get("networks", {}).values())
    return Reading(time.monotonic(), cpu, sent)


def quiet(nodes: Sequence[Container], calm: float, within: float) -> Reading | None:
    """Wait until they take less than `calm` of a core at two looks in turn.

    Returns the counters when that began; None: not within the limit.
    """
    end, before, since = time.monotonic() + within, read(nodes), None
    while before.at < end:
        time.sleep(STEP)
        now = read(nodes)
        if share(before, now) >= calm:
            since = None
        elif since:
            return since
        else:
            since = before
        before = now
    return None


def share(before: Reading, after: Reading) -> float:
    """Of a core, between two readings."""
    return (after.cpu - before.cpu) / (after.at - before.at)


def memory(nodes: Sequence[Container]) -> int:
    """PSS of all their processes in bytes."""
    total = 0
    for node in nodes:
        # Only root with every capability may look at what sshd holds.
        code, text = said(node, ["/usr/bin/python3", "-c", _PSS], user="0", privileged=True)
        if code:
            raise RuntimeError(f"memory of {node.name}: {text}")
        total += int(text)
    return total
