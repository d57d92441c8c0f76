"""What one peer still needs, how far it has everything, and what each of its answers does."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.entry import Head, Kind
from sidecar.core.frames import Answer, Lane, Outcome
from sidecar.core.item import ALONE_AFTER, PRIVATE_AFTER
from sidecar.core.outbox import Outbox
from sidecar.core.paths import beneath
from sidecar.core.retry import BUSY_RETRY, FAILED_RETRY, TORN_RETRY, TROUBLE_RETRY
from sidecar.core.rounds import Round
from tests.unit.core import facts
from tests.unit.core.facts import THEIRS, deleted, digest, directory, file, path, symlink, version
from tests.unit.core.sender import LARGE, Sender

# -- its size


def sizes(box: Outbox) -> list[int]:
    rounds, graves = box.rounds, box.graves
    held = (box.seqs, box.live, *rounds.waiting.values(), box.ahead, box.large_ahead, rounds._of, box._symlinks)
    return [sys.getsizeof(each) for each in (*held, graves._dead, graves._count)]


def test_what_held_thousands_is_as_small_as_before_when_all_of_it_is_settled() -> None:
    sender = Sender()
    before = sizes(sender.box)
    for number in range(3000):
        sender.box.offer(facts.row(f"d/{number}", version(file(1)), seq=number + 1))
    for number in range(3000, 6000):
        sender.box.change(facts.row(f"e/{number}", version(symlink(1, target="d/1")), seq=number + 1))
    for number in range(6000, 9000):
        sender.box.change(facts.row(f"f/{number}", version(deleted(1)), seq=number + 1))
    assert sum(sizes(sender.box)) > 100 * sum(before)
    for number in range(9000):
        sender.box.known(facts.row(f"{'def'[number // 3000]}/{number}", version(file(1)), seq=number + 1))
    assert sender.box.idle
    assert sum(sizes(sender.box)) <= sum(before)


# -- what may be told ahead


def test_a_rename_is_told_ahead_when_all_that_it_has_to_do_with_is_settled_and_every_symlink() -> None:
    box = Outbox(0, LARGE)
    old, new = path("a/old"), path("b/new")
    assert not box.rests(old, new), "what is unsettled is not known yet"
    box.offers_loaded(0)
    assert box.rests(old, new)
    for number, name in enumerate(("a", "a/old", "a/old/x", "b", "b/new", "b/new/x/y"), 1):
        row = facts.row(name, version(file(number)), seq=number)
        box.change(row)
        assert not box.rests(old, new), name
        box.known(row)
    box.change(facts.row("a/older", version(file(7)), seq=7))
    assert box.rests(old, new)
    link = facts.row("current", version(symlink(8)), seq=8)
    box.offer(link)
    assert not box.rests(old, new)
    box.known(link)
    assert box.rests(old, new)


# -- the cursor


def test_the_cursor_is_the_peers_own_until_everything_above_it_is_known() -> None:
    box = Outbox(7, LARGE)
    assert (7, False, False) == (box.cursor, box.all_offered, box.idle)
    box.offer(facts.row("a", version(file(1)), seq=9))
    assert (7, False, False) == (box.cursor, box.all_offered, box.idle)


def test_the_cursor_passes_what_needed_no_offer() -> None:
    box = Outbox(7, LARGE)
    box.offers_loaded(12)
    assert (12, True, True) == (box.cursor, box.all_offered, box.idle)


def test_the_cursor_stays_below_the_oldest_that_is_unsettled() -> None:
    sender = Sender()
    for name in "abc":
        sender.file(name)
        sender.small()
    sender.settled(number=2)
    assert 0 == sender.box.cursor
    sender.settled(number=1)
    assert 2 == sender.box.cursor
    sender.settled(number=3)
    assert (3, True) == (sender.box.cursor, sender.box.idle)


def test_a_path_that_changes_again_moves_up_and_holds_the_cursor_no_longer() -> None:
    sender = Sender()
    for name in "aba":
        sender.file(name)
    assert 1 == sender.box.cursor
    assert ["b", "a"] == sender.small()
    sender.told(Answer(1, Outcome.TORN))
    assert 2 == sender.box.cursor


def test_the_cursor_waits_for_what_was_offered() -> None:
    sender = Sender()
    sender.offer("a", file(1))
    sender.file("b")
    assert not sender.box.all_offered
    sender.offers()
    sender.small()
    sender.settled()
    assert 0 == sender.box.cursor
    sender.settled(Lane.OFFER, rest=Outcome.KNOWN)
    assert (2, True) == (sender.box.cursor, sender.box.all_offered)


def test_a_later_offer_does_not_take_the_cursor_back() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.settled()
    sender.offer("b", file(1))
    assert (1, False) == (sender.box.cursor, sender.box.all_offered)


# -- what is sent of a change


@pytest.mark.parametrize(
    ("why", "stage", "head"),
    [
        ("a file's content", True, file(1)),
        ("a directory has none", False, directory(1)),
        ("a symlink has none", False, symlink(1)),
        ("a deletion has none", False, deleted(1)),
    ],
)
def test_what_a_change_brings_along(why: str, stage: bool, head: Head) -> None:
    sender = Sender()
    sender.box.change(facts.row("a", version(head)))
    assert stage == sender.box.live[path("a")].stage, why


def test_a_chmod_brings_no_content() -> None:
    sender = Sender()
    sender.file("a", content=False)
    sender.file("a", content=False)
    assert not sender.box.live[path("a")].stage


def test_a_chmod_of_what_has_not_gone_yet_brings_its_content() -> None:
    sender = Sender()
    sender.file("a")
    sender.file("a", content=False)
    assert sender.box.live[path("a")].stage


def test_a_renamed_file_brings_its_old_name_instead_of_content() -> None:
    sender = Sender()
    sender.file("new", came_from="old")
    assert (False, b"old") == (sender.box.live[path("new")].stage, sender.box.live[path("new")].came_from)


def test_a_change_takes_the_place_of_what_was_to_be_offered() -> None:
    sender = Sender()
    sender.offer("a", file(1))
    sender.file("a")
    assert [] == sender.offers()
    assert ["a"] == sender.small()


def test_an_offer_takes_the_place_of_another_in_an_earlier_or_later_round() -> None:
    sender = Sender()
    sender.offer("a", symlink(1))
    sender.offer("a", file(1))
    assert ["a"] == sender.offers()
    sender.settled(Lane.OFFER)
    assert ([], True) == (sender.offers(), sender.box.idle)


def test_a_path_that_is_there_again_is_no_deletion() -> None:
    sender = Sender()
    sender.delete("d/x")
    assert [b"d/x"] == sender.box.graves.beneath(path("d"))
    sender.file("d/x")
    assert [] == sender.box.graves.beneath(path("d"))


def test_what_waits_to_go_live_is_not_offered_as_well() -> None:
    sender = Sender()
    sender.file("a")
    sender.offer("a", file(1))
    assert ([], ["a"]) == (sender.offers(), sender.small())
    sender.settled()
    assert (2, True) == (sender.box.cursor, sender.box.idle)


def test_what_the_peer_sent_itself_is_not_sent_back() -> None:
    sender = Sender()
    sender.file("a")
    sender.box.known(facts.row("a", version(file(1)), seq=2))
    assert ([], 2, True) == (sender.small(), sender.box.cursor, sender.box.idle)


def test_a_conflict_that_the_peer_sent_is_offered_for_it_may_lack_the_loser() -> None:
    sender = Sender()
    sender.box.known(facts.row("a", version(file(1), file(2, THEIRS, "b")), seq=1))
    assert ["a"] == sender.offers()


# -- answers


@pytest.mark.parametrize("outcome", [Outcome.APPLIED, Outcome.KNOWN, Outcome.HELD, Outcome.REFUSED])
def test_what_is_settled_goes_no_more(outcome: Outcome) -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    assert [] == sender.told(Answer(0, outcome))
    assert (1, True, [], None) == (sender.box.cursor, sender.box.idle, sender.small(), sender.box.next_due())


def test_what_leant_on_something_that_did_not_get_there_goes_again_at_once() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.AGAIN))
    assert (["a"], True) == (sender.small(), bool(sender.box.flight(Lane.SMALL, 2)[0].stage))


def test_a_torn_file_is_to_be_looked_at_and_goes_again_a_little_later_each_time() -> None:
    sender = Sender()
    sender.file("a")
    now, waits = 1000.0, []
    for _ in range(PRIVATE_AFTER):
        assert ["a"] == sender.small(now=now)
        assert [path("a")] == [item.path for item in sender.told(Answer(0, Outcome.TORN), now=now)]
        due = sender.box.next_due()
        assert due is not None
        assert [] == sender.small(now=due - 0.001)
        waits.append(due - now)
        now = due
    assert [TORN_RETRY * 2, TORN_RETRY * 4] == pytest.approx(waits)


def test_a_file_that_is_torn_for_ever_waits_no_longer_than_trouble_does() -> None:
    """After three hours the wait was a number too large, which cut the link."""
    sender = Sender()
    sender.file("a")
    for _ in range(1100):
        assert sender.small(now=TROUBLE_RETRY) or sender.alone(now=TROUBLE_RETRY)
        sender.told(Answer(0, Outcome.TORN), now=0.0)
    assert TROUBLE_RETRY == sender.box.next_due()


def test_a_file_that_came_back_torn_twice_goes_alone_from_a_private_copy() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.TORN))
    assert ["a"] == sender.small(now=1.0)
    sender.told(Answer(0, Outcome.TORN))
    assert [] == sender.small(now=1.0)
    assert ("a", Lane.SMALL) == sender.alone(now=1.0)


def test_a_wanted_file_goes_with_its_content() -> None:
    sender = Sender()
    sender.offer("a", file(1))
    sender.offers()
    sender.told(Answer(0, Outcome.WANT), lane=Lane.OFFER)
    assert ["a"] == sender.small()
    assert sender.box.flight(Lane.SMALL, 1)[0].stage


def test_a_rename_that_the_peer_could_not_make_goes_with_its_content() -> None:
    sender = Sender()
    sender.file("new", came_from="old")
    sender.small()
    sender.told(Answer(0, Outcome.WANT))
    item = sender.box.live[path("new")]
    assert (True, None) == (item.stage, item.came_from)


def test_the_bytes_of_a_losing_head_go_alone_and_settle_the_path() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.WANT, digest("b")))
    assert [] == sender.small()
    assert ("a", Lane.SMALL) == sender.alone()
    assert (digest("b"), False) == (sender.box.flight(Lane.SMALL, 2)[0].want, sender.box.flight(Lane.SMALL, 2)[0].stage)
    sender.settled()
    assert sender.box.idle


def test_bytes_of_a_losing_head_that_are_wanted_once_more_were_torn_and_go_again_a_little_later() -> None:
    """They lie in a file that is being written: it was sent again and again, without a pause."""
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.WANT, digest("b")), now=100.0)
    assert None is sender.box.next_due()
    assert ("a", Lane.SMALL) == sender.alone(now=100.0)
    assert [path("a")] == [item.path for item in sender.told(Answer(0, Outcome.WANT, digest("b")), now=100.0)]
    assert pytest.approx(100.0 + 2 * TORN_RETRY) == sender.box.next_due()
    assert ("a", Lane.SMALL) == sender.alone(now=101.0)
    assert [] == sender.told(Answer(0, Outcome.WANT, digest("c")), now=101.0)
    assert ("a", Lane.SMALL) == sender.alone(now=101.0)


def test_a_losing_head_is_sent_though_the_peer_has_sent_this_version_meanwhile() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.box.known(facts.row("a", version(file(1)), seq=1))
    assert 1 == sender.box.cursor
    sender.told(Answer(0, Outcome.WANT, digest("b")))
    assert 0 == sender.box.cursor
    assert ("a", Lane.SMALL) == sender.alone()
    sender.box.known(facts.row("a", version(file(1)), seq=1))
    sender.told(Answer(0, Outcome.AGAIN))
    assert not sender.box.idle


@pytest.mark.parametrize(
    ("seconds", "outcome", "hint"),
    [
        (BUSY_RETRY, Outcome.BUSY, ""),
        (TROUBLE_RETRY, Outcome.BUSY, "owned by another user"),
        (TROUBLE_RETRY, Outcome.FULL, "no space left"),
    ],
)
def test_what_the_peer_cannot_take_now_is_asked_about_later_and_without_content(
    seconds: float, outcome: Outcome, hint: str
) -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, outcome, hint=hint), now=100.0)
    assert 100.0 + seconds == sender.box.next_due()
    assert [] == sender.small(now=99.9 + seconds)
    assert ["a"] == sender.small(now=100.0 + seconds)
    assert not sender.box.flight(Lane.SMALL, 2)[0].stage


def test_each_entry_gets_its_own_answer_and_the_rest_theirs() -> None:
    sender = Sender()
    for name in "abc":
        sender.file(name)
    sender.small()
    (torn,) = sender.told(Answer(1, Outcome.TORN), Answer(9, Outcome.TORN))
    assert (path("b"), {path("b")}) == (torn.path, set(sender.box.seqs))


@pytest.mark.parametrize(("lane", "number"), [(Lane.SMALL, 2), (Lane.SMALL, 0), (Lane.LARGE, 1), (Lane.OFFER, 1)])
def test_an_answer_to_what_is_not_in_flight_is_ignored(lane: Lane, number: int) -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.box.answered(lane, number, Outcome.APPLIED, (), 0.0)
    assert not sender.box.idle


def test_a_second_answer_to_one_batch_is_ignored() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.settled(rest=Outcome.AGAIN)
    sender.settled()
    assert ["a"] == sender.small()


# -- a path that changes while it is in flight


@pytest.mark.parametrize(
    "outcome", [Outcome.APPLIED, Outcome.TORN, Outcome.WANT, Outcome.BUSY, Outcome.AGAIN, Outcome.FULL]
)
def test_an_answer_to_an_older_version_settles_nothing_and_changes_nothing(outcome: Outcome) -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.file("a", size=2)
    assert [] == sender.told(Answer(0, outcome))
    item = sender.box.live[path("a")]
    assert (2, 2, True, 0, 0.0, False) == (item.seq, item.size, item.stage, item.tries, item.not_before, item.busy)
    assert 1 == sender.box.cursor


def test_of_two_versions_in_flight_the_newer_ones_answer_counts() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.file("a")
    sender.small()
    sender.settled(number=1, rest=Outcome.TORN)
    assert (2, Kind.FILE) == sender.box.ahead[path("a")]
    assert ([], False) == (sender.small(), sender.box.idle)
    sender.settled(number=2)
    assert (True, {}) == (sender.box.idle, sender.box.ahead)


def test_of_two_versions_in_flight_the_older_one_may_be_answered_last() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.file("a")
    sender.small()
    sender.settled(number=2)
    sender.settled(number=1, rest=Outcome.AGAIN)
    assert (True, []) == (sender.box.idle, sender.small())


def test_the_answer_to_an_offer_is_not_taken_for_that_to_a_batch() -> None:
    sender = Sender()
    sender.offer("a", file(1))
    sender.offers()
    sender.file("a")
    sender.small()
    sender.settled(Lane.OFFER, number=1)
    assert (1, Kind.FILE) == sender.box.ahead[path("a")]
    assert not sender.box.idle


def test_a_file_that_grew_large_in_flight_goes_in_the_large_lane_next() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.file("a", size=LARGE)
    assert ([], ("a", Lane.LARGE)) == (sender.small(), sender.alone())


# -- bytes that are not here


def test_bytes_that_are_gone_for_good_settle_the_path() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.WANT, digest("b")))
    plan = sender.plan_alone()
    assert plan is not None
    assert [] == sender.box.not_here(plan, listed=False, now=0.0)
    assert sender.box.idle


def test_bytes_that_are_on_their_way_here_are_sent_later() -> None:
    sender = Sender()
    sender.file("a")
    sender.small()
    sender.told(Answer(0, Outcome.WANT, digest("b")))
    plan = sender.plan_alone()
    assert plan is not None
    assert [] == sender.box.not_here(plan, listed=True, now=100.0)
    assert (False, 100.0 + TROUBLE_RETRY) == (sender.box.idle, sender.box.next_due())


def test_a_file_of_which_no_copy_could_be_made_is_to_be_looked_at() -> None:
    sender = Sender()
    sender.file("a", size=LARGE)
    plan = sender.plan_alone()
    assert plan is not None
    assert [path("a")] == [item.path for item in sender.box.not_here(plan, listed=False, now=0.0)]
    assert not sender.box.idle


def test_a_path_that_was_given_up_is_settled() -> None:
    sender = Sender()
    sender.file("a")
    sender.box.gone(path("a"))
    assert (1, True, []) == (sender.box.cursor, sender.box.idle, sender.small())
    sender.box.gone(path("never"))


# -- what dies beneath

NAMES = st.sampled_from(["a", "a/b", "a/b/c", "a/b/d", "a-b", "a/b-c", "a0", "b/c", "b/d/e"])
ANSWERS = st.sampled_from([Outcome.APPLIED, Outcome.BUSY, Outcome.AGAIN, Outcome.FULL])


@given(st.lists(st.tuples(NAMES, st.sampled_from(["file", "delete", "offer", "send"]), ANSWERS), max_size=30))
def test_what_is_unsettled_beneath_a_directory_is_known_without_a_look_at_everything(
    steps: list[tuple[str, str, Outcome]],
) -> None:
    sender, now = Sender(), 0.0
    for name, what, outcome in steps:
        now += TROUBLE_RETRY
        if what == "file":
            sender.file(name)
        elif what == "delete":
            sender.delete(name)
        elif what == "offer":
            sender.offer(name, deleted(1))
        else:
            for lane, sent in ((Lane.OFFER, sender.offers(limit=2)), (Lane.SMALL, sender.small(limit=2, now=now))):
                if sent:
                    sender.box.answered(lane, sender.box.next_number(lane) - 1, outcome, (), now)
        box = sender.box
        for each in map(path, ["a", "a/b", "b", "b/d"]):
            dead = sorted(one for one in box.seqs if one in box.graves and beneath(one, each))
            assert (dead, len(dead)) == (box.graves.beneath(each), box.graves.count(each))
            assert any(one in box.live and box.live[one].busy for one in dead) == box.graves.holds_busy(each)


# -- rounds


@pytest.mark.parametrize(
    ("turn", "head"),
    [
        (Round.CONTENT, file(1)),
        (Round.CONTENT, directory(1)),
        (Round.SYMLINKS, symlink(1)),
        (Round.TOMBSTONES, deleted(1)),
    ],
)
def test_an_offer_counts_in_its_round_until_it_is_settled(turn: Round, head: Head) -> None:
    sender = Sender()
    sender.offer("a", head)
    assert [turn] == [each for each in Round if sender.box.rounds.unsettled(each)]
    sender.offers()
    sender.settled(Lane.OFFER, rest=Outcome.WANT)
    sender.small()
    assert sender.box.rounds.unsettled(turn)
    sender.settled()
    assert not any(sender.box.rounds.unsettled(each) for each in Round)


def test_what_was_offered_and_then_became_something_else_counts_in_that_round() -> None:
    sender = Sender()
    sender.offer("a", symlink(1))
    sender.delete("a")
    assert not sender.box.rounds.unsettled(Round.SYMLINKS)
    assert ["a"] == sender.small()


def test_a_batch_in_flight_is_counted_and_known_by_its_number() -> None:
    sender = Sender()
    sender.file("a")
    assert (0, 1) == (sender.box.in_flight(Lane.SMALL), sender.box.next_number(Lane.SMALL))
    sender.small()
    assert (1, 0) == (sender.box.in_flight(Lane.SMALL), sender.box.in_flight(Lane.LARGE))
    assert (2, 1) == (sender.box.next_number(Lane.SMALL), sender.box.next_number(Lane.LARGE))
    assert [path("a")] == [item.path for item in sender.box.flight(Lane.SMALL, 1)]
    sender.settled()
    assert (0, ()) == (sender.box.in_flight(Lane.SMALL), sender.box.flight(Lane.SMALL, 1))


# -- an rsync that failed


def test_what_did_not_arrive_because_its_rsync_failed_goes_together_again_a_little_later_each_time() -> None:
    """Two in a row made each of a thousand files go alone, from a copy of its own: for minutes nothing else went."""
    sender = Sender()
    for name in "abc":
        sender.file(name)
    now, waits = 1000.0, []
    for number in range(1, ALONE_AFTER):
        assert ["a", "b", "c"] == sender.small(now=now)
        torn = sender.box.answered(Lane.SMALL, number, Outcome.TORN, (), now, carried=False)
        assert {"a", "b", "c"} == {item.path.decode() for item in torn}
        due = sender.box.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert [FAILED_RETRY * 2.0**n for n in range(ALONE_AFTER - 1)] == pytest.approx(waits)


def test_a_fault_of_rsync_that_lasts_some_seconds_makes_nothing_go_alone() -> None:
    """Five failures came within a third of a second: all of the batch went one by one from copies, for minutes."""
    sender = Sender()
    for name in "abc":
        sender.file(name)
    now, number = 1000.0, 0
    while now < 1007.0:
        assert ["a", "b", "c"] == sender.small(now=now)
        number += 1
        sender.box.answered(Lane.SMALL, number, Outcome.TORN, (), now, carried=False)
        now = sender.box.next_due() or 0.0
    assert ["a", "b", "c"] == sender.small(now=now)


def test_of_what_never_arrives_only_the_file_at_which_rsync_fails_goes_alone_not_from_a_copy() -> None:
    """What lies higher is carried first."""
    sender = Sender()
    for name in ("a/a", "b", "c"):
        sender.file(name)
    for number in range(1, ALONE_AFTER + 1):
        assert ["a/a", "b", "c"] == sender.small(now=number * 100.0)
        sender.box.answered(Lane.SMALL, number, Outcome.TORN, (), number * 100.0, carried=False)
    assert not sender.box.live[path("b")].private
    assert ["a/a", "c"] == sender.small(now=1000.0)
    assert ("b", Lane.SMALL) == sender.alone(now=1000.0)
    assert None is sender.alone(now=1000.0)


def test_one_file_after_the_other_goes_alone_while_what_is_left_still_fails() -> None:
    sender = Sender()
    for name in "abc":
        sender.file(name)
    for number in range(1, ALONE_AFTER + 2):
        assert sender.small(now=number * 100.0)
        sender.box.answered(Lane.SMALL, number, Outcome.TORN, (), number * 100.0, carried=False)
    assert ["c"] == sender.small(now=1000.0)
    assert ["a", "b"] == [item.path.decode() for item in sender.box.live.values() if item.alone]


def test_the_next_that_is_due_is_not_one_that_was_due_before() -> None:
    sender = Sender()
    for name in "ab":
        sender.file(name)
    sender.small()
    sender.told(Answer(0, Outcome.BUSY), Answer(1, Outcome.FULL), now=100.0)
    assert 100.0 + BUSY_RETRY == sender.box.next_due()
    assert 100.0 + TROUBLE_RETRY == sender.box.next_due(100.0 + BUSY_RETRY)
    assert None is sender.box.next_due(100.0 + TROUBLE_RETRY)
