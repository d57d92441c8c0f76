"""Runs a case of `cases` over both regions, and what must hold after it."""

import hashlib
import json
from pathlib import Path

from tests.support import cases, churn
from tests.support.compose import Site, said
from tests.support.tree import Tree

LONG = 300.0
SOURCE = Path(cases.__file__).read_text("utf-8")


def worked(site: Site, case: str, scale: float = 1.0) -> Tree:
    """Run so much of the case and wait until both regions hold the same, with no content lost; what they hold."""
    where = [f"/volumes/{region.name}/html/{site.name}" for region in site.project.regions]
    argv = ("/usr/bin/env", f"SCALE={scale}", "/usr/bin/python3", "-Bc", SOURCE, case, *where)
    must_keep = json.loads(said(site.project.witness, *argv))
    found = site.wait_identical(LONG)
    keeping = [churn.kept(site.project, region.name) for region in site.project.regions]
    there = churn.contents(found).union(*(one.trash | one.conflicts for one in keeping))
    assert set() == set(must_keep) - there
    assert keeping[0].listed == keeping[1].listed
    assert [0, 0] == [region.asked.status()["problem_count"] for region in site.project.regions]
    return found


def texts(found: Tree, words: dict[str, str]) -> list[str]:
    """The paths that do not hold these words."""
    return [path for path, text in words.items() if found.get(path, ("",) * 4)[3:4] != (_digest(text),)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
