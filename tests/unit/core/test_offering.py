"""What one peer is offered, in rounds: content, then what leads there, then what goes."""

import pytest

from sidecar.core import offering, order
from sidecar.core.frames import Answer, Lane, Outcome
from sidecar.core.retry import BUSY_RETRY, TROUBLE_RETRY
from tests.unit.core.facts import deleted, directory, file, symlink
from tests.unit.core.sender import LARGE, Sender


def test_offers_come_in_three_rounds_each_settled_before_the_next() -> None:
    sender = Sender()
    sender.offer("gone", deleted(1))
    sender.offer("current", symlink(1))
    sender.offer("d", directory(1))
    sender.offer("d/f", file(1))
    rounds = []
    for _ in range(3):
        rounds.append(sender.offers())
        assert [] == sender.offers(), "the round is not settled"
        sender.settled(Lane.OFFER, rest=Outcome.KNOWN)
    assert [["d", "d/f"], ["current"], ["gone"]] == rounds
    assert sender.box.idle


def test_a_round_goes_in_batches_that_do_not_wait_for_one_another() -> None:
    sender = Sender()
    for name in "abc":
        sender.offer(name, file(1))
    assert [["a", "b"], ["c"], []] == [sender.offers(limit=2) for _ in range(3)]


def test_a_round_is_not_over_before_what_was_wanted_is_there() -> None:
    sender = Sender()
    sender.offer("f", file(1))
    sender.offer("current", symlink(1))
    sender.offers()
    sender.settled(Lane.OFFER, rest=Outcome.WANT)
    assert [] == sender.offers()
    sender.small()
    assert [] == sender.offers()
    sender.settled()
    assert ["current"] == sender.offers()


def test_offered_deletions_go_deepest_first() -> None:
    sender = Sender()
    for name in ("a", "a/b", "c", "a/b/c"):
        sender.offer(name, deleted(1))
    assert ["a/b/c", "a/b"] == sender.offers(limit=2)
    assert {"a", "c"} == set(sender.offers(limit=2))


def test_the_offered_deletion_of_a_directory_leans_on_those_of_what_was_in_it() -> None:
    sender = Sender()
    for name in ("d/x", "d/y", "d", "e"):
        sender.offer(name, deleted(1))
    assert [("d/x", 0)] == sender.offers_leaning(limit=1)
    assert {("d/y", 0), ("d", 1), ("e", 0)} == set(sender.offers_leaning())


def test_the_offered_deletion_of_a_directory_waits_for_what_the_peer_has_open_in_it() -> None:
    sender = Sender()
    for name in ("d/log", "d", "e"):
        sender.offer(name, deleted(1))
    assert ["d/log"] == sender.offers(limit=1)
    sender.told(Answer(0, Outcome.BUSY), lane=Lane.OFFER, now=0.0)
    assert ["e"] == sender.offers()
    assert [] == sender.small(now=0.0)
    sender.settled(Lane.OFFER)
    assert sender.box.all_offered, "who waits for all offers does not wait for it"
    assert ["d/log", "d"] == sender.small(now=BUSY_RETRY)


def test_nobody_waits_for_a_directory_that_came_back_with_what_the_peer_has_open_in_it() -> None:
    sender = Sender()
    for name in ("d/e/log", "d/e", "d"):
        sender.offer(name, deleted(1))
    assert ["d/e/log", "d/e", "d"] == sender.offers()
    busy, again = Answer(0, Outcome.BUSY), [Answer(index, Outcome.AGAIN) for index in (1, 2)]
    sender.told(busy, *again, lane=Lane.OFFER, now=0.0)
    assert ([], True) == (sender.small(now=0.0), sender.box.all_offered)
    assert ["d/e/log", "d/e", "d"] == sender.small(now=BUSY_RETRY)


def test_the_offered_deletion_of_a_directory_goes_with_those_of_what_was_in_it_that_go_live() -> None:
    sender = Sender()
    sender.offer("d", deleted(1))
    sender.offer("d/x", deleted(1))
    sender.delete("d/y")
    assert ["d/x"] == sender.offers()
    sender.settled(Lane.OFFER)
    assert [] == sender.offers()
    assert ["d/y", "d"] == sender.small()


def test_deletions_are_not_offered_before_a_symlink_that_goes_live_is_there() -> None:
    sender = Sender()
    sender.offer("gone", deleted(1))
    sender.link("current", "r")
    assert [] == sender.offers()
    sender.small()
    assert [] == sender.offers()
    sender.settled()
    assert ["gone"] == sender.offers()


