"""The holds of a simulated node: the engine's own, over notes in memory and the clock of the simulation."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Final, cast

from sidecar.engine.holds import Holds
from sidecar.engine.status import HoldKind
from sidecar.index.store import Index
from tests.support.memory_index import MemoryIndex

PLENTY: Final = 1 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What is held: so many paths and most of the tree that a scan finds gone, so many changes of a peer and most of
    the tree, what does not fit in so many bytes of trash."""

    scan: int = PLENTY
    changes: int = PLENTY
    trash: int = PLENTY


UNLIMITED: Final = Limits()


@dataclasses.dataclass(slots=True)
class Notes:
    """The file that tells the next start what is held."""

    held: bytes = b"[]"


class SimHolds(Holds):
    """Holds without a file and without a clock of their own."""

    def __init__(
        self,
        index: MemoryIndex,
        notes: Notes,
        limits: Limits,
        peers: Iterable[str],
        seconds: Callable[[], float],
        trash_bytes: Callable[[], int],
        released: Callable[[HoldKind], None],
    ) -> None:
        self._notes = notes
        super().__init__(
            cast(Index, index),
            "",
            regions=peers,
            scan_limit=limits.scan,
            change_limit=limits.changes,
            trash_room=lambda size: trash_bytes() + size <= limits.trash,
            released=released,
            monotonic=seconds,
        )

    def _note(self, held: bytes) -> None:
        self._notes.held = held

    def _noted(self) -> bytes:
        return self._notes.held
