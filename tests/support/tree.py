"""A web root as a test compares it: path, kind, mode, size, hash, mtime, target; not directory times, owners, links.

The standard library alone: it also runs inside a container, by its source. As a script it prints the trees of the
directories that it is given, as JSON.
"""

import errno
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

Facts = tuple[object, ...]
Tree = dict[str, Facts]

STATE = ".sidecar"
"""At the top of a web root this is the sidecar's own."""
CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)
"""What the system says of a name that is gone, or is of another kind than a moment ago."""


def tree_of(root: str | Path) -> Tree:
    """Everything that is replicated of a web root; what goes away or changes its kind meanwhile is left out."""
    found: Tree = {}
    top = os.fsencode(root)
    for directory, names, leaves in os.walk(top):
        if directory == top and os.fsencode(STATE) in names:
            names.remove(os.fsencode(STATE))
        for name in (*names, *leaves):
            path = os.path.join(directory, name)
            try:
                found[os.fsdecode(os.path.relpath(path, top))] = _facts(path)
            except OSError as error:
                if error.errno not in CHANGED:
                    raise
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
    seen = os.lstat(path)
    if stat.S_ISLNK(seen.st_mode):
        return ("symlink", os.fsdecode(os.readlink(path)), seen.st_mtime_ns)
    if stat.S_ISDIR(seen.st_mode):
        return ("dir", seen.st_mode & 0o7777)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ("file", seen.st_mode & 0o7777, seen.st_size, digest, seen.st_mtime_ns)


if __name__ == "__main__":
    json.dump([tree_of(directory) for directory in sys.argv[1:]], sys.stdout)
