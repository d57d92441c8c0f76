"""One writer of a churn: works on names of its own and on shared ones, and says what it did to which bytes.

The standard library alone: it runs inside a container, by its source, in the directory that it works on:
ME SEED SECONDS RATE. Own names are beneath `own-ME`, where nobody else writes, so a model says exactly what must be
there. On shared names another writer, or the sidecar on its behalf, may be faster at any moment: there the writer notes
every content that it made, that it destroyed after it could read it, and that it renamed or gave another mode.
"""

import ctypes
import hashlib
import json
import os
import random
import shutil
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Facts = tuple[object, ...]

MODES = (0o644, 0o600, 0o755)
NAMES, DIRECTORIES, DEPTH = 10, 3, 3
"""So few that both sides meet on one path again and again."""
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


class Model:
    """What must be beneath the writer's own directory."""

    def __init__(self, top: str) -> None:
        self.there: dict[str, Facts] = {top: ("dir", 0o755)}

    def of(self, *kinds: str) -> list[str]:
        return sorted(path for path, facts in self.there.items() if facts[0] in kinds and "/" in path)

    def free(self, path: str) -> bool:
        """Can a file, or a chain of directories, be made here?"""
        above = [str(parent) for parent in Path(path).parents if str(parent) != "."]
        return path not in self.there and all(self.there.get(one, ("dir",))[0] == "dir" for one in above)

    def add(self, path: str, facts: Facts) -> None:
        for parent in Path(path).parents:
            if str(parent) != ".":
                self.there.setdefault(str(parent), ("dir", 0o755))
        self.there[path] = facts

    def move(self, old: str, new: str) -> None:
        for path in [one for one in self.there if one == old or one.startswith(f"{old}/")]:
            self.add(new + path[len(old) :], self.there.pop(path))

    def remove(self, path: str) -> None:
        for one in [one for one in self.there if one == path or one.startswith(f"{path}/")]:
            del self.there[one]


