"""What one peer hears of first: a visitor there must never meet a hole or a mix."""

import pytest

from sidecar.core import order
from sidecar.core.frames import Answer, Lane, Outcome
from sidecar.core.item import PRIVATE_AFTER
from sidecar.core.retry import BUSY_RETRY, TROUBLE_RETRY
from tests.unit.core.facts import deleted, directory, file, path, symlink
from tests.unit.core.sender import LARGE, Sender

# -- batches


def test_one_change_goes_at_once_and_what_collects_meanwhile_goes_together() -> None:
    sender = Sender()
    sender.file("a")
    assert ["a"] == sender.small()
    for name in "bcd":
        sender.file(name)
    assert (["b", "c", "d"], []) == (sender.small(), sender.small())


def test_nothing_goes_before_all_that_the_peer_lacks_is_known() -> None:
    sender = Sender(loaded=False)
    sender.file("a")
    sender.file("b", size=LARGE)
    sender.offer("c", file(1))
    assert ([], None, []) == (sender.small(), sender.alone(), sender.offers())
    sender.box.offers_loaded(3)
    assert (["a"], ("b", Lane.LARGE), ["c"]) == (sender.small(), sender.alone(), sender.offers())


def test_a_batch_holds_so_many_entries() -> None:
    sender = Sender()
    for name in "abcde":
        sender.file(name)
    assert [["a", "b"], ["c", "d"], ["e"], []] == [sender.small(limit=2) for _ in range(4)]


def test_a_batch_ends_with_the_file_that_fills_it() -> None:
    sender = Sender()
    for name in "abcd":
        sender.file(name, size=60 if name < "c" else 50)
    assert [["a", "b"], ["c", "d"]] == [sender.small(limit_bytes=100) for _ in range(2)]
    for name in "efg":
        sender.file(name, size=50)
    assert [["e", "f"], ["g"]] == [sender.small(limit_bytes=100) for _ in range(2)]


def test_a_batch_ends_before_the_first_file_that_is_too_large_for_it() -> None:
    sender = Sender()
    for name in "abcd":
        sender.file(name, size=60 if name == "c" else 50)
    assert [["a", "b"], [], ["c", "d"]] == [sender.small(largest=largest) for largest in (50, 50, 60)]


def test_what_may_not_go_now_ends_no_batch() -> None:
    sender = Sender()
    for name in "abc":
        sender.file(name, size=LARGE if name == "b" else 60 if name == "a" else 50)
    sender.box.live[path("a")].not_before = 5.0
    assert ["c"] == sender.small(largest=50)


def test_what_a_symlink_leads_to_goes_with_it_however_large() -> None:
    sender = Sender()
    sender.link("link", "target")
    sender.file("target", size=60)
    assert ["target", "link"] == sender.small(largest=50)


def test_the_first_content_is_that_of_a_file_that_may_go_with_others() -> None:
    sender = Sender()
    for name, size in (("large", LARGE), ("later", 5), ("mode", 5), ("alone", 5)):
        sender.file(name, size=size, content=name != "mode")
    sender.dir("a")
    sender.box.live[path("later")].not_before = 5.0
    sender.box.live[path("alone")].tries = PRIVATE_AFTER
    assert None is order.next_content(sender.box, 0.0)
    sender.file("b", size=7)
    first, due = order.next_content(sender.box, 0.0), order.next_content(sender.box, 5.0)
    assert first is not None and due is not None and (b"b", b"later") == (first.path, due.path)


def test_only_content_that_goes_along_fills_a_batch() -> None:
    sender = Sender()
    for name in "abc":
        sender.file(name, size=60, content=False)
    assert ["a", "b", "c"] == sender.small(limit_bytes=100)


def test_a_path_that_changed_again_goes_once_as_late_as_its_last_change() -> None:
    sender = Sender()
    for name in "aba":
        sender.file(name)
    assert ["b", "a"] == sender.small()


# -- directories


def test_a_directory_goes_before_what_is_in_it_though_it_changed_later() -> None:
    sender = Sender()
    sender.file("a/b/f")
    sender.dir("a/b")
    sender.dir("a")
    assert ["a", "a/b", "a/b/f"] == sender.small()


def test_what_is_in_a_directory_follows_it_in_the_next_batch() -> None:
    sender = Sender()
    sender.dir("a")
    sender.small()
    sender.file("a/f")
    assert ["a/f"] == sender.small()


def test_a_directory_that_was_to_be_offered_goes_with_what_is_in_it() -> None:
    sender = Sender()
    sender.offer("a", directory(1))
    sender.file("a/f")
    assert ["a", "a/f"] == sender.small()


