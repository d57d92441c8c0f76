"""What a peer has seen proves that a volume was set back, or that it was not."""

import pytest

from sidecar.core.rollback import rolled_back

RUNS = [(11, 1), (22, 100), (33, 200)]


@pytest.mark.parametrize(
    ("set_back", "seen_run", "seen_seq", "why"),
    [
        (False, 33, 250, "it has seen the last that there is"),
        (False, 33, 180, "it has seen the run before it gave anything"),
        (False, 22, 199, "it has seen all of an earlier run"),
        (True, 33, 251, "it has seen more of this run than there is"),
        (True, 22, 200, "it has seen more of an earlier run than that gave before the next"),
        (True, 44, 10, "it has seen a run that this volume does not know"),
    ],
)
def test_a_peer_that_saw_more_proves_it(set_back: bool, seen_run: int, seen_seq: int, why: str) -> None:
    assert set_back is rolled_back(RUNS, 250, seen_run, seen_seq), why


def test_an_epoch_without_runs_was_never_seen() -> None:
    assert rolled_back([], 0, 11, 0)
