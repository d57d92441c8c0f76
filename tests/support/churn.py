"""Both sides work at once on own and on shared names, and what must come of it.

The oracle for shared names is that of Hughes, Pierce, Arts and Norell, "Mysteries of Dropbox" (ICST 2016): every
content that was ever written is current, or was overwritten or deleted by a writer who could see it, or is kept.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import churner, tree
from tests.support.compose import READER, Corner, Project, Site, said
from tests.support.tree import Tree

CHURNER = Path(churner.__file__).read_text("utf-8")


@dataclass(frozen=True)
class Side:
    """What one writer said: see `churner`."""

    region: str
    done: dict[str, int]
    seconds: float
    own: Tree
    written: dict[str, str]
    seen: frozenset[str]
    touched: frozenset[str]
    unknown: list[str]

    @property
    def rate(self) -> float:
        """Operations a second."""
        return sum(self.done.values()) / self.seconds


@dataclass(frozen=True)
class Kept:
    """What a region keeps outside the web root, and what it says of it."""

    trash: set[str]
    conflicts: set[str]
    """hashes of the bytes in conflicts/"""
    names: set[str]
    """and their names, which are their ids"""
    listed: set[tuple[str, str]]
    """path and id of every conflict that `sidecar conflicts` lists"""
    total: int


def churn(site: Site, seed: str, seconds: float, rate: float) -> tuple[Side, Side]:
    """Both writers at once; what each says that it did."""

    def work(corner: Corner) -> Side:
        region = corner.region.name
        where = f"/volumes/{region}/html/{site.name}"
        argv = ("/usr/bin/python3", "-Bc", CHURNER, region, seed, str(seconds), str(rate))
        return _side(region, json.loads(said(site.project.witness, *argv, workdir=where)))

    with ThreadPoolExecutor() as writers:
        msk, ams = writers.map(work, site.both)
    return msk, ams


def verify(site: Site, sides: tuple[Side, Side], record: Callable[[str, object], None], silence: float) -> None:
    """Both regions come to the same: lost 0, wrong 0, resurrected 0, echo 0, and what lost is listed in both."""
    began = time.monotonic()
    found = site.wait_identical(within=300)
    record("identical after", f"{time.monotonic() - began:.1f} s, {len(found)} paths")
    for side in sides:
        record(side.region, f"{side.rate:.0f} operations a second: {side.done}, unknown {len(side.unknown)}")
    keeping = [kept(site.project, region.name) for region in site.project.regions]
    record("conflicts listed", [one.total for one in keeping])
    record("contents that are kept alone", len(kept_alone(sides, found)))
    assert ([], []) == (own_wrong(sides[0], found), own_wrong(sides[1], found))
    gone, unknown = lost(sides, found, keeping), sides[0].unknown + sides[1].unknown
    assert len(gone) <= len(unknown), f"{gone}; taken away unseen at {unknown}"
    assert [] == resurrected(sides, found)
    for one in keeping:
        assert {ident for _, ident in one.listed} == one.names
    assert keeping[0].listed == keeping[1].listed
    assert [0, 0] == [region.asked.status()["problem_count"] for region in site.project.regions]
    before, after = site.project.silent(silence)
    assert before == after


def kept(project: Project, region: str) -> Kept:
    """What one region keeps."""
    where = [f"/volumes/{region}/.sidecar/{what}" for what in ("trash", "conflicts")]
    trash, conflicts = tree.read(said(project.witness, "/usr/bin/python3", "-Bc", READER, *where).encode())
    listing = json.loads(said(getattr(project, region).sidecar, "sidecar", "conflicts", "--json"))
    listed = {(one["path"], one["id"]) for one in listing["conflicts"]}
    return Kept(contents(trash), contents(conflicts), set(conflicts), listed, listing["total"])


def own_wrong(side: Side, found: Tree) -> list[str]:
    """Own names that are not exactly as their writer left them: lost, wrong, or back from the dead."""
    there = {path: _plain(facts) for path, facts in found.items() if path.split("/")[0] == f"own-{side.region}"}
    return tree.differences(side.own, there)


def lost(sides: tuple[Side, Side], found: Tree, keeping: list[Kept]) -> list[str]:
    """Contents of shared names that are neither current nor kept, and that nobody who could see them took away."""
    there = set[str]().union(*(one.trash | one.conflicts for one in keeping))
    return [f"{path}: {content}" for content, path in kept_alone(sides, found).items() if content not in there]


def kept_alone(sides: tuple[Side, Side], found: Tree) -> dict[str, str]:
    """Contents of shared names, each with its path, that only a trash or conflicts can have by now."""
    there = contents(found).union(*(side.seen for side in sides))
    written = sides[0].written | sides[1].written
    return {content: path for content, path in written.items() if content not in there}


def resurrected(sides: tuple[Side, Side], found: Tree) -> list[str]:
    """Contents that a writer took away and that are there all the same, though the other one did nothing to them."""
    current = {content: path for path, facts in found.items() for content in contents({path: facts})}
    return [
        f"{current[content]}, taken away by {side.region}"
        for side, other in (sides, sides[::-1])
        for content in side.seen & current.keys() - other.touched
    ]


def _side(region: str, report: dict[str, Any]) -> Side:
    own = {path: tuple(facts) for path, facts in report.pop("own").items()}
    seen, touched = (frozenset(report.pop(name)) for name in ("seen", "touched"))
    return Side(region, own=own, seen=seen, touched=touched, **report)


def _plain(facts: tuple[object, ...]) -> tuple[object, ...]:
    """As a model has them: without size and time."""
    return (facts[0], facts[1], facts[3]) if facts[0] == "file" else facts[:2]


def contents(found: Tree) -> set[str]:
    """Hashes of files, and what symlinks lead to, as `churner` names them."""
    files = {str(facts[3]) for facts in found.values() if facts[0] == "file"}
    return files | {f"-> {facts[1]}" for facts in found.values() if facts[0] == "symlink"}
