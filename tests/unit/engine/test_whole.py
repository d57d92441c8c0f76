"""A directory that something else takes the place of in one step, over a real web root, and a kill between any two."""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from sidecar.core import replaced
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Version
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep
from sidecar.engine import restore
from sidecar.engine.node import Node
from sidecar.engine.restore import Restorer, Wanted
from sidecar.engine.whole import Whole, landed
from sidecar.fs import faults, keep, stage, step
from tests.unit.engine.conftest import Starter

P: Final = RelPath(b"releases/1")
PAGES: Final = {RelPath(b"releases/1/%d/page-%d" % (n % 3, n)): b"page %d" % n for n in range(9)}
LINK: Final = RelPath(b"releases/1/0/link")
LINKED: Final = (*(RelPath(b"releases/1/%d" % n) for n in range(3)), P)
PEER: Final = 4242
MTIME: Final = 1_700_000_000_000_000_000


class Killed(BaseException):
    """The process ends here."""


def html(node: Node, path: bytes) -> Path:
    return Path(node.root.path, os.fsdecode(path))


def filled(node: Node) -> None:
    """A release, and its copy, as the node has seen them."""
    for path, content in PAGES.items():
        for place in (path, path.replace(b"releases", b"store")):
            html(node, place).parent.mkdir(parents=True, exist_ok=True)
            html(node, place).write_bytes(content)
    os.symlink("page-0", html(node, LINK))
    seen(node)


def seen(node: Node) -> None:
    """Local writers' work, as the node takes it up."""
    top = html(node, b"")
    names = sorted(top.rglob("*"), key=lambda path: len(path.parts))
    node.intake.absorb([RelPath(os.fsencode(name.relative_to(top))) for name in names])


def entry(node: Node, path: RelPath, kind: Kind, target: bytes = b"") -> Entry:
    """What a peer wrote over all that this node has there."""
    version = node.replica.row(path).version
    counter = max((counter for _, counter in version.vector), default=0) + 1
    return Entry(path, versions.write(version, Head(Dot(counter, PEER), kind, mtime_ns=MTIME, target=target)))


def change_of_kind(node: Node) -> tuple[Entry, ...]:
    """The release becomes a symlink: deletions deepest first, as a sender plans them."""
    dead = [*PAGES, LINK, *LINKED[:-1]]
    return (*(entry(node, path, Kind.TOMBSTONE) for path in dead), entry(node, P, Kind.SYMLINK, b"../store/1"))


def land(node: Node, entries: tuple[Entry, ...], size: int = 4) -> dict[RelPath, Outcome]:
    """As `engine.receiving` lands a batch: the outcomes by path."""
    together = replaced.replaced(entries)
    dead = {one.path: one for one in entries if one.version.heads[0].kind is Kind.TOMBSTONE}
    leaving = replaced.moving(dead, entries, together)
    lander, outcomes = node.landing.lander("ams"), dict[RelPath, Outcome]()
    for part in replaced.slices(len(entries), size, together):
        with node.landing.slice("ams", entries[part.start : part.stop], {}, leaving):
            for at, made in landed(lander, entries, part, together, lambda leans: True, {}, leaving):
                outcomes[entries[at].path] = made.outcome
    return outcomes


def files(node: Node) -> dict[RelPath, bytes]:
    """The pages as a visitor finds them, through whatever lies there."""
    return {path: html(node, path).read_bytes() for path in PAGES if html(node, path).exists()}


def trash(node: Node) -> dict[RelPath, bytes]:
    """The bytes that are listed in the trash, by path."""
    listed = node.index.youngest_trash(100)
    return {item.path: node.root.trash.read(item.name) for item in listed if item.stat.kind is Kind.FILE}


def restored(node: Node) -> dict[RelPath, bytes]:
    """What is in the trash comes back one by one, at another place."""
    back = dict[RelPath, bytes]()
    for item in [item for item in node.index.youngest_trash(100) if item.stat.kind is Kind.FILE]:
        place = RelPath(b"back/" + item.path)
        restorer = Restorer(node.replica, node.absorber)
        wanted = Wanted(place, item.stat, item.hash)
        with node.landing.by_hand(place, restorer.head(wanted)):
            restorer.put(wanted)
        back[item.path] = html(node, place).read_bytes()
    return back


