"""A restore over a real web root, and a kill in the middle of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, Itself, Keep, Moved, Out, Source, Staged, Stored
from sidecar.engine import restore
from sidecar.engine.node import Node
from sidecar.engine.restore import Restorer, Wanted
from sidecar.errors import NeedsHelp
from sidecar.fs import faults
from tests.unit.engine.conftest import Starter

PAGE = RelPath(b"page")


class Killed(BaseException):
    """The process ends here."""


def write(node: Node, text: str) -> None:
    """A local writer writes the page, and the node has seen it."""
    Path(node.root.path, "page").write_text(text)
    node.intake.absorb([PAGE])


def deleted(node: Node) -> Wanted:
    """The page as it is goes to the trash; what is to be wanted to have it back."""
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None
    with node.index.transaction():
        node.disk.remove(PAGE, Out(row.stat, row.hash, Keep.DELETED))
    node.intake.absorb([PAGE])
    return Wanted(PAGE, row.stat, row.hash)


def put(node: Node, wanted: Wanted) -> None:
    restorer = Restorer(node.replica, node.absorber)
    with node.landing.by_hand(wanted.path, restorer.head(wanted)):
        restorer.put(wanted)


def kept(node: Node) -> list[bytes]:
    """The bytes that the index lists in the trash, each path's."""
    assert all(item.path == PAGE for item in node.index.youngest_trash(100))
    return sorted(node.root.trash.read(item.name) for item in node.index.youngest_trash(100))


def test_what_is_shown_is_what_was_wanted_and_what_lay_there_is_kept(start: Starter) -> None:
    node = start()
    write(node, "first")
    wanted = deleted(node)
    write(node, "second")
    put(node, wanted)
    row = node.index.get(PAGE)
    assert b"first" == node.root.read(PAGE)
    assert row is not None and row.stat == node.root.lstat(PAGE) and row.hash == wanted.hash
    assert 1 == len(row.version.heads)
    assert [b"first", b"second"] == kept(node)
    assert [] == node.index.intents()


