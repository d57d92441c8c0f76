"""Who is waited for before what was found is this node's own."""

from sidecar.engine.offers import Finding


def test_every_peer_is_waited_for_until_it_has_offered_everything() -> None:
    finding = Finding("b", ["a", "c"])
    assert ["a", "c"] == finding.waits_for()
    finding.offered.add("a")
    assert ["c"] == finding.waits_for()


def test_of_new_nodes_the_smaller_name_goes_first() -> None:
    finding = Finding("b", ["a", "c"], new={"a": True, "c": True})
    assert ["a"] == finding.waits_for()


def test_a_peer_is_the_last_when_no_other_is_waited_for() -> None:
    finding = Finding("b", ["a", "c"])
    assert not finding.last("a")
    finding.offered.add("c")
    assert finding.last("a")
    assert not finding.last("c"), "a is still to come"
