"""Random work on names that nobody else writes, and the model of what it must have left, whatever faults there were.

The standard library alone: it runs inside a container, by its source: `load.py DIRECTORY MODEL SEED SECONDS` goes on
where the work that left the file MODEL ended, and prints the new model. That nothing but this work touches DIRECTORY is
its own first check: it ends with an error where a path is not as it was left.
"""

import hashlib
import json
import os
import random
import shutil
import sys
import time
from pathlib import Path

Model = dict[str, list[object]]
"""What lies at each path: ["dir"], ["symlink", target] or ["file", mode, size, sha256]."""

RATE = 150
"""Operations a second, at most."""
NAMES = 25
"""Names in a directory: so few that most of them are written again and again."""
SMALL, LARGE = 200_000, 9_000_000
"""Bytes: most files are far smaller than SMALL, one in a few hundred goes by the lane of the large."""


class Work:
    """Goes on from a model. `top`: the directory that it has for itself."""

    def __init__(self, top: str, model: Model, rng: random.Random) -> None:
        self.model = model
        self.journal: list[str] = []
        """what was done last, with its unix time"""
        self._top = top
        self._rng = rng
        self._works = (
            (12, self._write),
            (5, self._replace),
            (3, self._append),
            (5, self._unlink),
            (4, self._rename),
            (3, self._mkdir),
            (1, self._rename_dir),
            (1, self._rmtree),
            (2, self._symlink),
            (2, self._chmod),
        )

    def run(self, seconds: float) -> int:
        """Work for so long; how many operations that were."""
        weights, works = zip(*self._works, strict=True)
        until, done = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            self._rng.choices(works, weights)[0]()
            done += 1
            time.sleep(self._rng.expovariate(RATE))
        return done

    # -- what it does

    def _write(self) -> None:
        path = self._free_for("file")
        data = self._data()
        mode = self.model[path][1] if path in self.model else 0o644
        self._note("write", path)
        Path(self._at(path)).write_bytes(data)
        self.model[path] = ["file", mode, len(data), _digest(data)]

    def _replace(self) -> None:
        path, data = self._free_for("file"), self._data()
        beside = self._at(f"{path}.new")
        Path(beside).write_bytes(data)
        self._note("replace", path)
        os.rename(beside, self._at(path))
        self.model[path] = ["file", 0o644, len(data), _digest(data)]

    def _append(self) -> None:
        path = self._some("file")
        if path:
            self._note("append", path)
            more = self._rng.randbytes(self._rng.randrange(1, 2000))
            with open(self._at(path), "ab") as file:
                file.write(more)
            data = Path(self._at(path)).read_bytes()
            assert _digest(data[: -len(more)]) == self.model[path][3], f"{path} is not as it was left"
            self.model[path] = ["file", self.model[path][1], len(data), _digest(data)]

    def _unlink(self) -> None:
        path = self._some("file") or self._some("symlink")
        if path:
            self._note("unlink", path)
            os.unlink(self._at(path))
            del self.model[path]

    def _rename(self) -> None:
        old, new = self._some("file"), self._free_for("file")
        if old and old != new:
            self._note("rename", old, new)
            os.rename(self._at(old), self._at(new))
            self.model[new] = self.model.pop(old)

    def _mkdir(self) -> None:
        path = self._path()
        if path not in self.model:
            self._note("mkdir", path)
            os.mkdir(self._at(path))
            self.model[path] = ["dir"]

    def _rename_dir(self) -> None:
        old, new = self._some("dir"), self._path()
        if old and new not in self.model and not new.startswith(f"{old}/"):
            self._note("rename directory", old, new)
            os.rename(self._at(old), self._at(new))
            for path in self._beneath(old):
                self.model[new + path[len(old) :]] = self.model.pop(path)

    def _rmtree(self) -> None:
        path = self._some("dir")
        if path:
            self._note("rmtree", path)
            shutil.rmtree(self._at(path))
            for gone in self._beneath(path):
                del self.model[gone]

    def _symlink(self) -> None:
        path, target = self._path(), self._rng.choice(["1", "2/3", "nowhere"])
        if path not in self.model:
            self._note("symlink", path)
            os.symlink(target, self._at(path))
            self.model[path] = ["symlink", target]

    def _chmod(self) -> None:
        path, mode = self._some("file"), self._rng.choice([0o600, 0o640, 0o644, 0o755])
        if path:
            self._note("chmod", path)
            os.chmod(self._at(path), mode)
            self.model[path][1] = mode

    def _note(self, what: str, *paths: str) -> None:
        self.journal.append(f"{time.time():.3f} {what} {' to '.join(paths)}")

    # -- where

    def _at(self, path: str) -> str:
        return os.path.join(self._top, path)

    def _some(self, kind: str) -> str:
        found = [path for path, facts in self.model.items() if facts[0] == kind]
        return self._rng.choice(found) if found else ""

    def _path(self) -> str:
        """A name in the top or in some directory; there may be something."""
        return os.path.join(self._rng.choice(["", "", self._some("dir")]), str(self._rng.randrange(NAMES)))

    def _free_for(self, kind: str) -> str:
        """A path at which there is nothing, or something of this kind."""
        while True:
            path = self._path()
            if self.model.get(path, [kind])[0] == kind:
                return path

    def _beneath(self, top: str) -> list[str]:
        return [path for path in self.model if path == top or path.startswith(f"{top}/")]

    def _data(self) -> bytes:
        large = self._rng.randrange(300) == 0
        return self._rng.randbytes(LARGE if large else int(self._rng.paretovariate(0.5)) % SMALL)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(top: str, kept: str, seed: str, seconds: str) -> None:
    """Work, keep the model and print it with the number of operations."""
    model: Model = json.loads(Path(kept).read_text("utf-8")) if os.path.exists(kept) else {}
    os.makedirs(top, exist_ok=True)
    work = Work(top, model, random.Random(seed))
    done = work.run(float(seconds))
    Path(kept).write_text(json.dumps(model), "utf-8")
    json.dump({"done": done, "model": model, "journal": work.journal}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
