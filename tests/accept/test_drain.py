"""SIGTERM under load: what is pending goes out within the drain time, and the exit code says whether all of it did."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.compose import Site
from tests.support.faults import paused

PENDING = 3000
_WRITE = """
import os, sys
for number in range({count}):
    with open(f"{{number}}", "wb") as file:
        file.write(os.urandom(4000))
"""
_GO_ON = """
import json, os, time
written, until = dict[int, float](), time.time() + {seconds}
while time.time() < until:
    with open(f"{{len(written)}}", "wb") as file:
        file.write(os.urandom(4000))
    written[len(written)] = time.time()
    time.sleep(0.004)
print(json.dumps(written))
"""


def stopped(site: Site) -> int:
    """The exit code; 137 if it had to be killed: the engine does that 20 s after the drain time."""
    site.msk.region.sidecar.stop()
    return site.msk.region.exit_code()


def test_a_burst_is_sent_before_the_end(site: Site) -> None:
    site.msk.python(_WRITE.format(count=PENDING))
    try:
        assert 0 == stopped(site)
        assert PENDING == int(site.ams.python("import os; print(len(os.listdir()))"))
    finally:
        site.msk.region.sidecar.start()
    site.wait_identical()


def test_what_a_silent_peer_did_not_take_is_told_by_the_exit_code(site: Site) -> None:
    try:
        with paused(site):
            site.msk.python(_WRITE.format(count=100))
            code = stopped(site)
        assert 4 == code
    finally:
        site.msk.region.sidecar.start()
    assert 100 == len(site.wait_identical())


def test_all_that_was_written_before_the_signal_is_there_if_the_code_says_so(site: Site) -> None:
    with ThreadPoolExecutor() as aside:
        writer = aside.submit(site.msk.python, _GO_ON.format(seconds=8))
        time.sleep(3)
        signalled = time.time()
        try:
            code = stopped(site)
            there = int(site.ams.python("import os; print(len(os.listdir()))"))
        finally:
            site.msk.region.sidecar.start()
        written: dict[str, float] = json.loads(writer.result())
    before = sum(at < signalled for at in written.values())
    assert code in {0, 4}
    assert there >= before or code == 4
    assert len(written) == len(site.wait_identical())
