"""kill -9 of one process of a sidecar, found by its command line, in the container as it runs."""

import random
import time
from collections.abc import Callable

from tests.support.compose import Region, said
from tests.support.writers import Writers

VICTIMS = ("sidecar", "sshd", "rsync", "ssh", "session")
"""The daemon; the sshd that listens; an rsync of either side; the connection to the peer; a session of the sshd."""
WORK_SECONDS = 1.5

_KILL = """
import os, random, signal, sys
victim, seed = sys.argv[1:]
def name(pid):
    try:
        argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    except OSError:
        return ""
    program, *rest = argv
    if program.startswith(b"sshd-session") or b"sshd-session" in program:
        return "session"
    if b"sshd" in program:
        return "sshd"
    if program == b"ssh":
        return "ssh" if b"-M" in rest else "client"
    return "rsync" if program == b"rsync" else ""
found = [pid for pid in sorted(int(one) for one in os.listdir("/proc") if one.isdigit()) if name(pid) == victim]
if found:
    os.kill(random.Random(seed).choice(found), signal.SIGKILL)
print(len(found))
"""


def kill(region: Region, victim: str, seed: str) -> int:
    """End one process of this kind by SIGKILL; how many there were. With the daemon its container ends, as ever."""
    if victim == "sidecar":
        region.sidecar.kill("KILL")
        region.sidecar.start()
        return 1
    return int(said(region.sidecar, "/usr/bin/python3", "-Ic", _KILL, victim, seed))


def rounds(writers: Writers, count: int, seed: str, record: Callable[[str, object], None]) -> None:
    """Rounds of work on both sides, with one kill each at a random moment; after each all must be there, and silent."""
    rng, took = random.Random(seed), list[float]()
    record("seed", seed)
    for number in range(count):
        victim, region = VICTIMS[number % len(VICTIMS)], rng.choice(writers.site.project.regions)
        what = f"round {number} of seed {seed!r}: kill -9 of {victim} in {region.name}"
        with writers.at_work(f"{seed} {number}", WORK_SECONDS):
            time.sleep(rng.uniform(0.2, WORK_SECONDS))
            assert kill(region, victim, f"{seed} {number}"), f"{what}: there was none"
        began = time.monotonic()
        try:
            writers.verify()
        except AssertionError as error:
            error.add_note(what)
            raise
        took.append(time.monotonic() - began)
    record(f"{count} kills under load", f"{writers.done} changes, identical and silent {max(took):.1f} s later at most")
