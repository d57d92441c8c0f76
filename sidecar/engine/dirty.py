"""The paths that events marked: collected while others are worked on, each once, in the order of their first event."""

import dataclasses
import time

from sidecar.core.paths import RelPath


@dataclasses.dataclass(slots=True)
class Dirty:
    """Paths to look at; those that could not be looked at yet come back when they are due."""

    paths: dict[RelPath, float] = dataclasses.field(default_factory=dict)
    """when the path was marked first (monotonic seconds)"""
    later: dict[RelPath, float] = dataclasses.field(default_factory=dict)
    """when a path that was being written is due again"""

    def mark(self, path: RelPath) -> None:
        """An event named `path`."""
        self.later.pop(path, None)
        self.paths.setdefault(path, time.monotonic())

    def take(self, limit: int) -> list[RelPath]:
        """The oldest `limit` paths; they are no longer marked."""
        taken = [path for path, _ in zip(self.paths, range(limit), strict=False)]
        for path in taken:
            del self.paths[path]
        return taken

    def put_off(self, path: RelPath, seconds: float) -> None:
        """`path` is looked at again after `seconds`, or at its next event."""
        self.later[path] = time.monotonic() + seconds

    def wake_due(self) -> None:
        """Mark what was put off and is due."""
        now = time.monotonic()
        for path in [path for path, at in self.later.items() if at <= now]:
            self.mark(path)

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest marked path was marked; 0 if none is."""
        first = next(iter(self.paths.values()), None)
        return time.monotonic() - first if first is not None else 0.0
