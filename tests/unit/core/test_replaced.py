"""What of a batch lands in one step: a directory that stops being one, with the deletions beneath it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import replaced
from sidecar.core.entry import Head
from sidecar.core.frames import Entry
from tests.unit.core.facts import deleted, directory, file, path, symlink, version


def batch(**shown: Head) -> list[Entry]:
    """Entries by path; `__` stands for a slash."""
    return [Entry(path(name.replace("__", "/")), version(head)) for name, head in shown.items()]


@pytest.mark.parametrize(
    ("entries", "together"),
    [
        (batch(d__x=deleted(1), d=symlink(1)), {1: (0,)}),
        (batch(d__x__y=deleted(1), d__x=deleted(1), e=file(1), d=file(1)), {3: (0, 1)}),
        (batch(d__x=deleted(1), d=deleted(1)), {}),
        (batch(d__x=deleted(1), d=directory(1)), {}),
        (batch(d=symlink(1), d__x=deleted(1)), {}),
        (batch(d__x=file(1), d=symlink(1)), {}),
        (batch(dx=deleted(1), d=symlink(1)), {}),
        (batch(d__x=deleted(1), d__y__z=deleted(1), d__y=symlink(1), d=symlink(1)), {3: (0, 1)}),
    ],
)
def test_what_lands_together(entries: list[Entry], together: dict[int, tuple[int, ...]]) -> None:
    assert together == replaced.replaced(entries)


def test_too_many_land_path_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaced, "MOST", 1)
    assert {} == replaced.replaced(batch(d__x=deleted(1), d__y=deleted(1), d=symlink(1)))


def test_what_leaves_with_its_directory_gives_its_bytes_to_no_rename() -> None:
    entries = batch(d__x=deleted(1), d=symlink(1), y=deleted(1))
    tombstones = {entries[at].path: entries[at] for at in (0, 2)}
    assert [path("y")] == list(replaced.moving(tombstones, entries, replaced.replaced(entries)))


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=5)


@given(st.integers(0, 60), st.integers(1, 10), SPANS)
def test_slices_hold_everything_once_in_order_and_cut_nothing_apart(
    count: int, size: int, spans: list[tuple[int, int]]
) -> None:
    together = {first + length: (first,) for first, length in spans if first + length < count}
    slices = list(replaced.slices(count, size, together))
    assert [*range(count)] == [at for part in slices for at in part]
    for by, (first, *_) in together.items():
        assert any(first in part and by in part for part in slices)
    assert all(len(part) >= min(size, count) or part is slices[-1] for part in slices)