def test_a_directory_becomes_a_symlink_and_a_visitor_finds_every_page_at_every_step(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    filled(node)
    entries = change_of_kind(node)
    steps = list[int]()

    def looked(*args: Any) -> None:
        real(*args)
        steps.append(len(files(node)))

    real = step.rename
    monkeypatch.setattr(step, "rename", looked)
    assert set(land(node, entries).values()) == {Outcome.APPLIED}
    assert set(steps) == {len(PAGES)} and len(steps) > len(PAGES)
    assert files(node) == PAGES and html(node, P).is_symlink()
    assert node.index.intents() == []


def test_what_a_rename_brought_out_of_it_is_copied_as_long_as_visitors_need_it(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    filled(node)
    page, aside = next(iter(PAGES)), RelPath(b"aside")
    row = node.replica.row(page)
    assert row.stat is not None
    head = Head(Dot(5, PEER), Kind.FILE, row.stat.size, MTIME, 0o644, row.hash)
    brought = Entry(aside, Version(((PEER, 5),), (head,)), How.FROM, page)
    there = list[bool]()

    def looked(*args: Any) -> None:
        real(*args)
        there.append(html(node, page).exists())

    real = step.rename
    monkeypatch.setattr(step, "rename", looked)
    assert set(land(node, (brought, *change_of_kind(node))).values()) == {Outcome.APPLIED}
    assert all(there) and html(node, aside).read_bytes() == PAGES[page]


def test_each_file_of_it_is_kept_under_its_own_path_and_comes_back_by_itself(start: Starter) -> None:
    node = start()
    filled(node)
    land(node, change_of_kind(node))
    assert trash(node) == PAGES == restored(node)
    assert {item.path for item in restore.before(node.index, P)} == {*PAGES, LINK, *LINKED[:-1]}
    assert {item.reason for item in node.index.trash_of(LINK)} == {Keep.DELETED}


def test_the_rows_are_as_the_peer_sent_them_and_a_look_finds_nothing_new(start: Starter) -> None:
    node = start()
    filled(node)
    entries = change_of_kind(node)
    land(node, entries)
    top = node.index.max_seq()
    seen(node)
    node.intake.absorb([one.path for one in entries])
    assert top == node.index.max_seq()
    for one in entries:
        row = node.index.get(one.path)
        assert row is not None and (row.version, row.stat) == (one.version, node.root.lstat(one.path))


def test_what_is_excluded_leaves_with_the_directory_and_goes_when_the_trash_does(start: Starter) -> None:
    node = start()
    filled(node)
    node.disk._excluded = lambda path, is_dir: path.endswith(b"~")
    html(node, P + b"/0/notes~").write_text("excluded")
    assert set(land(node, change_of_kind(node)).values()) == {Outcome.APPLIED}
    (tree,) = (item.name for item in node.index.trash_of(P))
    assert node.root.trash.read(RelPath(tree + b"/0/notes~")) == b"excluded"
    for item in node.index.youngest_trash(100):
        stage.drop(node.root.trash, item.name)
    assert not [*Path(node.root.state_path, "trash").rglob("*/*")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("killed_at", range(14))
def test_a_kill_between_any_two_steps_loses_nothing_and_is_no_local_change(
    start: Starter, monkeypatch: pytest.MonkeyPatch, killed_at: int, after: bool
) -> None:
    node = start()
    filled(node)
    entries, left = change_of_kind(node), [killed_at]

    def fuse(*args: Any) -> None:
        left[0] -= 1
        if left[0] >= 0 or (after and left[0] == -1):
            real(*args)
        if left[0] < 0:
            raise Killed

    with monkeypatch.context() as patched:
        real = step.rename
        patched.setattr(step, "rename", fuse)
        with contextlib.suppress(Killed):
            land(node, entries)
    node = start()
    assert files(node) == PAGES
    if html(node, P).is_symlink():
        assert trash(node) == PAGES
    else:
        assert trash(node) == {}
    seen(node)
    node.intake.absorb([one.path for one in entries])
    written = {head.dot.run for row in node.index.beneath(RelPath(b"releases")) for head in row.version.heads}
    assert node.replica.dots.run not in written
    assert set(land(node, entries).values()) <= {Outcome.APPLIED, Outcome.KNOWN}
    assert files(node) == PAGES and html(node, P).is_symlink()
    assert trash(node) == PAGES


def test_an_edit_in_it_survives_and_the_directory_with_it(start: Starter) -> None:
    node = start()
    filled(node)
    entries = change_of_kind(node)
    page = next(iter(PAGES))
    html(node, page).write_bytes(b"edited here")
    land(node, entries)
    assert html(node, page).read_bytes() == b"edited here" and not html(node, P).is_symlink()


def test_a_file_that_a_local_writer_adds_at_the_last_moment_survives(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    filled(node)
    new = html(node, P + b"/0/new")

    def faster(*args: Any) -> Any:
        if not new.is_symlink() and args[3] == b"1" and not writes:
            writes.append(new.write_text("new"))
        return real(*args)

    writes, real = list[int](), step.rename
    monkeypatch.setattr(step, "rename", faster)
    land(node, change_of_kind(node))
    assert writes
    assert new.read_text() == "new" and not html(node, P).is_symlink()


def test_while_a_file_in_it_is_being_written_nothing_goes(start: Starter) -> None:
    node = start()
    filled(node)
    page = next(iter(PAGES))
    with html(node, page).open("r+b"):
        outcomes = land(node, change_of_kind(node))
    assert outcomes[page] is Outcome.BUSY
    assert {made for path, made in outcomes.items() if path != page} == {Outcome.AGAIN}
    assert files(node) == PAGES and not html(node, P).is_symlink()
    assert set(land(node, change_of_kind(node)).values()) == {Outcome.APPLIED}


def test_if_one_deletion_is_held_so_is_all_of_it(start: Starter) -> None:
    node = start()
    filled(node)
    asked = list[int]()

    def held(region: str, size: int, before: bool) -> str:
        asked.append(size)
        return "held" if len(asked) == len(PAGES) else ""

    node.landing._held = held
    entries = change_of_kind(node)
    assert set(land(node, entries).values()) == {Outcome.HELD}
    assert files(node) == PAGES and len(asked) == len(PAGES)
    assert {row.path for row in node.index.flagged(Flag.HELD)} >= {*PAGES, LINK}
    node.landing._held = lambda region, size, held: ""
    assert set(land(node, entries).values()) == {Outcome.APPLIED}
    assert html(node, P).is_symlink() and not node.index.flagged(Flag.HELD)


@pytest.mark.parametrize(
    ("moves", "number", "outcome"),
    [
        (0, errno.ENOSPC, Outcome.FULL),
        (4, errno.EDQUOT, Outcome.FULL),
        (10, errno.EROFS, Outcome.FULL),
        (4, errno.EACCES, Outcome.BUSY),
    ],
)
def test_what_cannot_be_kept_stays_in_the_root(
    start: Starter, monkeypatch: pytest.MonkeyPatch, moves: int, number: int, outcome: Outcome
) -> None:
    node = start()
    filled(node)
    left = [moves]

    def full(*args: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, "not now")
        real(*args)

    real: Callable[..., None] = keep._between
    with monkeypatch.context() as patched:

        def between(*args: Any) -> None:
            try:
                full(*args)
            except OSError as error:
                raise faults.translate(error, RelPath(b"x")) from error

        patched.setattr(keep, "_between", between)
        outcomes = land(node, change_of_kind(node))
    assert outcomes[P] is outcome
    assert files(node) == PAGES and not html(node, P).is_symlink()
    assert trash(node) == {}
    assert set(land(node, change_of_kind(node)).values()) == {Outcome.APPLIED}


def test_a_symlink_that_was_made_anew_as_it_was_can_leave(start: Starter) -> None:
    node = start()
    filled(node)
    before = html(node, LINK).lstat()
    html(node, LINK).unlink()
    html(node, b"releases/taken").write_text("its inode")
    os.symlink("page-0", html(node, LINK))
    os.utime(html(node, LINK), ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)
    (gone, *_) = (one for one in change_of_kind(node) if one.path == LINK)
    assert {LINK: Outcome.APPLIED} == land(node, (gone,))


def test_more_than_land_in_one_go_are_not_cut_apart(start: Starter) -> None:
    node = start()
    filled(node)
    entries = change_of_kind(node)
    assert [range(len(entries))] == list(replaced.slices(len(entries), 2, replaced.replaced(entries)))


def test_what_the_node_never_had_is_only_noted(start: Starter) -> None:
    node = start()
    filled(node)
    never = Entry(RelPath(P + b"/never"), Version(((PEER, 9),), (Head(Dot(9, PEER), Kind.TOMBSTONE),)))
    assert set(land(node, (never, *change_of_kind(node))).values()) == {Outcome.APPLIED}
    assert html(node, P).is_symlink()


def test_path_by_path_decides_where_something_lives(start: Starter) -> None:
    node = start()
    filled(node)
    *dead, link = change_of_kind(node)
    assert Whole(node.landing.lander("ams"), link, dead[1:]).land(None) is None


def test_what_a_rename_would_end_stays_where_a_symlink_before_it_could_not_go(start: Starter) -> None:
    """`current` led to what was in the old release, and was to go first; the file of the new one is a copy then."""
    node = start()
    for name in ("rel1", "rel2"):
        html(node, name.encode()).mkdir()
    html(node, b"rel1/data").write_bytes(b"x")
    os.symlink("rel1", html(node, b"current"))
    seen(node)
    old, new, current = (RelPath(path) for path in (b"rel1/data", b"rel2/data", b"current"))
    row = node.replica.row(old)
    best = versions.winner(row.version)
    assert best is not None
    moved = versions.write(
        node.replica.row(new).version, msgspec.structs.replace(best, dot=Dot(best.dot.counter + 1, PEER))
    )
    dead = entry(node, old, Kind.TOMBSTONE)
    entries = (
        msgspec.structs.replace(entry(node, current, Kind.SYMLINK, b"rel2"), leans=1),
        Entry(new, moved, How.FROM, old),
        msgspec.structs.replace(dead, leans=2),
    )
    lander, made = node.landing.lander("ams"), dict[RelPath, Outcome]()
    waits = {1}
    with node.landing.slice("ams", entries, {}, {old: entries[2]}):
        for at, done in landed(lander, entries, range(3), {}, lambda leans: leans not in waits, {}, {old: entries[2]}):
            made[entries[at].path] = done.outcome
            if done.outcome is Outcome.AGAIN:
                waits.add(2)
    assert {current: Outcome.AGAIN, new: Outcome.APPLIED, old: Outcome.AGAIN} == made
    assert [b"x"] * 2 == [html(node, path).read_bytes() for path in (b"current/data", new)]
