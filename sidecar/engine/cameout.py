"""A directory that an exchange took out of the root, with all that was in it: it lies in the inbox until it is kept."""

import dataclasses
from collections.abc import Callable

from sidecar.core import paths
from sidecar.core.entry import Kind
from sidecar.core.paths import RelPath
from sidecar.core.ports import Beneath, InUse, Surprise
from sidecar.errors import GeorootError
from sidecar.fs import keep
from sidecar.fs.root import WebRoot
from sidecar.fs.stats import same


def expect_closed(root: WebRoot, beneath: Beneath) -> None:
    """Before the exchange: nobody has one of these files of the root open for writing.

    Raises:
        InUse: somebody has.
    """
    for path, out in beneath.items():
        if out.stat.kind is Kind.FILE and root.is_open_for_writing(path):
            raise InUse(path)


@dataclasses.dataclass(frozen=True, slots=True)
class CameOut:
    """What was at `path` lies in the inbox as `name`; `beneath` tells what must be in it, by its path in the root,
    beside what is `excluded`."""

    root: WebRoot
    name: RelPath
    path: RelPath
    beneath: Beneath
    excluded: Callable[[RelPath, bool], bool]

    def _check(self) -> None:
        """Was it, to the moment of the exchange, as it was looked at before?"""
        if self._seen_in(self.path) != len(self.beneath):
            raise Surprise
        for path, out in self.beneath.items():
            if out.stat.kind is Kind.FILE and self.root.inbox.is_open_for_writing(self._at(path)):
                raise InUse(path)

    def _seen_in(self, directory: RelPath) -> int:
        seen = 0
        for leaf, stat in self.root.inbox.listdir(self._at(directory)).entries:
            path = paths.join(directory, leaf)
            known = self.beneath.get(path)
            if known is not None and same(stat, known.stat):
                seen += 1 + (self._seen_in(path) if stat.kind is Kind.DIR else 0)
            elif known is not None or not self.excluded(path, stat.kind is Kind.DIR):
                raise Surprise
        return seen

    def to_trash(self, fresh: Callable[[], RelPath]) -> dict[RelPath, RelPath]:
        """Each file and symlink goes to the trash by itself, then the directory with what is excluded in it; the names
        there, by path. If one cannot, all lie in the inbox again.

        Raises:
            Surprise: a local writer was faster than the exchange. InUse: one still has a file of it open.
            Denied, NoSpace, ReadOnly.
        """
        self._check()
        moved = dict[RelPath, RelPath]()
        try:
            for path in [path for path, out in self.beneath.items() if out.stat.kind is not Kind.DIR]:
                moved[path] = self._moved(path, fresh())
            moved[self.path] = self._moved(self.path, fresh())
            self.root.inbox.let_go()
        except GeorootError:
            for path, name in moved.items():
                keep.back_to_inbox(self.root, name, self._at(path))
            raise
        return moved

    def _moved(self, path: RelPath, trash_name: RelPath) -> RelPath:
        keep.out_to_trash(self.root, self._at(path), trash_name)
        return trash_name

    def _at(self, path: RelPath) -> RelPath:
        return RelPath(self.name + path[len(self.path) :])
