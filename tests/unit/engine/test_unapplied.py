"""What a peer sent and this node could not do is listed until it could, and a peer cannot fill the memory with it."""

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine.unapplied import Unapplied

PAGE, OTHER = RelPath(b"page"), RelPath(b"other")


def test_a_path_is_listed_with_its_last_hint_until_it_is_applied() -> None:
    unapplied = Unapplied()
    unapplied.tried(PAGE, "another owner")
    unapplied.tried(PAGE, "no space")
    unapplied.tried(OTHER, "")
    assert {PAGE: "no space"} == unapplied.paths
    unapplied.tried(PAGE, "")
    assert not unapplied.paths


def test_no_more_than_a_number_of_them_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.unapplied.MOST", 2)
    unapplied = Unapplied()
    for number in range(3):
        unapplied.tried(RelPath(b"%d" % number), "no space")
    unapplied.tried(RelPath(b"0"), "another owner")
    assert {b"0": "another owner", b"1": "no space"} == unapplied.paths
