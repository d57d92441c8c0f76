"""What is done when a commit is there, and only then."""

import pytest

from sidecar.index.store import Index


def test_it_is_done_after_the_outermost_commit(index: Index) -> None:
    done: list[str] = []
    with index.transaction():
        with index.transaction():
            index.after_commit(lambda: done.append("inner"))
        index.after_commit(lambda: done.append("outer"))
        assert [] == done
    assert ["inner", "outer"] == done


def undone(index: Index, done: list[str]) -> None:
    with index.transaction():
        index.after_commit(lambda: done.append("undone"))
        raise LookupError


def test_it_is_never_done_for_what_is_undone(index: Index) -> None:
    done: list[str] = []
    with index.transaction():
        index.after_commit(lambda: done.append("kept"))
        with pytest.raises(LookupError):
            undone(index, done)
    assert ["kept"] == done
    with pytest.raises(LookupError):
        undone(index, done)
    with index.transaction():
        pass
    assert ["kept"] == done


def test_it_is_done_at_once_outside_a_transaction(index: Index) -> None:
    done: list[str] = []
    index.after_commit(lambda: done.append("now"))
    assert ["now"] == done
