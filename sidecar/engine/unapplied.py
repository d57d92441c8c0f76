"""What peers sent and this node could not do: listed until it could."""

from typing import Final

import structlog

from sidecar.core.paths import RelPath

log = structlog.get_logger(__name__)

MOST: Final = 10_000
"""Paths that are remembered, a hundred times what a status lists."""


class Unapplied:
    """Which paths they are, each with its hint."""

    def __init__(self) -> None:
        self.paths: dict[RelPath, str] = {}

    def tried(self, path: RelPath, hint: str) -> None:
        """What came for `path` was not applied, and why; "": it was, or comes again by itself."""
        if not hint:
            self.paths.pop(path, None)
            return
        if path not in self.paths and len(self.paths) >= MOST:
            return
        if self.paths.get(path) != hint:
            log.warning("a path of a peer is not applied", path=path, hint=hint)
        self.paths[path] = hint
