"""What is never replicated: patterns as rsync and lsyncd write them."""

import os

import pytest

from sidecar.core.ignore import DEFAULTS, excluder, within_excluded
from sidecar.core.paths import RelPath
from sidecar.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "excluded", "kept"),
    [
        # a name: anywhere, whatever it is
        ("foo", "foo a/foo a/b/foo foo/", "foox xfoo a/foox"),
        # with its directory: at the end of any path
        ("a/foo", "a/foo x/a/foo", "foo b/foo xa/foo"),
        # anchored at the web root
        ("/foo", "foo foo/", "a/foo"),
        ("/a/foo", "a/foo", "foo x/a/foo"),
        # directories only
        ("foo/", "foo/ a/foo/", "foo a/foo"),
        ("/foo/", "foo/", "foo a/foo/"),
        ("a/foo/", "a/foo/ x/a/foo/", "a/foo b/foo/"),
        # * and ? stop at a slash, ** does not
        ("*.o", "a.o d/b.o .o", "a.os a.o.c"),
        ("f?o", "fxo d/foo", "fo f/o fxxo"),
        ("/a/*/c", "a/b/c", "a/c a/b/b/c"),
        ("/a/**/c", "a/b/c a/b/b/c", "a/b"),
        ("a*c", "ac abc a/abc", "a/c abcd"),
        ("/cache/**", "cache/x cache/x/y", "x a/cache/x"),
        # classes
        ("f[ab]o", "fao fbo", "fco fo"),
        ("f[!ab]o", "fco", "fao"),
        ("f[a-c]o", "fbo", "fdo"),
        # what looks special and is not
        ("a.b", "a.b", "axb"),
        ("a+b(c)", "a+b(c)", "aab(c)"),
        ("#foo#", "#foo# a/#foo#", "foo"),
        (r"\*", "* a/*", "a"),
        ("foo bar", "foo\0bar", "foo bar"),
        ("- foo", "foo", "-"),
        ("ü", "ü a/ü", "u"),
    ],
)
def test_a_pattern_excludes_these_and_not_those(pattern: str, excluded: str, kept: str) -> None:
    """Names are parted by spaces, a NUL stands for a space, a slash at the end for a directory."""
    matches = excluder([pattern])
    for names, expected in ((excluded, True), (kept, False)):
        for name in names.split():
            path = os.fsencode(name.rstrip("/").replace("\0", " "))
            assert expected == matches(RelPath(path), name.endswith("/")), name


def test_one_pattern_is_enough() -> None:
    matches = excluder(["*.log", "/tmp/"])
    assert [True, True, False] == [
        matches(RelPath(p), d) for p, d in ((b"a.log", False), (b"tmp", True), (b"a", False))
    ]


def test_without_patterns_nothing_is_excluded() -> None:
    assert not excluder([])(RelPath(b"anything"), True)


@pytest.mark.parametrize("name", [b"foo\n", b"foo\nbar", b"\xff\xfe", b"x\nfoo"])
def test_a_name_of_any_bytes_is_matched_whole(name: bytes) -> None:
    assert excluder(["*"])(RelPath(name), False)
    assert not excluder(["foo"])(RelPath(name), False)


def test_a_pattern_of_bytes_that_are_no_text_matches_them() -> None:
    assert excluder([os.fsdecode(b"caf\xe9")])(RelPath(b"caf\xe9"), False)


@pytest.mark.parametrize(
    ("within", "path", "is_dir"),
    [
        (True, b"cache", True),
        (True, b"cache/a", False),
        (True, b"x/cache/a/b", False),
        (True, b"a.tmp", False),
        (False, b"cache", False),
        (False, b"caches/a", False),
        (False, b"x/a", False),
    ],
)
def test_what_lies_in_an_excluded_directory_is_excluded_with_it(within: bool, path: bytes, is_dir: bool) -> None:
    assert within == within_excluded(excluder(["cache/", "*.tmp"]), RelPath(path), is_dir)
    assert within == within_excluded(
        lambda at, is_dir: (at.endswith(b"cache") and is_dir) or at == b"a.tmp", RelPath(path), is_dir
    )


@pytest.mark.parametrize("pattern", ["", "/", "//", "!foo", "+ foo", "- ", "[", "foo\\"])
def test_what_is_no_pattern_that_excludes_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="exclude"):
        excluder([pattern])


@pytest.mark.parametrize(
    "name",
    [
        *(".page.html.swp", ".page.html.swo", "a/.page.swa", ".swp", "page.html~", ".#page.html"),
        *(".nfs000000000012", ".DS_Store", "a/._.DS_Store", "lost+found/"),
        *(".index.html.Xa3bQz", ".index.html.aaaaaZ", "d/.site.css.AAAAAA", ".~tmp~/", "d/.~tmp~/"),
    ],
)
def test_what_editors_file_systems_and_rsync_leave_for_a_moment_is_excluded(name: str) -> None:
    assert excluder(DEFAULTS)(RelPath(name.rstrip("/").encode()), name.endswith("/"))


@pytest.mark.parametrize(
    "name",
    [
        *("index.html", ".htaccess", ".htpasswd", ".well-known/", ".env.sample", ".eslintrc.json", ".gitlab-ci.yml"),
        *(
            "4913/",
            "4913",
            "a.swf",
            "a.swp",
            "page.sw",
            "page~1",
            "#page#",
            "d/lost+found/",
            "lost+found",
            "index.html.Xa3bQz",
        ),
        *("README.MD", "jquery.min.js"),
    ],
)
def test_what_a_site_is_made_of_is_not(name: str) -> None:
    assert not excluder(DEFAULTS)(RelPath(name.rstrip("/").encode()), name.endswith("/"))
