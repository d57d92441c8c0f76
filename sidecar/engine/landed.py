"""What became of an entry that was to land."""

import dataclasses
from typing import Final

from sidecar.core.frames import Outcome
from sidecar.core.ports import DiskFull, InUse, Unreachable

NO_SPACE: Final = "no space left on the volume: what came could not be stored"
"""Why a file did not arrive, if the disk is the reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """What became of an entry: the outcome for the peer, the hash it is asked for, and why it was held or refused."""

    outcome: Outcome
    want: bytes = b""
    hint: str = ""


def not_now(error: InUse | Unreachable | DiskFull) -> Landed:
    """What becomes of a path that could not be landed on; no reason for people for what passes by itself."""
    match error:
        case DiskFull():
            return Landed(Outcome.FULL, hint=f"{error.why}: {error.hint}")
        case Unreachable():
            return Landed(Outcome.BUSY, hint=f"{error.why}: {error.hint}")
        case InUse():
            return Landed(Outcome.BUSY)


def did_not_fit(done: Landed, full: bool) -> Landed:
    """A file that did not arrive is no torn one if its rsync ended because the disk was `full`: it is asked for again
    when there may be space, not at once."""
    return Landed(Outcome.FULL, hint=NO_SPACE) if full and done.outcome is Outcome.TORN else done


class NotDone(Exception):
    """What an entry would do is held until somebody approves it, or was rejected."""

    def __init__(self, landed: Landed) -> None:
        super().__init__(landed)
        self.landed = landed