def test_offered_deletions_wait_for_no_file_that_goes_live() -> None:
    sender = Sender()
    sender.offer("gone", deleted(1))
    sender.file("f")
    assert ["gone"] == sender.offers()


def test_a_symlink_that_became_a_file_holds_no_deletion_up() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.file("current")
    sender.offer("gone", deleted(1))
    assert ["gone"] == sender.offers()


def test_a_large_file_that_was_offered_and_wanted_goes_in_its_lane() -> None:
    sender = Sender()
    sender.offer("large", file(1, size=LARGE))
    sender.offers()
    sender.settled(Lane.OFFER, rest=Outcome.WANT)
    assert ([], ("large", Lane.LARGE)) == (sender.small(), sender.alone())


def test_what_replaces_a_directory_is_not_offered_before_all_that_was_in_it() -> None:
    sender = Sender()
    sender.offer("d", file(1))
    sender.offer("d/x", deleted(1))
    sender.offer("f", file(1))
    sender.offer("current", symlink(1))
    for name in ("f", "current"):
        assert ([name], []) == (sender.offers(), sender.small())
        sender.settled(Lane.OFFER, rest=Outcome.KNOWN)
    assert [] == sender.offers()
    assert ["d/x", "d"] == sender.small()


def test_a_file_that_once_replaced_a_directory_goes_without_content_until_the_peer_asks_for_it() -> None:
    sender = Sender()
    sender.offer("d", file(1))
    sender.offer("d/x", deleted(1))
    assert [] == sender.offers()
    assert (["d/x", "d"], []) == (sender.small(), sender.with_content())
    sender.told(Answer(0, Outcome.AGAIN), Answer(1, Outcome.WANT))
    assert (["d/x", "d"], ["d"]) == (sender.small(), sender.with_content())


def test_a_file_that_replaces_a_directory_path_by_path_brings_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (offering, order):
        monkeypatch.setattr(module, "MOST", 1)
    sender = Sender()
    for name in ("d/x", "d/y", "e/x"):
        sender.offer(name, deleted(1))
    for name in "de":
        sender.offer(name, file(1))
    assert [] == sender.offers()
    sender.small()
    assert ["d"] == sender.with_content()


def test_what_was_in_a_directory_is_not_offered_without_what_replaces_it() -> None:
    sender = Sender()
    sender.offer("d/x", deleted(1))
    sender.offer("gone", deleted(1))
    sender.file("d")
    assert ["gone"] == sender.offers()
    assert ["d/x", "d"] == sender.small()


def test_a_symlink_that_leads_over_what_replaces_a_directory_is_sent_after_that() -> None:
    sender = Sender()
    sender.offer("current", symlink(1, target="d"))
    sender.offer("d", symlink(1, target="e"))
    sender.offer("d/x", deleted(1))
    sender.offer("gone", deleted(1))
    assert [] == sender.offers()
    assert ["d/x", "d", "current"] == sender.small()
    assert [] == sender.offers()
    sender.settled(Lane.SMALL)
    assert ["gone"] == sender.offers()


def test_a_symlink_waits_for_what_replaces_a_directory_here_meanwhile() -> None:
    sender = Sender()
    sender.offer("current", symlink(1, target="d"))
    sender.offer("d/x", deleted(1))
    sender.link("d", "e")
    assert [] == sender.offers()
    assert ["d/x", "d", "current"] == sender.small()


def test_a_directory_that_changed_again_is_offered_before_what_lies_in_it() -> None:
    sender = Sender()
    sender.offer("d/x", file(1))
    sender.offer("d", directory(1))
    assert ["d", "d/x"] == sender.offers(limit=1)


def test_what_is_in_a_directory_is_not_offered_before_the_directory_that_goes_live() -> None:
    """A symlink that had to wait left the directory it leads to behind among what goes live: a peer made it itself."""
    sender = Sender()
    for name, head in (("d", directory(1)), ("d/e", directory(1)), ("d/e/x", file(1)), ("y", file(1))):
        sender.offer(name, head)
    assert ["d"] == sender.offers(limit=1)
    sender.link("current", "d/e")
    assert [] == sender.small()
    assert ["y"] == sender.offers(limit=2)
    sender.told(Answer(0, Outcome.KNOWN), lane=Lane.OFFER)
    assert [] == sender.offers()
    sender.box.answered(Lane.OFFER, 1, Outcome.KNOWN, (), 0.0)
    assert ["d/e", "d/e/x", "current"] == sender.small()


