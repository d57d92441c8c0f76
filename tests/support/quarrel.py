"""Work on both sides of a fault: files created, edited, moved and deleted here and there, and what must come of it."""

import hashlib
from collections.abc import Iterator
from typing import Final

from tests.support.compose import Corner, Site
from tests.support.tree import Tree

_BEFORE = """
mkdir -p rubbish/deep moved bulk
for number in $(seq {bulk}); do echo "before $number" >bulk/$number; done
for name in kept edited-msk edited-ams deleted-msk deleted-ams both saved rubbish/page rubbish/deep/page moved/page
do echo before >"$name"; done
"""
_DURING = """
import os, shutil
me = {me!r}
def write(name, text):
    with open(name, "w") as file:
        file.write(text)
write("edited-" + me, "edited in " + me)
write("created-" + me, "created in " + me)
os.unlink("deleted-" + me)
write("both", "both: " + me)
if me == "msk":
    shutil.rmtree("rubbish")
    os.unlink("saved")
else:
    os.rename("moved", "moved-on")
    write("saved", "an edit outlives a delete")
for number in range(1, {bulk} + 1):
    turn = number % 6 - (0 if me == "msk" else 3)
    if turn == 0:
        write(f"bulk/{{number}}", f"edited in {{me}} {{number}}")
    elif turn == 1:
        os.unlink(f"bulk/{{number}}")
    elif turn == 2:
        write(f"bulk/{{number}}-{{me}}", f"created in {{me}} {{number}}")
"""
_EXPECTED: Final = {
    "kept": "before\n",
    "edited-msk": "edited in msk",
    "edited-ams": "edited in ams",
    "created-msk": "created in msk",
    "created-ams": "created in ams",
    "saved": "an edit outlives a delete",
    "moved-on/page": "before\n",
}


def prepare(site: Site, bulk: int = 0) -> None:
    """What there is before the fault, in both regions; `bulk`: so many files besides."""
    site.msk.sh(_BEFORE.format(bulk=bulk))
    site.wait_identical()


def edit(side: Corner, bulk: int = 0) -> None:
    """One region's part, while they cannot hear each other."""
    side.python(_DURING.format(me=side.region.name, bulk=bulk))


def verify(site: Site, bulk: int = 0) -> Tree:
    """Both hold the same: every edit is there, every delete still deleted; what they hold."""
    tree = site.wait_identical()
    expected = dict(_bulk(bulk))
    assert {*_EXPECTED, "moved-on", "both", "bulk", *expected} == set(tree)
    for path, text in expected.items():
        assert hashlib.sha256(text.encode()).hexdigest() == tree[path][3], path
    for corner in site.both:
        for name, text in _EXPECTED.items():
            assert text == corner.read(name), f"{name} in {corner.region.name}"
        assert corner.read("both") in ("both: msk", "both: ams")
    return tree


def _bulk(count: int) -> Iterator[tuple[str, str]]:
    """What must come of the many, file by file: see _DURING."""
    for number in range(1, count + 1):
        here, turn = ("msk", number % 6) if number % 6 < 3 else ("ams", number % 6 - 3)
        path = f"bulk/{number}"
        if turn == 0:
            yield path, f"edited in {here} {number}"
        elif turn == 2:
            yield path, f"before {number}\n"
            yield f"{path}-{here}", f"created in {here} {number}"
