"""Was this volume set back to an older state? What a peer has seen of this node tells."""

from collections.abc import Iterable


def rolled_back(runs: Iterable[tuple[int, int]], max_seq: int, seen_run: int, seen_seq: int) -> bool:
    """Has a peer seen more of this epoch than this volume knows of?

    Args:
        runs: every start of this node in this epoch that the volume knows, as (run, first seq that it gave), by first
            seq.
        max_seq: the highest seq that the volume knows.
        seen_run: the run of the last that the peer has stored of this epoch.
        seen_seq: its seq.
    """
    known = list(runs)
    at = next((n for n, (run, _) in enumerate(known) if run == seen_run), None)
    if at is None:
        return True
    given = known[at + 1][1] - 1 if at + 1 < len(known) else max_seq
    return seen_seq > given
