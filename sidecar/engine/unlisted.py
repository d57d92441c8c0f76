"""Directories that cannot be listed: what lies in them is not seen, so none of it is sent, and none of it is gone.

An event or a scan meets them. They are looked at again with their next event, and at every poll; one that can be listed
by then is scanned with everything else, as nobody knows what happened in it meanwhile.
"""

import errno
import os
from collections.abc import Callable, Mapping

import structlog

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath, beneath
from sidecar.core.ports import Unreachable
from sidecar.fs.faults import Denied, Missing
from sidecar.fs.root import WebRoot
from sidecar.fs.tree import DIRECTORY
from sidecar.fs.walk import directory

log = structlog.get_logger(__name__)


class Unlisted:
    """Which they are, each with why.

    Args:
        scan_soon: called when one of them can be listed again.
    """

    def __init__(self, root: WebRoot, excluded: Callable[[RelPath, bool], bool], scan_soon: Callable[[], None]) -> None:
        self._root = root
        self._excluded = excluded
        self._scan_soon = scan_soon
        self._before: frozenset[RelPath] = frozenset()
        self.paths: dict[RelPath, Unreachable] = {}

    def looked_at(self, path: RelPath, stat: Stat | None) -> None:
        """This lies at `path` now."""
        if stat is None or stat.kind is not Kind.DIR:
            self._left(path)
        elif path in self.paths:
            self._look_again(path)
        elif (refused := self._entered(path)) is not None:
            self.add({path: refused})

    def look_again(self) -> None:
        """Can any of them be listed by now?"""
        for path in tuple(self.paths):
            self._look_again(path)

    def add(self, refused: Mapping[RelPath, Denied]) -> None:
        """These could not be listed."""
        for path, error in refused.items():
            why = f"cannot be listed, what lies in it is not sent: {os.strerror(error.errno)}"
            hint = error.hint
            if error.errno in (errno.EACCES, errno.EPERM):
                hint = f"let UID {os.geteuid()} read and enter it: chown it, or chmod u+rx; or exclude it"
            if path not in self.paths:
                log.warning("a directory cannot be listed", path=path, why=os.strerror(error.errno), hint=hint)
            self.paths[path] = Unreachable(path, why, hint)

    def scan_begins(self) -> None:
        """What a scan lists from now on is known."""
        self._before = frozenset(self.paths)

    def scan_ended(self, refused: Mapping[RelPath, Denied]) -> None:
        """A scan could not list these, and what it saw in the others has rows."""
        for path in self._before - refused.keys():
            if self._entered(path) is None:
                self.paths.pop(path, None)
        self.add(refused)

    def _look_again(self, path: RelPath) -> None:
        try:
            stat = self._root.lstat(path)
        except Denied:
            return
        if stat is None or stat.kind is not Kind.DIR:
            self._left(path)
        elif self._entered(path) is None and all(
            part.refused is None for part in directory(self._root, self._excluded, path)
        ):
            self._scan_soon()

    def _left(self, path: RelPath) -> None:
        for one in tuple(self.paths):
            if one == path or beneath(one, path):
                del self.paths[one]

    def _entered(self, path: RelPath) -> Denied | None:
        """Opens the directory for reading, and passes it; why not, if it is there and cannot be."""
        try:
            with self._root.directory(path + b"/." if path else b".", DIRECTORY):
                return None
        except Missing:
            return None
        except Denied as refused:
            return refused
