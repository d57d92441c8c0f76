"""What became of an entry that was to land."""

import dataclasses

from sidecar.core.frames import Outcome
from sidecar.core.ports import DiskFull, InUse, Unreachable


def nothing_is_rejected() -> bool:
    """Of what is held, nothing was rejected."""
    return False


def nothing_is_held(_size: int, _held: bool) -> str:
    """Whatever is deleted or replaced, nobody is asked."""
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """What became of an entry: the outcome for the peer, the hash it is asked for, and why it was held or refused."""

    outcome: Outcome
    want: bytes = b""
    hint: str = ""


def hint_of(error: InUse | Unreachable | DiskFull) -> str:
    """Why a path could not be landed on, for people; "" for what passes by itself."""
    if isinstance(error, Unreachable):
        return f"{error.why}: {error.hint}"
    return "no space left on the volume" if isinstance(error, DiskFull) else ""


class NotDone(Exception):
    """What an entry would do is held until somebody approves it, or was rejected."""

    def __init__(self, landed: Landed) -> None:
        super().__init__(landed)
        self.landed = landed