def test_what_is_in_a_directory_waits_while_that_is_being_offered() -> None:
    sender = Sender()
    sender.offer("a", directory(1))
    sender.offers()
    sender.file("a/f")
    assert [] == sender.small()
    sender.settled(Lane.OFFER)
    assert ["a/f"] == sender.small()


def test_what_is_in_a_directory_waits_while_that_is_put_off() -> None:
    sender = Sender()
    sender.dir("a")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.file("a/f")
    assert [] == sender.small(now=0.0)
    assert ["a", "a/f"] == sender.small(now=BUSY_RETRY)


# -- files that travel alone


def test_nothing_waits_for_a_large_file() -> None:
    sender = Sender()
    sender.file("large", size=LARGE)
    sender.file("a")
    assert ["a"] == sender.small()
    assert (("large", Lane.LARGE), None) == (sender.alone(), sender.alone())


def test_a_large_file_waits_for_its_directory() -> None:
    sender = Sender()
    sender.dir("d")
    sender.file("d/large", size=LARGE)
    assert sender.alone() is None
    sender.small()
    assert sender.alone() is None
    sender.settled()
    assert ("d/large", Lane.LARGE) == sender.alone()


def test_a_file_goes_alone_when_its_lane_is_free() -> None:
    sender = Sender()
    sender.file("large", size=LARGE)
    assert sender.alone(busy={Lane.LARGE}) is None
    sender.file("torn")
    for _ in range(2):
        sender.small(now=1.0)
        sender.told(Answer(0, Outcome.TORN))
    assert sender.alone(busy={Lane.LARGE}) is None, "it is put off"
    assert ("torn", Lane.SMALL) == sender.alone(now=1.0, busy={Lane.LARGE})
    assert ("large", Lane.LARGE) == sender.alone(busy={Lane.SMALL})


def test_a_large_file_that_is_in_flight_does_not_go_again_beside_itself() -> None:
    sender = Sender()
    sender.file("large", size=LARGE)
    sender.alone()
    sender.file("large", size=LARGE + 1)
    assert sender.alone() is None
    sender.settled(Lane.LARGE)
    assert ("large", Lane.LARGE) == sender.alone()


def test_only_the_mode_of_a_large_file_is_small() -> None:
    sender = Sender()
    sender.file("large", size=LARGE, content=False)
    assert (None, ["large"]) == (sender.alone(), sender.small())


# -- symlinks


def test_a_symlink_goes_after_its_target_and_leans_on_it() -> None:
    sender = Sender()
    sender.link("current", "releases/7")
    sender.dir("releases")
    sender.dir("releases/7")
    sender.file("releases/7/page")
    assert [("releases", 0), ("releases/7", 0), ("releases/7/page", 0), ("current", 1)] == sender.leaning()


def test_a_symlink_waits_for_a_large_file_beneath_its_target() -> None:
    sender = Sender()
    sender.file("r/video", size=LARGE)
    sender.link("current", "r")
    sender.file("other")
    assert ["other"] == sender.small()
    sender.alone()
    assert [] == sender.small()
    sender.settled(Lane.LARGE)
    assert [("current", 0)] == sender.leaning()


def test_a_symlink_leans_on_the_earliest_batch_in_flight_that_brings_its_target() -> None:
    sender = Sender()
    sender.file("elsewhere")
    sender.small()
    for name in ("r/1", "r/2"):
        sender.file(name)
        sender.small()
    sender.link("current", "r")
    assert [("current", 2)] == sender.leaning()


def test_a_symlink_waits_for_all_on_the_way_to_its_target() -> None:
    sender = Sender()
    sender.file("releases/7/video", size=LARGE)
    sender.link("current", "releases/7")
    sender.link("public", "current/css")
    assert [] == sender.small()
    sender.alone()
    sender.settled(Lane.LARGE)
    assert [("current", 0), ("public", 1)] == sender.leaning()


def test_a_symlink_waits_for_what_its_target_was_offered_as() -> None:
    sender = Sender()
    sender.offer("r/page", file(1))
    sender.offers()
    sender.link("current", "r")
    assert [] == sender.small()
    sender.settled(Lane.OFFER, rest=Outcome.WANT)
    assert [("r/page", 0), ("current", 1)] == sender.leaning()


def test_an_offer_beneath_its_target_goes_live_with_a_symlink() -> None:
    sender = Sender()
    sender.offer("r/page", file(1))
    sender.link("current", "r")
    assert ["r/page", "current"] == sender.small()
    assert [] == sender.with_content(), "which the peer may have"
    sender.told(Answer(0, Outcome.WANT), Answer(1, Outcome.AGAIN))
    assert ([("r/page", 0), ("current", 2)], ["r/page"]) == (sender.leaning(), sender.with_content())