def test_what_is_in_a_directory_is_not_offered_while_the_directory_is_in_flight() -> None:
    sender = Sender()
    sender.dir("d")
    sender.offer("d/x", file(1))
    sender.offer("d/current", symlink(1, target="x"))
    assert [] == sender.offers()
    assert ["d"] == sender.small()
    assert [] == sender.offers()
    sender.settled()
    assert ["d/x"] == sender.offers()
    sender.settled(Lane.OFFER)
    sender.dir("d")
    assert [] == sender.offers()
    sender.small()
    sender.told(Answer(0, Outcome.BUSY))
    assert ["d/current"] == sender.offers()


def test_a_symlink_is_not_offered_before_another_whose_directory_goes_live() -> None:
    sender = Sender()
    sender.offer("current", symlink(1, target="d/latest"))
    sender.offer("d/latest", symlink(1, target="x"))
    sender.dir("d")
    assert [] == sender.offers(limit=1)
    assert ["d"] == sender.small()
    sender.settled()
    assert ["d/latest", "current"] == sender.offers(limit=1)


def test_symlinks_are_offered_after_those_that_they_lead_over() -> None:
    sender = Sender()
    sender.offer("current", symlink(1, target="a"))
    sender.offer("a", symlink(1, target="b"))
    sender.offer("b/in", symlink(1, target="c"))
    assert ["b/in", "a", "current"] == sender.offers(limit=1)


def test_what_was_written_before_it_was_offered_counts_in_its_round() -> None:
    sender = Sender(loaded=False)
    sender.file("a")
    sender.offer("a", file(2))
    sender.offer("current", symlink(1, target="a"))
    sender.box.offers_loaded(0)
    assert [] == sender.offers()
    assert ["a"] == sender.small()
    sender.settled(Lane.SMALL)
    assert ["current"] == sender.offers()


def test_what_is_offered_waits_while_its_directory_goes_live() -> None:
    sender = Sender()
    sender.offer("a", directory(1))
    sender.offer("a/f", file(1))
    sender.offer("f", file(1))
    sender.dir("a")  # its mode has changed
    assert ["f"] == sender.offers(limit=1)
    sender.settled(Lane.OFFER)
    assert (["a"], []) == (sender.small(), sender.offers())
    sender.settled()
    assert ["a/f"] == sender.offers()


def test_what_is_offered_does_not_wait_for_the_bytes_of_a_version_that_lost_to_its_directory() -> None:
    sender = Sender()
    sender.dir("a")
    sender.small()
    sender.told(Answer(0, Outcome.WANT, bytes(16)))  # the directory is there: a file lost to it
    sender.offer("a/f", file(1))
    assert ["a/f"] == sender.offers()


def test_a_symlink_that_leads_to_what_waits_for_its_directory_waits_too() -> None:
    sender = Sender()
    sender.offer("a/link", symlink(1, target="page"))
    sender.offer("current", symlink(1, target="a/link"))
    sender.dir("a")
    sender.small()
    assert [] == sender.offers()
    sender.settled()
    assert ["a/link", "current"] == sender.offers()


def test_what_the_peer_cannot_take_now_holds_up_no_round_of_offers() -> None:
    sender = Sender()
    sender.offer("log", file(1))
    sender.offer("current", symlink(1))
    sender.offer("old", deleted(1))
    assert ["log"] == sender.offers()
    sender.told(Answer(0, Outcome.BUSY, hint="owned by another user: chown it"), lane=Lane.OFFER, now=0.0)
    assert ["current"] == sender.offers()
    sender.settled(Lane.OFFER)
    assert ["old"] == sender.offers()
    sender.settled(Lane.OFFER)
    assert sender.box.all_offered
    assert not sender.box.idle


def test_what_the_peer_has_no_room_for_holds_up_its_round_of_offers() -> None:
    sender = Sender()
    sender.offer("page", file(1))
    sender.offer("current", symlink(1))
    sender.offer("old", deleted(1))
    assert ["page"] == sender.offers()
    sender.told(Answer(0, Outcome.FULL, hint="no space left"), lane=Lane.OFFER, now=0.0)
    assert [] == sender.offers()
    assert not sender.box.all_offered
    assert ["page"] == sender.small(now=TROUBLE_RETRY)
    sender.settled()
    assert ["current"] == sender.offers()
