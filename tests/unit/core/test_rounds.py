"""What is offered counts in one round until it is settled, wherever it waits."""

from sidecar.core.entry import Kind
from sidecar.core.item import Item
from sidecar.core.paths import RelPath
from sidecar.core.rounds import ROUND_OF, Round, Rounds


def item(name: str, kind: Kind) -> Item:
    return Item(RelPath(name.encode()), 1, kind)


def put(rounds: Rounds, *items: Item) -> None:
    for each in items:
        rounds.put(each, ROUND_OF[each.kind])


def unsettled(rounds: Rounds) -> list[Round]:
    return [turn for turn in Round if rounds.unsettled(turn)]


def test_what_waits_no_more_counts_until_it_is_settled() -> None:
    rounds, page = Rounds(), item("page", Kind.FILE)
    put(rounds, page)
    assert page is rounds.get(page.path) is rounds.take(page.path)
    assert (None, None) == (rounds.get(page.path), rounds.take(page.path))
    assert ([Round.CONTENT], False) == (unsettled(rounds), rounds.settled)
    rounds.unmark(page.path)
    assert ([], True) == (unsettled(rounds), rounds.settled)


def test_a_path_counts_in_one_round() -> None:
    rounds, path = Rounds(), RelPath(b"page")
    rounds.mark(path, Round.CONTENT)
    rounds.mark(path, Round.TOMBSTONES)
    assert ([Round.TOMBSTONES], Round.TOMBSTONES) == (unsettled(rounds), rounds.of(path))
    rounds.unmark(path)
    rounds.unmark(path)
    assert ([], None) == (unsettled(rounds), rounds.of(path))


def test_what_is_deferred_waits_with_the_deletions_and_is_told_from_them() -> None:
    rounds, link, gone = Rounds(), item("link", Kind.SYMLINK), item("gone", Kind.TOMBSTONE)
    put(rounds, link, gone)
    assert [] == rounds.deferred()
    rounds.defer(link)
    assert [b"link"] == rounds.deferred()
    assert {b"gone", b"link"} == rounds.waiting[Round.TOMBSTONES].keys()
    assert [Round.TOMBSTONES] == unsettled(rounds)
    rounds.take(link.path)
    assert [] == rounds.deferred()


def test_what_was_deferred_and_is_a_deletion_now_is_one_like_any_other() -> None:
    rounds, link = Rounds(), item("link", Kind.SYMLINK)
    put(rounds, link)
    rounds.defer(link)
    rounds.take(link.path)
    put(rounds, item("link", Kind.TOMBSTONE))
    assert [] == rounds.deferred()