class Writer:
    """Works until its time is over; `report` is what it says then."""

    def __init__(self, me: str, seed: str) -> None:
        self._me = me
        self._chance = random.Random(f"{me} {seed}")
        self._made = 0
        self.model = Model(f"own-{me}")
        self.done: Counter[str] = Counter()
        self.written: dict[str, str] = {}
        self.seen: set[str] = set()
        self.touched: set[str] = set()
        self.unknown: list[str] = []

    def work(self, seconds: float, rate: float) -> None:
        """Some `rate` operations a second, at once when it is late."""
        for top in (f"own-{self._me}", "shared"):
            os.makedirs(top, exist_ok=True)
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            self._step()
            time.sleep(max(0.0, self.done.total() / rate - now))
        self.seconds = time.monotonic() - began

    def report(self) -> dict[str, object]:
        return {
            "done": self.done,
            "seconds": self.seconds,
            "own": self.model.there,
            "written": self.written,
            "seen": sorted(self.seen),
            "touched": sorted(self.touched),
            "unknown": self.unknown,
        }

    def _step(self) -> None:
        what = self._chance.choices(OPERATIONS, WEIGHTS)[0]
        if self._chance.random() < 0.4:
            done = OWN[what](self)
        else:
            done = False
            with suppress(OSError):
                done = SHARED[what](self)
        self.done[what] += done

    def _name(self, top: str) -> str:
        directories = (f"d{self._chance.randrange(DIRECTORIES)}" for _ in range(self._chance.randrange(DEPTH)))
        return "/".join((top, *directories, f"f{self._chance.randrange(NAMES)}"))

    def _directory(self, top: str) -> str:
        return os.path.dirname(self._name(top))

    def _content(self) -> bytes:
        self._made += 1
        return f"{self._me} {self._made:08} ".encode() + self._chance.randbytes(self._chance.randrange(3000))

    def _target(self) -> str:
        self._made += 1
        return f"nowhere-{self._me}-{self._made}"

    # -- own names: every operation is possible, and changes the model too

    def own_create(self) -> bool:
        path = self._name(f"own-{self._me}")
        if not self.model.free(path):
            return False
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return self._own_write(path, self._content(), 0o644)

    def own_overwrite(self) -> bool:
        return self._on_own(("file",), lambda path: self._own_write(path, self._content(), self._own_mode(path)))

    def own_append(self) -> bool:
        def append(path: str) -> bool:
            with open(path, "ab") as file:
                file.write(f"+{self._me}".encode())
            return self._own_as_it_is(path)

        return self._on_own(("file",), append)

    def own_truncate(self) -> bool:
        def truncate(path: str) -> bool:
            os.truncate(path, self._chance.randrange(50))
            return self._own_as_it_is(path)

        return self._on_own(("file",), truncate)

    def own_rename(self) -> bool:
        new = self._name(f"own-{self._me}")
        there = self.model.there

        def rename(path: str) -> bool:
            possible = there.get(os.path.dirname(new), ("",))[0] == "dir" and there.get(new, ("",))[0] != "dir"
            if possible and path != new:
                os.rename(path, new)
                self.model.move(path, new)
            return possible

        return self._on_own(("file", "symlink"), rename)

    def own_rename_directory(self) -> bool:
        def rename(path: str) -> bool:
            new = f"{os.path.dirname(path)}/d{self._chance.randrange(DIRECTORIES)}"
            if not self.model.free(new):
                return False
            os.rename(path, new)
            self.model.move(path, new)
            return True

        return self._on_own(("dir",), rename)

    def own_delete(self) -> bool:
        def delete(path: str) -> bool:
            os.unlink(path)
            self.model.remove(path)
            return True

        return self._on_own(("file", "symlink"), delete)

    def own_mkdir(self) -> bool:
        path = self._directory(f"own-{self._me}")
        if not self.model.free(path):
            return False
        os.makedirs(path)
        self.model.add(path, ("dir", 0o755))
        return True

    def own_rmdir(self) -> bool:
        def remove(path: str) -> bool:
            shutil.rmtree(path)
            self.model.remove(path)
            return True

        return self._on_own(("dir",), remove)

    def own_symlink(self) -> bool:
        path, target = self._name(f"own-{self._me}"), self._target()
        if not self.model.free(path):
            return False
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
        self.model.add(path, ("symlink", target))
        return True

    def own_chmod(self) -> bool:
        def chmod(path: str) -> bool:
            os.chmod(path, self._chance.choice(MODES))
            return self._own_as_it_is(path)

        return self._on_own(("file",), chmod)

    def _on_own(self, kinds: tuple[str, ...], work: Callable[[str], bool]) -> bool:
        there = self.model.of(*kinds)
        return bool(there) and work(self._chance.choice(there))

    def _own_mode(self, path: str) -> int:
        return int(str(self.model.there[path][1]))

    def _own_write(self, path: str, content: bytes, mode: int) -> bool:
        with open(path, "wb") as file:
            file.write(content)
        self.model.add(path, ("file", mode, hashlib.sha256(content).hexdigest()))
        return True

    def _own_as_it_is(self, path: str) -> bool:
        facts = os.lstat(path)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        self.model.add(path, ("file", stat.S_IMODE(facts.st_mode), digest))
        return True

    # -- shared names: whatever is there

    def shared_create(self) -> bool:
        path = self._name("shared")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return self._filled(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), self._content())

    def shared_overwrite(self) -> bool:
        path, fd = self._opened()
        os.ftruncate(fd, 0)
        return self._filled(path, fd, self._content())

    def shared_append(self) -> bool:
        path, fd = self._opened()
        os.lseek(fd, 0, os.SEEK_END)
        return self._filled(path, fd, self._content()[:20])

    def shared_truncate(self) -> bool:
        """And a new beginning, so that no two contents are alike."""
        path, fd = self._opened()
        os.ftruncate(fd, self._chance.randrange(20, 100))
        return self._filled(path, fd, self._content()[:15])

    def _opened(self) -> tuple[str, int]:
        """A file that is there, to be written in place: what it holds can be seen by this writer."""
        path = self._name("shared")
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        self.seen.add(_file_hash(fd))
        return path, fd

    def _filled(self, path: str, fd: int, content: bytes) -> bool:
        try:
            os.write(fd, content)
            self.written[_file_hash(fd)] = path
        finally:
            os.close(fd)
        return True

    def shared_rename(self) -> bool:
        old, new = self._name("shared"), self._name("shared")
        if old == new:
            return False
        with _held(old) as moved:
            if moved is None or stat.S_ISDIR(os.fstat(moved).st_mode):
                return False
            self.touched.add(_hash(moved))
            with self._destroying(new) as replaced:
                _rename(old, new, 0 if replaced else _RENAME_NOREPLACE)
        return True

    def shared_rename_directory(self) -> bool:
        old, new = self._directory("shared"), self._directory("shared")
        if "/" not in old or "/" not in new:
            return False
        before = set(_beneath(old))
        os.rename(old, new)
        self.touched |= before | set(_beneath(new))
        return True

    def shared_delete(self) -> bool:
        path = self._name("shared")
        with self._destroying(path):
            os.unlink(path)
        return True

    def shared_mkdir(self) -> bool:
        os.makedirs(self._directory("shared"))
        return True

    def shared_rmdir(self) -> bool:
        path = self._directory("shared")
        if "/" not in path:
            return False
        for directory, _, names in os.walk(path, topdown=False):
            for name in names:
                with suppress(OSError), self._destroying(f"{directory}/{name}"):
                    os.unlink(f"{directory}/{name}")
            for name in os.listdir(directory):
                with suppress(OSError), self._destroying(f"{directory}/{name}"):
                    os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
        return True

    def shared_symlink(self) -> bool:
        path, target = self._name("shared"), self._target()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
        self.written[_link_hash(target)] = path
        return True

    def shared_chmod(self) -> bool:
        path = self._name("shared")
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            self.touched.add(_file_hash(fd))
            os.fchmod(fd, self._chance.choice(MODES))
        finally:
            os.close(fd)
        return True

    @contextmanager
    def _destroying(self, path: str) -> Iterator[bool]:
        """What lies at `path` goes: was it what was there a moment before? Then this writer could have seen it."""
        with _held(path) as fd:
            yield fd is not None
            if fd is None:
                return
            if os.fstat(fd).st_nlink == 0:
                self.seen.add(_hash(fd))
            else:
                self.unknown.append(path)


