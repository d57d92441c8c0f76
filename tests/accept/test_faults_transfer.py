"""Sender or receiver killed at every tenth of a transfer, of many files and of a large one: all arrive, and whole."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.compose import Project, Site, said, two_regions

FILES, FILE_BYTES = 250, 1 << 20
LARGE_BYTES = 1 << 30
LIMIT = "128M"
"""KiB/s and so on, as rsync has it: else all of it is there before anybody can be killed."""
WITHIN = 300.0
_WRITE = """
import hashlib, json, os, random
written = {{}}
for number in range({files}):
    rng = random.Random(number)
    data = rng.randbytes(rng.randrange({most}))
    with open(f"{{number}}", "wb") as file:
        file.write(data)
    written[f"{{number}}"] = hashlib.sha256(data).hexdigest()
print(json.dumps(written))
"""
_WRITE_LARGE = """
import hashlib, json, random
rng, digest = random.Random(1), hashlib.sha256()
with open("large", "wb") as file:
    for _ in range({size} >> 20):
        data = rng.randbytes(1 << 20)
        digest.update(data)
        file.write(data)
print(json.dumps({{"large": digest.hexdigest()}}))
"""
_AWAIT = """
import os, sys, time
least, until = int(sys.argv[1]), time.monotonic() + 240
def there():
    tops = (".", "/volumes/ams/.sidecar/inbox")
    return len({{name for top in tops for _, _, names in os.walk(top) for name in names if name.isdigit()}})
def largest():
    found = []
    for top, _, names in os.walk("/volumes/ams/.sidecar/inbox"):
        for name in names:
            try:
                found.append(os.stat(os.path.join(top, name)).st_size)
            except OSError:
                pass
    if os.path.exists("large"):
        found.append(os.stat("large").st_size)
        assert found[-1] == {size}, "a part of it is served"
    return max(found, default=0)
while {what}() < least and time.monotonic() < until:
    time.sleep(0.005)
print({what}())
"""


@pytest.fixture(scope="module")
def slow() -> Iterator[Project]:
    """Two regions; what they send has a limit."""
    with two_regions({"GEOROOT_BWLIMIT": LIMIT}) as made:
        yield made


def killed_at_every_tenth(site: Site, who: str, what: str, full: int) -> str:
    """Kill one sidecar whenever another tenth has arrived; how much there was each time."""
    region = (site.msk if who == "sender" else site.ams).region
    at = list[str]()
    for tenth in range(1, 10):
        least = str(full * tenth // 10)
        source, where = _AWAIT.format(what=what, size=LARGE_BYTES), f"/volumes/ams/html/{site.name}"
        at.append(said(site.project.witness, "/usr/bin/python3", "-Bc", source, least, workdir=where).strip())
        region.sidecar.kill("KILL")
        region.sidecar.start()
    return ", ".join(at)


@pytest.mark.parametrize("who", ["sender", "receiver"])
@pytest.mark.parametrize("what", ["files", "large"])
def test_a_kill_at_every_tenth_of_a_transfer_loses_nothing(
    slow: Project, record_property: Callable[[str, object], None], who: str, what: str
) -> None:
    site = Site(slow, f"{what}-{who}")
    site.make()
    large = what == "large"
    source = _WRITE_LARGE.format(size=LARGE_BYTES) if large else _WRITE.format(files=FILES, most=FILE_BYTES)
    written: dict[str, str] = json.loads(site.msk.python(source))
    at = killed_at_every_tenth(site, who, "largest" if large else "there", LARGE_BYTES if large else FILES)
    began = time.monotonic()
    tree = site.wait_identical(WITHIN)
    record_property(
        f"{what}: kills of the {who} at", f"{at}; identical {time.monotonic() - began:.1f} s after the last"
    )
    assert written == {path: facts[3] for path, facts in tree.items()}
    assert [0, 0] == [region.asked.status()["store"]["conflicts"] for region in slow.regions]
    before, after = slow.silent(1.0)
    assert before == after
