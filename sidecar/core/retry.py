"""What did not land goes once more: how much later, and with or without its content."""

from typing import Final

from sidecar.core.entry import Kind
from sidecar.core.frames import Answer, Outcome
from sidecar.core.item import Item

BUSY_RETRY: Final = 0.5
"""Seconds until the peer is asked again about what a local writer there had open."""
TORN_RETRY: Final = 0.01
"""Seconds until a torn file is sent again, doubled each time."""
FAILED_RETRY: Final = 0.5
"""Seconds until what a failed rsync did not bring is sent again, doubled each time: what ails it may last some."""
TROUBLE_RETRY: Final = 10.0
"""The same for what it could not do, and said why: no space, another owner."""
MOST_DOUBLINGS: Final = 10
"""Of such a wait: then it is as long as that for trouble."""


def put_off(item: Item, answer: Answer, now: float, *, carried: bool) -> bool:
    """It goes once more, not before its time (`now` in monotonic seconds); did what came arrive torn?

    So did a losing head's bytes if they are wanted again: what was read where they lay was being written. `carried`:
    its rsync has seen to every file of the batch.
    """
    is_torn = answer.outcome is Outcome.TORN or (answer.outcome is Outcome.WANT and item.want == answer.hash != b"")
    item.want, item.not_before, item.busy = b"", 0.0, False
    match answer.outcome:
        case Outcome.WANT:
            item.want, item.came_from = answer.hash, None
            item.stage = item.kind is Kind.FILE and not answer.hash
        case Outcome.BUSY:
            item.busy = True
            item.not_before = now + (TROUBLE_RETRY if answer.hint else BUSY_RETRY)
            item.stage = False  # it asks for the content when it can take it
        case Outcome.FULL:
            item.not_before, item.stage = now + TROUBLE_RETRY, False  # its round waits
        case _:
            pass
    if is_torn and carried:
        item.tries += 1
        item.not_before = now + _doubled(TORN_RETRY, item.tries)
    elif is_torn:
        item.not_before = now + _doubled(FAILED_RETRY, item.failures)
        item.failures += 1
    return is_torn


def _doubled(wait: float, doublings: int) -> float:
    return min(TROUBLE_RETRY, wait * 2.0 ** min(doublings, MOST_DOUBLINGS))
