"""The works, one module each: `run` does it and says what it saw; `prepare` makes what it needs, unmeasured.

To add one, write such a module and name it below, and what is printed of it in bench/table.py. They run in a container
of their own that mounts both volumes, as `python3 -m bench.works NAME prepare|run SIZE`; what one hands to the next is
what lies on the disk.
"""

from collections.abc import Callable
from typing import NamedTuple

from bench.outcome import Outcome, Size
from bench.works import (
    both,
    burst,
    delete,
    delta,
    flood,
    idle,
    large,
    overwrites,
    rename,
    sentinel,
    singles,
    tree,
    upload,
)
from bench.works.site import Site


def nothing(_site: Site, _size: Size) -> None:
    """What most works need."""


class Work(NamedTuple):
    """One of them."""

    run: Callable[[Site, Size], Outcome]
    limit: float
    """Seconds after which it is ended from outside, whatever it waits for."""
    prepare: Callable[[Site, Size], None] = nothing
    replaces: bool = False
    """Replaces or deletes something, and be it one file: it counts with what a later work sweeps away."""
    sweeps: bool = False
    """Replaces or deletes so much that a tool may not let it pass unasked, if anything was replaced shortly before."""
    memory: bool = False
    """Is the nodes' memory looked at afterwards?"""
    peak: bool = False
    """And meanwhile, for the most of it?"""


WORKS = {
    "both": Work(both.run, 180.0, both.prepare, replaces=True),
    "overwrites": Work(overwrites.run, 120.0, overwrites.prepare, replaces=True),
    "upload": Work(upload.run, 180.0),
    "delta": Work(delta.run, 180.0, delta.prepare, replaces=True),
    "singles": Work(singles.run, 120.0),
    "burst": Work(burst.run, 300.0, burst.prepare),
    "rename": Work(rename.run, 300.0, rename.prepare, replaces=True),
    "idle": Work(idle.run, 180.0, memory=True),
    "delete": Work(delete.run, 300.0, delete.prepare, replaces=True, sweeps=True),
}
"""Those of `make bench`, in their order: what replaces anything comes early, the sweep last, as a tool may never finish
it, and what replaces nothing fills the time between."""
PRESSED = {
    "large": Work(large.run, 500.0, memory=True, peak=True),
    "flood": Work(flood.run, 600.0, memory=True, peak=True),
}
"""Those that are only done if they are named: more than a link carries at once."""
HELPERS = {"sentinel": Work(sentinel.run, 1000.0), "tree": Work(tree.run, 1800.0)}
"""What is done around them."""
