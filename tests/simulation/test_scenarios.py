"""Histories that once went wrong, step by step."""

from random import Random

from sidecar.core import version as versions
from sidecar.core.intent import Intent
from sidecar.core.paths import RelPath
from tests.support.memory_disk import digest_of
from tests.support.simlink import Link
from tests.support.simnode import SimNode
from tests.support.simworld import Setting, World

A, INSIDE = RelPath(b"a"), RelPath(b"a/a")


def wrote(node: SimNode, content: bytes, path: RelPath = A) -> None:
    node.write(path, content, in_place=False, keep_mtime=False)
    node.absorb([path])


def link(world: World, one: str, other: str) -> Link:
    return next(link for link in world.links if (link.one.name, link.other.name) == (one, other))


def moved(link: Link, steps: int = 200) -> None:
    """Everything that can move on a link does."""
    link.connect()
    for which in range(steps):
        link.step(which, None)


def test_bytes_that_went_with_a_volume_before_anybody_had_them_are_asked_for_no_longer() -> None:
    """C listed the head of b that lost, and wanted its bytes of everybody for ever: no link came to rest."""
    world = World(Setting())
    _, b, c = world.nodes
    wrote(b, b"1001")
    wrote(c, b"1002")
    tells = link(world, "b", "c")
    tells.fault = 0.0
    moved(tells, 12)
    assert 2 == len(c.store.rows()[0].version.heads)
    world.kill(b, Random(0))
    world.faults.strike(b, "empty", Random(0))
    world.calm(Random(0))
    assert [b"1002"] == [head.hash.rstrip(b"\0") for head in c.store.rows()[0].version.heads]


def test_a_round_ends_when_nothing_can_happen_any_more_before_time_passes() -> None:
    """The rows of a sender were read at some rounds alone, by chance: a peer was behind for more than forty of them."""
    world = World(Setting())
    a, b, c = world.nodes
    for number in range(50):
        wrote(a, b"%d" % (1001 + number), RelPath(b"%d" % number))
    for link in world.links:
        link.dead = link.one is not a
    world.go_on(1, Random(0))
    assert a.disk.shown() == b.disk.shown() == c.disk.shown()


def test_what_a_row_knew_before_an_intent_was_made_is_not_written_again_at_a_start() -> None:
    """Every peer was offered it once more, after a kill that interrupted nothing."""
    node = World(Setting()).nodes[0]
    wrote(node, b"1001")
    (row,) = node.store.rows()
    node.intents[A] = Intent(A, row.version)
    node.start()
    assert [row] == node.store.rows()


def test_what_a_kill_left_in_the_place_of_what_a_local_writer_took_away_is_not_taken_for_a_write_of_his() -> None:
    """The intent named the local directory as the winner; its writer deleted it before the rename of what b sent."""
    a, b, _ = World(Setting()).nodes
    b.symlink(A, b"target")
    b.absorb([A])
    theirs = b.store.rows()[0].version
    a.mkdir(A)
    a.absorb([A])
    a.intents[A] = Intent(A, versions.merge(a.store.rows()[0].version, theirs))
    a.delete(A)
    a.disk.files[A] = b.disk.files[A]
    a.start()
    (row,) = a.store.rows()
    assert theirs.heads[0] == versions.winner(row.version)


def test_a_found_copy_is_not_called_an_edit_before_every_peer_has_told_what_it_knows() -> None:
    """C knew an older version than the copy, so that it passed for an edit; b knew that it had been deleted since."""
    world = World(Setting())
    a, b, _ = world.nodes
    wrote(a, b"1001")
    for peer in ("b", "c"):
        moved(link(world, "a", peer))
    link(world, "a", "c").cut()
    world.pass_time(1.0)
    wrote(a, b"1002")
    moved(link(world, "a", "b"))
    world.pass_time(1.0)
    b.delete(A)
    b.absorb([A])
    world.kill(a, Random(0))
    world.faults.strike(a, "lose", Random(0))
    a.start()
    world.down.discard("a")
    moved(link(world, "c", "a"))
    world.calm(Random(0))
    assert A not in a.disk.files


def test_what_lay_in_a_directory_is_gone_when_another_of_its_name_and_another_mode_is_there() -> None:
    """Only one of the same mode was told from it: what had been in the old one stayed at the peers."""
    world = World(Setting())
    node = world.nodes[0]
    node.symlink(INSIDE, b"target")
    node.absorb([A, INSIDE])
    node.rename(A, RelPath(b"b"))
    node.mkdir(A)
    node.chmod(A, 0o750)
    world.calm(Random(0))
    assert {A, b"b", b"b/a"} == set(world.nodes[1].disk.files)


def test_the_bytes_of_a_loser_are_waited_for_in_a_star_while_the_hub_waits_for_them_too() -> None:
    """The hub said that it had not got them, and a leaf, which knows nobody else, took that for the end of them."""
    world = World(Setting((0.0,) * 3, star=True))
    world.calm(Random(0))
    hub, b, c = world.nodes
    for each in world.links:
        each.cut()
    wrote(b, b"1001")
    world.pass_time(1.0)
    wrote(hub, b"1002")
    first = link(world, "b", "a")
    first.fault = 0.0  # the row comes, its bytes do not
    moved(first, 12)
    for _ in range(5):
        moved(link(world, "a", "c"))
        world.pass_time(12.0)
    assert 2 == len(c.store.rows()[0].version.heads)
    world.calm(Random(0))
    assert [b"1001", b"1002"] == sorted(head.hash.rstrip(b"\0") for head in c.store.rows()[0].version.heads)


def test_deletions_that_are_offered_leave_nothing_of_their_directories() -> None:
    """A peer that hears of the directory first keeps it, for what still lives in it there."""
    world = World(Setting())
    a = world.nodes[0]
    wrote(a, b"1001", RelPath(b"a/b/c"))
    world.calm(Random(0))
    for each in world.links:
        each.cut()
    a.delete(A)
    a.absorb(list(a.dirty))
    world.calm(Random(0))
    assert [{}, {}, {}] == [node.disk.shown() for node in world.nodes]


def test_a_directory_whose_deletion_was_offered_goes_when_a_file_in_it_is_closed() -> None:
    """Who had the file open wrote nothing; the directory outlived it, and was there again in all regions."""
    world = World(Setting())
    a, b, _ = world.nodes
    wrote(a, b"1001", INSIDE)
    world.calm(Random(0))
    for each in world.links:
        each.cut()
    b.disk.open.add(b.disk.files[INSIDE].ino)
    a.delete(A)
    a.absorb(list(a.dirty))
    world.go_on(3, Random(0))
    assert {A, INSIDE} == set(b.disk.shown())
    b.disk.open.clear()
    world.calm(Random(0))
    assert [{}, {}, {}] == [node.disk.shown() for node in world.nodes]


def test_a_peer_that_sends_a_version_itself_may_still_lack_the_bytes_of_a_losing_head() -> None:
    """It asked for them, and the link was cut before that was heard: it could ask only if the path was unsettled on."""
    world = World(Setting((0.0, 0.0)))
    a, b = world.nodes
    wrote(b, b"1001")
    world.pass_time(1.0)
    wrote(a, b"1002")
    tells = link(world, "b", "a")
    tells.connect()
    for which in (0, 2, 3) * 10:  # no answer is heard
        tells.step(which, None)
    moved(link(world, "a", "b"))
    for which in (2, 3) * 10:
        tells.step(which, None)
    tells.cut()
    world.calm(Random(0))
    assert a.disk.stored(digest_of(b"1001")) == b"1001"
