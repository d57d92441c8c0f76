"""Both regions under load, each on names of its own, and what must be there in both afterwards: what was written.

A writer works in the witness, on the volume itself: it goes on while its region's sidecar is down.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import load
from tests.support.compose import Corner, Site, said
from tests.support.tree import Tree

SILENCE = 1.0
WORK = Path(load.__file__).read_text("utf-8")


@dataclass
class Writer:
    """One region's, in a directory that bears the region's name. `done`: operations so far; `wrong`: why it failed."""

    site: Site
    corner: Corner
    model: load.Model = field(default_factory=dict)
    done: int = 0
    wrong: str = ""
    journal: list[str] = field(default_factory=list)

    def work(self, seed: str, seconds: float) -> None:
        """Work for so long, from where it ended the last time."""
        region = self.corner.region.name
        top = f"/volumes/{region}/html/{self.site.name}/{region}"
        kept = f"/tmp/{self.site.name}-{region}.json"
        try:
            printed = said(
                self.site.project.witness, "/usr/bin/python3", "-Bc", WORK, top, kept, f"{seed} {region}", str(seconds)
            )
        except AssertionError as error:
            self.wrong = str(error)
            return
        told = json.loads(printed)
        self.model, self.done, self.journal = told["model"], self.done + told["done"], told["journal"]

    def expected(self) -> Tree:
        """What must lie in both regions, as the tree of the site has it; times are not foretold."""
        region = self.corner.region.name
        return {region: ("dir",)} | {f"{region}/{path}": tuple(facts) for path, facts in self.model.items()}


class Writers:
    """Both regions'."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._both = [Writer(site, corner) for corner in site.both]
        self._conflicts = self._kept()

    @property
    def done(self) -> int:
        """Operations so far."""
        return sum(writer.done for writer in self._both)

    @contextmanager
    def at_work(self, seed: str, seconds: float) -> Iterator[None]:
        """Both work for so long; the block lasts at least until they are done."""
        threads = [threading.Thread(target=writer.work, args=(seed, seconds)) for writer in self._both]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join()
        wrong = "\n".join(writer.wrong for writer in self._both)
        assert not wrong.strip(), wrong

    def verify(self, within: float = 120.0) -> Tree:
        """Both regions hold just what was written, then nothing moves any more; nothing was taken for a conflict."""
        tree = self.site.wait_identical(within)
        expected = self._both[0].expected() | self._both[1].expected()
        differing = [path for path in sorted(tree.keys() | expected) if _facts(tree.get(path)) != expected.get(path)]
        why = [f"{path}: written {expected.get(path)}, there is {tree.get(path)}" for path in differing[:20]]
        journal = [f"{one.corner.region.name} {line}" for one in self._both for line in one.journal]
        told = [line for line in journal if any(path.split("/", 1)[-1] in line.split()[2:] for path in differing)]
        assert not differing, "\n".join([f"{len(differing)} paths are not as they were written:", *why, *told])
        before, after = self.site.project.silent(SILENCE)
        assert before == after, "something is still replicated, though nobody writes"
        assert self._conflicts == self._kept(), "conflicts, though nobody wrote what another wrote"
        problems = [region.asked.status()["problems"] for region in self.site.project.regions]
        assert [[], []] == problems
        return tree

    def _kept(self) -> list[int]:
        return [region.asked.status()["store"]["conflicts"] for region in self.site.project.regions]


def _facts(found: tuple[object, ...] | None) -> tuple[object, ...] | None:
    """What a model tells of a path in the tree: no time, and of a directory no mode."""
    if found is None:
        return None
    return found[:1] if found[0] == "dir" else found[:-1]