@pytest.mark.parametrize("target", ["nothing/here", "../outside", "/etc", "current", "../current"])
def test_a_symlink_that_leads_nowhere_waits_for_nothing(target: str) -> None:
    sender = Sender()
    sender.file("large", size=LARGE)
    sender.link("current", target)
    assert [("current", 0)] == sender.leaning()


def test_a_symlink_waits_for_no_deletion() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.delete("r/page")
    assert [("current", 0), ("r/page", 1)] == sender.leaning()


def test_a_symlink_leans_on_what_comes_though_something_else_needs_not_be_waited_for() -> None:
    sender = Sender()
    sender.file("r/a")
    sender.small()
    sender.delete("r/b")
    sender.link("current", "r")
    assert ("current", 1) == sender.leaning()[0]


def test_a_symlink_does_not_wait_for_what_a_local_writer_of_the_peer_has_open() -> None:
    sender = Sender()
    sender.file("r/log")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.link("current", "r")
    assert [("current", 0)] == sender.leaning()


@pytest.mark.parametrize(("size", "lane"), [(1, Lane.SMALL), (LARGE, Lane.LARGE)])
def test_a_symlink_and_a_deletion_wait_for_what_the_peer_has_no_room_for(size: int, lane: Lane) -> None:
    sender = Sender()
    sender.file("r/page", size=size)
    assert (["r/page"] if lane is Lane.SMALL else []) == sender.small()
    assert (("r/page", lane) if lane is Lane.LARGE else None) == sender.alone()
    sender.told(Answer(0, Outcome.FULL, hint="no space left"), lane=lane, now=0.0)
    sender.link("current", "r")
    sender.delete("old")
    sender.file("other")
    assert ["other"] == sender.small(now=TROUBLE_RETRY - 0.1)
    assert ["r/page", "current", "old"] == sender.small(now=TROUBLE_RETRY)
    assert [] == sender.with_content(), "the peer asks for it, and takes nothing that leans on it before it is there"


def test_a_symlink_in_its_own_target_travels_with_it() -> None:
    sender = Sender()
    sender.dir("r")
    sender.link("r/self", ".")
    sender.file("r/page")
    assert ["r", "r/page", "r/self"] == sorted(sender.small())


def test_two_symlinks_in_each_others_targets_travel_together() -> None:
    sender = Sender()
    sender.link("a/one", "../b")
    sender.link("b/two", "../a")
    assert ["a/one", "b/two"] == sorted(sender.small())


# -- deletions


def test_deletions_go_deepest_first() -> None:
    sender = Sender()
    sender.delete("a", "a/b", "a/b/c", "a/d")
    assert ["a/b/c", "a/b", "a/d", "a"] == sender.small()


def test_a_deletion_waits_for_every_symlink_and_leans_on_it() -> None:
    sender = Sender()
    sender.file("releases/7/video", size=LARGE)
    sender.delete("releases/4")
    sender.link("current", "releases/7")
    sender.file("other")
    assert ["other"] == sender.small()
    sender.alone()
    sender.settled(Lane.LARGE)
    assert [("current", 0), ("releases/4", 2)] == sender.leaning()


def test_a_deletion_leans_on_the_symlink_that_is_in_flight() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.small()
    sender.delete("old")
    assert [("old", 1)] == sender.leaning()
    sender.link("another", "r")
    sender.delete("older")
    assert [("another", 0), ("older", 1)] == sender.leaning()
    sender.settled(number=1)
    sender.settled(number=3)
    sender.delete("oldest")
    assert [("oldest", 0)] == sender.leaning()


def test_a_deletion_waits_for_symlinks_that_are_offered() -> None:
    sender = Sender()
    sender.offer("current", symlink(1))
    sender.delete("old")
    assert [] == sender.small()
    sender.offers()
    assert [] == sender.small()
    sender.settled(Lane.OFFER)
    assert ["old"] == sender.small()


def test_a_deletion_does_not_wait_for_a_symlink_that_the_peer_cannot_take() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.delete("old")
    assert ["old"] == sender.small(now=0.0)


def test_a_deletion_waits_for_a_symlink_that_the_peer_has_no_room_for() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.small()
    sender.told(Answer(0, Outcome.FULL, hint="no space left"), now=0.0)
    sender.delete("old")
    assert [] == sender.small(now=TROUBLE_RETRY - 0.1)
    assert ["current", "old"] == sender.small(now=TROUBLE_RETRY)


def test_the_deletion_that_leaves_its_old_name_goes_with_a_rename() -> None:
    sender = Sender()
    sender.file("new", came_from="old")
    sender.file("other")
    sender.delete("old")
    assert ["new", "old"] == sender.small(limit=2)


