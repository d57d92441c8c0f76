"""Paths are bytes beneath the web root, and what a peer names is checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import paths
from sidecar.core.paths import ROOT, RelPath
from sidecar.errors import ProtocolViolation

NAME = st.binary(min_size=1, max_size=8).filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 47})
PATH = st.lists(NAME, min_size=1, max_size=5).map(b"/".join).filter(lambda path: not paths.is_state(RelPath(path)))


@pytest.mark.parametrize(
    ("path", "parent", "name", "ancestors", "depth"),
    [
        (b"a", b"", b"a", (), 0),
        (b"a/b", b"a", b"b", (b"a",), 1),
        (b"a/b/c", b"a/b", b"c", (b"a", b"a/b"), 2),
        (b"\xff/\n", b"\xff", b"\n", (b"\xff",), 1),
    ],
)
def test_where_a_path_lies(path: bytes, parent: bytes, name: bytes, ancestors: tuple[bytes, ...], depth: int) -> None:
    at = RelPath(path)
    assert (parent, name, ancestors, depth) == (paths.parent(at), paths.name(at), paths.ancestors(at), paths.depth(at))


@given(PATH)
def test_a_path_is_its_name_in_its_directory(path: bytes) -> None:
    at = RelPath(path)
    assert at == paths.join(paths.parent(at), paths.name(at))
    assert paths.depth(at) == len(paths.ancestors(at))
    assert all(paths.beneath(at, above) for above in (*paths.ancestors(at), ROOT))


@pytest.mark.parametrize(
    ("beneath", "path", "directory"),
    [
        (True, b"a/b", b"a"),
        (True, b"a/b/c", b"a"),
        (True, b"a", b""),
        (False, b"a", b"a"),
        (False, b"ab", b"a"),
        (False, b"a-b/c", b"a"),
        (False, b"a", b"a/b"),
        (False, b"", b""),
    ],
)
def test_what_is_beneath_a_directory(beneath: bool, path: bytes, directory: bytes) -> None:
    assert beneath == paths.beneath(RelPath(path), RelPath(directory))


@pytest.mark.parametrize(
    ("state", "path"),
    [(True, b".sidecar"), (True, b".sidecar/index.db"), (False, b".sidecars"), (False, b"a/.sidecar"), (False, b"")],
)
def test_the_sidecars_own_directory_is_the_one_at_the_top(state: bool, path: bytes) -> None:
    assert state == paths.is_state(RelPath(path))


@given(PATH)
def test_any_bytes_make_a_path(path: bytes) -> None:
    assert path == paths.checked(path)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"/", b"/a", b"a/", b"a//b"),
        *(b".", b"..", b"./a", b"../a", b"a/..", b"a/./b", b"a/../../b"),
        *(b"a\0", b"\0", b"a/\0b"),
        *(b".sidecar", b".sidecar/index.db"),
        *(b"n" * 256, b"a/" + b"n" * 256, b"/".join([b"n" * 255] * 15 + [b"n" * 128, b"n" * 127])),
    ],
)
def test_a_path_that_no_node_sends_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        paths.checked(raw)


@pytest.mark.parametrize(
    "raw", [b"...", b"..a", b".a", b"a..", b"n" * 255, b"a/.sidecar", b"/".join([b"n" * 255] * 16)]
)
def test_a_name_that_only_looks_odd_is_taken(raw: bytes) -> None:
    assert raw == paths.checked(raw)
