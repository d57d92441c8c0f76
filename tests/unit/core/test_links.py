"""Where a symlink leads is worked out from the index, never by following it on the disk."""

import pytest

from sidecar.core.links import MAX_HOPS, Resolver
from tests.unit.core.facts import path

LINKS: dict[bytes, bytes] = {
    b"current": b"releases/7",
    b"releases/latest": b"7",
    b"twice": b"current/css",
    b"out": b"../secret",
    b"ring": b"gnir",
    b"gnir": b"ring",
    b"deep/down/up": b"../../top",
    b"absolute": b"/var/www/html/releases/7",
    b"elsewhere": b"/etc",
}
SERVED_AT = b"/var/www/html/"


def resolver(served_at: bytes = SERVED_AT) -> Resolver:
    return Resolver(LINKS.get, served_at)


@pytest.mark.parametrize(
    ("why", "targets", "link", "target"),
    [
        ("beside it", [b"b"], "a", b"b"),
        ("in its own directory", [b"d/b"], "d/a", b"b"),
        ("beneath it", [b"d/e/b"], "d/a", b"e/b"),
        ("up and down again", [b"e/b"], "d/a", b"../e/b"),
        ("the web root itself", [b""], "d/a", b".."),
        ("dots and double slashes are nothing", [b"d/b"], "d/a", b".//./b/"),
        ("through another symlink", [b"current", b"releases/7/css"], "a", b"current/css"),
        ("through two", [b"twice", b"current", b"releases/7/css/x"], "a", b"twice/x"),
        ("a symlink is what it leads to", [b"releases/latest", b"releases/7"], "a", b"releases/latest"),
        ("up from where a symlink leads", [b"current", b"releases/6"], "a", b"current/../6"),
        ("up out of a directory, through a symlink", [b"deep/down/up", b"top/x"], "a", b"deep/down/up/x"),
        ("an absolute target beneath the served root", [b"x"], "d/a", b"/var/www/html/x"),
        ("the served root itself", [b""], "d/a", b"/var/www/html"),
        ("through an absolute symlink", [b"absolute", b"releases/7/x"], "a", b"absolute/x"),
        ("it leaves the root", None, "a", b"../b"),
        ("it leaves the root and comes back", None, "a", b"../html/b"),
        ("an absolute target elsewhere", None, "a", b"/etc/passwd"),
        ("a name that only begins like the served root", None, "a", b"/var/www/html2/x"),
        ("through one that leaves the root", None, "a", b"out/x"),
        ("through one that leads elsewhere", None, "a", b"elsewhere/x"),
        ("a ring of two", None, "a", b"ring"),
        ("its own name", None, "a", b"a"),
        ("its own name, with more behind it", None, "a", b"a/b"),
        ("its own name by a detour", None, "d/a", b"../d/a"),
    ],
)
def test_what_must_be_there_for_a_symlink_to_lead_somewhere(
    why: str, targets: list[bytes] | None, link: str, target: bytes
) -> None:
    assert targets == resolver().targets(path(link), target), why


def test_without_a_served_root_every_absolute_target_leaves() -> None:
    assert resolver(b"").targets(path("a"), b"/var/www/html/x") is None
    assert resolver(b"").leaves(path("a"), b"/var/www/html/x")


def test_as_many_symlinks_are_followed_as_the_kernel_follows() -> None:
    chain = Resolver(lambda at: b"%d" % (int(at) + 1) if at.isdigit() and int(at) < MAX_HOPS else None)
    found = chain.targets(path("a"), b"0")
    assert found is not None and b"%d" % MAX_HOPS == found[-1]
    longer = Resolver(lambda at: b"%d" % (int(at) + 1) if at.isdigit() and int(at) <= MAX_HOPS else None)
    assert longer.targets(path("a"), b"0") is None


@pytest.mark.parametrize(
    ("leaves", "link", "target"),
    [
        (False, "a", b"b"),
        (False, "a", b""),
        (False, "a", b"."),
        (False, "d/a", b".."),
        (False, "d/a", b"../b"),
        (False, "a", b"b/.."),
        (False, "a", b"/var/www/html"),
        (False, "a", b"/var/www/html/b/.."),
        (False, "a", b"ring"),
        (False, "a", b"out/x"),
        (True, "a", b".."),
        (True, "a", b"../html/b"),
        (True, "a", b"b/../../c"),
        (True, "d/a", b"../.."),
        (True, "a", b"/"),
        (True, "a", b"/etc"),
        (True, "a", b"/var/www"),
        (True, "a", b"/var/www/html2"),
        (True, "a", b"/var/www/html/.."),
        (True, "d/a", b"/var/www/html/../html"),
    ],
)
def test_which_symlinks_leave_the_web_root(leaves: bool, link: str, target: bytes) -> None:
    assert leaves == resolver().leaves(path(link), target)
