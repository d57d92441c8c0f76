"""What became of an entry that was to land."""

import dataclasses

from sidecar.core.frames import Outcome


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


class NotDone(Exception):
    """What an entry would do is held until somebody approves it, or was rejected."""

    def __init__(self, landed: Landed) -> None:
        super().__init__(landed)
        self.landed = landed