@contextmanager
def _held(path: str) -> Iterator[int | None]:
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _rename(old: str, new: str, flags: int) -> None:
    if _libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _hash(fd: int) -> str:
    """Of what an O_PATH descriptor leads to."""
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        return _link_hash(os.readlink("", dir_fd=fd))
    return _file_hash(fd)


def _file_hash(fd: int) -> str:
    with open(f"/proc/self/fd/{fd}", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_hash(target: str) -> str:
    return f"-> {target}"


def _beneath(directory: str) -> Iterator[str]:
    for top, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError), _held(f"{top}/{name}") as fd:
                if fd is not None:
                    yield _hash(fd)


OPERATIONS, WEIGHTS = zip(
    ("create", 22),
    ("overwrite", 20),
    ("append", 10),
    ("truncate", 4),
    ("rename", 9),
    ("rename_directory", 3),
    ("delete", 11),
    ("mkdir", 8),
    ("rmdir", 2),
    ("symlink", 4),
    ("chmod", 4),
    strict=True,
)
OWN: dict[str, Callable[[Writer], bool]] = {name: getattr(Writer, f"own_{name}") for name in OPERATIONS}
SHARED: dict[str, Callable[[Writer], bool]] = {name: getattr(Writer, f"shared_{name}") for name in OPERATIONS}


if __name__ == "__main__":
    os.umask(0o022)
    writer = Writer(sys.argv[1], sys.argv[2])
    writer.work(float(sys.argv[3]), float(sys.argv[4]))
    json.dump(writer.report(), sys.stdout)
