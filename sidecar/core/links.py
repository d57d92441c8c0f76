"""Where a symlink leads inside the web root, as far as the index knows it: nothing here looks at the disk."""

from collections.abc import Callable
from typing import Final

from sidecar.core import paths
from sidecar.core.paths import ROOT, RelPath

MAX_HOPS: Final = 40
"""As many symlinks as the kernel follows before it says ELOOP."""


class Resolver:
    """Follows symlink targets lexically.

    Args:
        link_at: the target of the symlink at a path, None where there is none.
        served_at: the web root as the web server names it, e.g. b"/var/www/html": absolute targets beneath it are
            inside; b"" if there is no such name.
    """

    def __init__(self, link_at: Callable[[RelPath], bytes | None], served_at: bytes = b"") -> None:
        self._link_at = link_at
        self._served_at = served_at.rstrip(b"/")

    def targets(self, link: RelPath, target: bytes) -> list[RelPath] | None:
        """Every path that must be there for `link` -> `target` to lead somewhere: the symlinks passed on the way and
        the last path. None if it leaves the web root or turns in a ring."""
        passed: list[RelPath] = []
        at, rest = self._start(link, target)
        hops = 0
        while rest:
            part = rest.pop(0)
            if part in (b"", b"."):
                continue
            if part == b"..":
                if at == ROOT:
                    return None
                at = paths.parent(at)
                continue
            at = paths.join(at, part)
            if at == link:
                return None
            onward = self._link_at(at)
            if onward is not None:
                passed.append(at)
                hops += 1
                if hops > MAX_HOPS:
                    return None
                at, more = self._start(at, onward)
                rest = more + rest
        return None if rest else [*passed, at]

    def leads_over(self, link: RelPath) -> list[RelPath]:
        """The `targets` of the symlink that the index has at `link`; none if it has none there, or one that leaves."""
        target = self._link_at(link)
        return [] if target is None else self.targets(link, target) or []

    def _start(self, link: RelPath, target: bytes) -> tuple[RelPath, list[bytes]]:
        if not target.startswith(b"/"):
            return paths.parent(link), target.split(b"/")
        if self._served_at and (target + b"/").startswith(self._served_at + b"/"):
            return ROOT, target[len(self._served_at) :].split(b"/")
        return ROOT, [b".."]

    def leaves(self, link: RelPath, target: bytes) -> bool:
        """Does the symlink lead out of the web root (a ring does not)?

        Judged without following other symlinks: each of those is judged by itself.
        """
        if target.startswith(b"/"):
            inside = self._served_at and (target + b"/").startswith(self._served_at + b"/")
            if not inside:
                return True
            level, parts = 0, target[len(self._served_at) :].split(b"/")
        else:
            level, parts = paths.depth(link), target.split(b"/")
        for part in parts:
            if part == b"..":
                level -= 1
            elif part not in (b"", b"."):
                level += 1
            if level < 0:
                return True
        return False
