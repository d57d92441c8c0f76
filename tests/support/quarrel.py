"""Work on both sides of a fault: files created, edited, moved and deleted here and there, and what must come of it."""

from tests.support.compose import Corner, Site
from tests.support.tree import Tree

_BEFORE = """
mkdir -p rubbish/deep moved
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
"""
_EXPECTED = {
    "kept": "before\n",
    "edited-msk": "edited in msk",
    "edited-ams": "edited in ams",
    "created-msk": "created in msk",
    "created-ams": "created in ams",
    "saved": "an edit outlives a delete",
    "moved-on/page": "before\n",
}


def prepare(site: Site) -> None:
    """What there is before the fault, in both regions."""
    site.msk.sh(_BEFORE)
    site.wait_identical()


def edit(side: Corner) -> None:
    """One region's part, while they cannot hear each other."""
    side.python(_DURING.format(me=side.region.name))


def verify(site: Site) -> Tree:
    """Both hold the same: every edit is there, every delete still deleted; what they hold."""
    tree = site.wait_identical()
    assert {*_EXPECTED, "moved-on", "both"} == set(tree)
    for corner in site.both:
        for name, text in _EXPECTED.items():
            assert text == corner.read(name), f"{name} in {corner.region.name}"
        assert corner.read("both") in ("both: msk", "both: ams")
    return tree
