"""What fs raises of a path becomes what the engine's port says of it, in one place."""

from types import TracebackType

from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, Missing, NotEmpty, Surprise, Unreachable
from sidecar.fs import faults
from sidecar.fs.root import WebRoot


class translated:  # noqa: N801 - `with translated(root, path)` is read as a word, not as a class
    """`with translated(root, path):` raises what `core.ports.Disk` may raise of that path."""

    __slots__ = ("_path", "_root")

    def __init__(self, root: WebRoot, path: RelPath) -> None:
        self._root = root
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        match error:
            case None:
                return
            case faults.NotEmpty():
                raise NotEmpty from error
            case faults.Unstaged():
                raise Missing from error
            case faults.Raced():
                self._root.let_go()  # a directory on the way may be another one by now
                raise Surprise from error
            case faults.NoSpace():
                raise DiskFull("no space left on the volume", error.hint) from error
            case faults.ReadOnly():
                raise DiskFull("the volume is read-only", error.hint) from error
            case faults.Denied() | faults.Special():
                raise Unreachable(self._path, str(error), error.hint) from error
