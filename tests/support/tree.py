"""A web root as a test compares it: path, kind, mode, size, hash, mtime, target; not directory times, owners, links.

The standard library alone: it also runs inside a container, by its source. As a script it prints the trees of the
directories that it is given, as JSON.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

Facts = tuple[object, ...]
Tree = dict[str, Facts]

STATE = ".sidecar"
"""At the top of a web root this is the sidecar's own."""


def tree_of(root: str | Path) -> Tree:
    """Everything that is replicated of a web root; what goes away meanwhile is left out."""
    found: Tree = {}
    top = os.fsencode(root)
    for directory, names, leaves in os.walk(top):
        if directory == top and os.fsencode(STATE) in names:
            names.remove(os.fsencode(STATE))
        for name in (*names, *leaves):
            path = os.path.join(directory, name)
            try:
                found[os.fsdecode(os.path.relpath(path, top))] = _facts(path)
            except FileNotFoundError:
                continue
    return found


def differences(one: Tree, other: Tree) -> list[str]:
    """A line for each path that is not the same in both."""
    return [
        f"{path!r}: {one.get(path, 'missing')}, {other.get(path, 'missing')}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def read(printed: bytes) -> list[Tree]:
    """What the script printed."""
    return [{path: tuple(facts) for path, facts in tree.items()} for tree in json.loads(printed)]


def _facts(path: bytes) -> Facts:
    stat = os.lstat(path)
    if os.path.islink(path):
        return ("symlink", os.fsdecode(os.readlink(path)), stat.st_mtime_ns)
    if os.path.isdir(path):
        return ("dir", stat.st_mode & 0o7777)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ("file", stat.st_mode & 0o7777, stat.st_size, digest, stat.st_mtime_ns)


if __name__ == "__main__":
    json.dump([tree_of(directory) for directory in sys.argv[1:]], sys.stdout)