@pytest.mark.parametrize("step", ["stage_copy", "exchange", "out_to_trash", "add_trash", "put"])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_in_the_middle_leaves_either_version_and_lists_all_the_rest(
    start: Starter, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    node = start()
    write(node, "first")
    wanted = deleted(node)
    write(node, "second")
    where: Any = {
        "stage_copy": "sidecar.engine.disk.stage.stage_copy",
        "exchange": "sidecar.engine.disk.apply.exchange",
        "out_to_trash": "sidecar.engine.keeping.keep.out_to_trash",
    }
    with monkeypatch.context() as patched:
        if step in where:
            module, _, name = where[step].rpartition(".")
            patched.setattr(where[step], _killing(_found(module, name), after))
        else:
            patched.setattr(node.index, step, _killing(getattr(node.index, step), after))
        with pytest.raises(Killed):
            put(node, wanted)
    node = start()
    node.intake.absorb([PAGE])
    shown = node.root.read(PAGE)
    assert shown in {b"first", b"second"}
    assert {b"first", b"second"} == {shown, *kept(node)}
    assert [] == node.index.intents()
    row = node.index.get(PAGE)
    assert row is not None and row.stat == node.root.lstat(PAGE)
    assert [] == _made(node)


def _found(module: str, name: str) -> Any:
    package, _, leaf = module.rpartition(".")
    return getattr(getattr(__import__(package, fromlist=[leaf]), leaf), name)


def _killing(step: Callable[..., Any], after: bool) -> Callable[..., Any]:
    def killed(*args: Any, **kwargs: Any) -> Any:
        if after:
            step(*args, **kwargs)
        raise Killed

    return killed


def _made(node: Node) -> list[bytes]:
    return [name for name, _ in node.root.inbox.listdir(RelPath(b".made")).entries]


@pytest.mark.parametrize("how", ["stored", "staged", "symlink", "moved"])
@pytest.mark.parametrize("kept", [Keep.REPLACED, Keep.CONFLICT])
def test_what_cannot_be_kept_goes_back(start: Starter, monkeypatch: pytest.MonkeyPatch, how: str, kept: Keep) -> None:
    node = start()
    write(node, "first")
    wanted = deleted(node)
    write(node, "second")
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None
    head = Head(node.replica.dots.on(row.version), Kind.FILE, 5, 10**18, 0o644, wanted.hash)
    source: Source = Stored(wanted.hash)
    if how == "staged":
        (Path(node.options.inbox) / "ams").mkdir()
        (Path(node.options.inbox) / "ams" / "1").write_text("first")
        stat = node.root.inbox.lstat(RelPath(b"ams/1"))
        assert stat is not None
        source = Staged("ams", b"1", wanted.hash, stat.ino)
    elif how == "symlink":
        head, source = Head(head.dot, Kind.SYMLINK, target=b"elsewhere"), Itself()
    elif how == "moved":
        Path(node.root.path, "other").write_text("first")
        stat = node.root.lstat(RelPath(b"other"))
        assert stat is not None
        source = Moved(RelPath(b"other"), stat)

    def full(*_: object) -> None:
        raise faults.NoSpace(b"page")

    for name in ("to_trash", "out_to_trash", "to_conflicts") if kept is Keep.REPLACED else ("to_conflicts",):
        monkeypatch.setattr(f"sidecar.engine.keeping.keep.{name}", full)
    with pytest.raises(DiskFull):
        node.disk.put(PAGE, head, source, Out(row.stat, row.hash, kept))
    assert b"second" == node.root.read(PAGE)
    assert how != "staged" or b"first" == node.root.inbox.read(RelPath(b"ams/1"))
    assert how != "moved" or b"first" == node.root.read(RelPath(b"other"))
    assert [] == _made(node)


def test_what_cannot_be_put_back_changes_nothing(start: Starter) -> None:
    node = start()
    write(node, "first")
    gone = Wanted(PAGE, Stat(Kind.FILE, 3, 1, 0o644, 0, 0), b"no such hash....")
    with pytest.raises(NeedsHelp, match="page: its bytes are gone"):
        put(node, gone)
    assert b"first" == node.root.read(PAGE)
    Path(node.root.path, "dir").mkdir()
    with pytest.raises(NeedsHelp, match="dir: a directory lies there; move it away first"):
        put(node, Wanted(RelPath(b"dir"), gone.stat, gone.hash))


def test_a_directory_comes_back_with_its_mode_empty_or_not(start: Starter) -> None:
    node = start()
    top, empty = RelPath(b"dir"), RelPath(b"dir/empty")
    for path, mode in ((top, 0o750), (empty, 0o700)):
        Path(node.root.path, path.decode()).mkdir()
        Path(node.root.path, path.decode()).chmod(mode)
    node.intake.absorb([top, empty])
    with node.index.transaction():
        for path in (empty, top):
            row = node.index.get(path)
            assert row is not None and row.stat is not None
            node.disk.remove(path, Out(row.stat, b"", Keep.DELETED))
    node.intake.absorb([empty, top])
    assert not Path(node.root.path, "dir").exists()
    for item in restore.before(node.index, top):
        put(node, Wanted(item.path, item.stat, item.hash))
    assert [0o750, 0o700] == [Path(node.root.path, name).stat().st_mode & 0o7777 for name in ("dir", "dir/empty")]
    Path(node.root.path, "dir").chmod(0o755)
    node.intake.absorb([top])
    put(node, Wanted(top, Stat(Kind.DIR, 0, 0, 0o750, 1, 1), b""))
    row = node.index.get(top)
    assert row is not None and row.stat is not None and row.stat == node.root.lstat(top) and 0o750 == row.stat.mode
    assert [0o750] == [head.mode for head in row.version.heads]