def test_a_deploy_arrives_in_the_order_in_which_a_visitor_may_see_it() -> None:
    sender = Sender()
    for name in ("releases/7", "releases/7/css"):
        sender.dir(name)
    for name in ("releases/7/index.html", "releases/7/css/site.css"):
        sender.file(name)
    sender.file("releases/7/video", size=LARGE)
    sender.link("current", "releases/7")
    sender.delete("releases/4/index.html", "releases/4")
    assert ["releases/7", "releases/7/css", "releases/7/index.html", "releases/7/css/site.css"] == sender.small()
    sender.settled()
    assert (("releases/7/video", Lane.LARGE), []) == (sender.alone(), sender.small())
    sender.settled(Lane.LARGE)
    assert ["current", "releases/4/index.html", "releases/4"] == sender.small()


def test_the_deletion_of_a_directory_leans_on_those_of_what_was_in_it() -> None:
    sender = Sender()
    sender.link("current", "r")
    sender.small()
    sender.delete("d/x")
    assert [("d/x", 1)] == sender.leaning()
    sender.settled(number=1)
    sender.delete("d/y", "d")
    assert [("d/y", 0), ("d", 2)] == sender.leaning()


# -- a change of kind


def test_what_replaces_a_directory_leans_on_the_deletions_in_flight() -> None:
    sender = Sender()
    sender.delete("d/x")
    sender.small()
    sender.file("d")
    assert [("d", 1)] == sender.leaning()


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_replaces_a_directory_goes_with_all_that_was_in_it_and_after_that(kind: str) -> None:
    sender = Sender()
    sender.file("d", size=1) if kind == "file" else sender.link("d", "e")
    sender.delete("d/x/y", "d/x", "d/z")
    sent = sender.small()
    assert {"d", "d/x", "d/x/y", "d/z"} == set(sent)
    assert "d" == sent[-1] and sent.index("d/x/y") < sent.index("d/x")


def test_all_that_was_in_a_directory_goes_in_one_batch_however_full_that_is() -> None:
    sender = Sender()
    sender.delete(*(f"d/{n}" for n in range(9)))
    sender.link("d", "e")
    assert [*(f"d/{n}" for n in range(9)), "d"] == sender.small(limit=2)


def test_more_than_land_in_one_step_goes_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "MOST", 3)
    sender = Sender()
    sender.delete(*(f"d/{n}" for n in range(5)))
    sender.link("d", "e")
    assert [["d/0", "d/1"], ["d/2", "d/3"], ["d/4", "d"]] == [sender.small(limit=2) for _ in range(3)]


def test_nothing_that_was_in_a_directory_goes_while_one_of_it_is_put_off() -> None:
    sender = Sender()
    sender.delete("d/z")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.delete("d/x", "d/y")
    sender.link("d", "e")
    sender.file("other")
    assert ["other"] == sender.small(now=0.0)
    assert {"d/x", "d/y", "d/z", "d"} == set(sender.small(now=BUSY_RETRY))


def test_what_was_in_a_directory_does_not_go_without_what_replaces_it() -> None:
    sender = Sender()
    sender.file("d")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.delete("d/x")
    assert [] == sender.small(now=0.0)
    assert ["d/x", "d"] == sender.small(now=BUSY_RETRY)


def test_what_replaces_a_directory_waits_while_a_deletion_in_that_is_put_off() -> None:
    sender = Sender()
    sender.delete("d/x")
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), now=0.0)
    sender.file("d")
    assert [] == sender.small(now=0.0)
    assert ["d/x", "d"] == sender.small(now=BUSY_RETRY)


@pytest.mark.parametrize("size", [1, LARGE])
def test_offered_deletions_go_live_with_what_replaces_their_directory_and_wait_for_no_symlink(size: int) -> None:
    sender = Sender()
    sender.offer("d/x", deleted(1))
    sender.offer("current", symlink(1))
    sender.file("d", size=size)
    assert sender.alone() is None
    assert (["d/x", "d"] if size < LARGE else ["d/x"]) == sender.small()


def test_a_directory_in_the_place_of_a_file_goes_before_what_is_in_it() -> None:
    sender = Sender()
    sender.file("d/x")
    sender.dir("d")
    assert ["d", "d/x"] == sender.small()


def test_a_large_file_that_replaces_a_directory_waits_until_all_in_it_is_gone() -> None:
    sender = Sender()
    sender.file("d", size=LARGE)
    sender.delete("d/x")
    assert sender.alone() is None
    assert ["d/x"] == sender.small()
    sender.settled()
    assert ("d", Lane.LARGE) == sender.alone()
