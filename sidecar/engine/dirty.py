"""The paths that events marked: collected while others are worked on, each once, in the order of their last event."""

import dataclasses
import time

from sidecar.core.paths import RelPath


@dataclasses.dataclass(slots=True)
class Dirty:
    """Paths to look at; those that could not be looked at yet come back when they are due."""

    paths: dict[RelPath, None] = dataclasses.field(default_factory=dict)
    later: dict[RelPath, float] = dataclasses.field(default_factory=dict)
    """when a path that was being written is due again (monotonic seconds)"""

    def mark(self, path: RelPath) -> None:
        """An event named `path`: what it may lead to was named before it, so it goes to the end."""
        self.later.pop(path, None)
        self.paths.pop(path, None)
        self.paths[path] = None

    def take(self) -> list[RelPath]:
        """All marked paths; they are no longer marked."""
        taken, self.paths = list(self.paths), {}
        return taken

    def put_off(self, path: RelPath, seconds: float) -> None:
        """`path` is looked at again after `seconds`, or at its next event; not later than was said before."""
        due = time.monotonic() + seconds
        if path not in self.paths:
            self.later[path] = min(due, self.later.get(path, due))

    def wake_due(self) -> None:
        """Mark what was put off and is due."""
        now = time.monotonic()
        for path in [path for path, at in self.later.items() if at <= now]:
            self.mark(path)
