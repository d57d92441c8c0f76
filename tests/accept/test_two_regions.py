"""Both regions, at full size: real content in and out, ten thousand files at once, faults, silence, a visitor."""

import hashlib
import random
import time
import urllib.parse
from collections.abc import Callable

import pytest

from tests.support import quarrel
from tests.support.compose import TEST_IMAGE, Corner, Project, Site, said
from tests.support.faults import Fault, killed, restarting, stopped
from tests.support.packages import MANUALS, OTHERS, Packages
from tests.support.tree import Tree
from tests.support.visitor import author, version, visiting

LONG = 300.0
"""Seconds that the largest trees may take."""
SILENCE = 30.0
SAMPLE = 300
BULK = 3000
BURST = 10_000
BURST_WITHIN = 5.0
TURNS = 3
REWRITES = 500

Record = Callable[[str, object], None]

_BURST = """
import os, sys, time
msk, ams, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
content = {f"file-{n}": os.urandom(4096) for n in range(count)}
began = time.perf_counter()
os.mkdir(msk)
for name, data in content.items():
    with open(f"{msk}/{name}", "wb") as file:
        file.write(data)
wrote = time.perf_counter() - began
def identical():
    try:
        if len(os.listdir(ams)) < count:
            return False
        return all(open(f"{ams}/{name}", "rb").read() == data for name, data in content.items())
    except FileNotFoundError:
        return False
while not identical():
    if time.perf_counter() - began > 120:
        sys.exit("not identical within 120 s")
    time.sleep(0.002)
print(wrote, time.perf_counter() - began)
"""


@pytest.fixture(scope="session")
def packages(project: Project) -> Packages:
    return Packages(project)


def assert_silent(site: Site) -> None:
    """Nothing moves and no row is written while nobody writes."""
    before, after = site.project.silent(SILENCE)
    assert before == after


def timed(site: Site, record: Record, what: str, work: Callable[[], object]) -> Tree:
    """Do it, wait until both regions hold the same, and say how long that took after it was done."""
    began = time.monotonic()
    work()
    done = time.monotonic()
    tree = site.wait_identical(LONG)
    record(what, f"{done - began:.1f} s, identical {time.monotonic() - done:.1f} s later, {size(tree)}")
    return tree


def size(tree: Tree) -> str:
    files = [facts for facts in tree.values() if facts[0] == "file"]
    links = sum(facts[0] == "symlink" for facts in tree.values())
    megabytes = sum(int(str(facts[2])) for facts in files) / 1e6
    return f"{len(files)} files of {megabytes:.1f} MB, {links} symlinks"


def assert_served(corner: Corner, tree: Tree) -> None:
    """A sample of the files, as the region's web server sends them."""
    files = sorted(path for path, facts in tree.items() if facts[0] == "file")
    for path in random.Random(1).sample(files, min(SAMPLE, len(files))):
        answer = corner.fetch(urllib.parse.quote(path))
        assert (200, corner.region.name) == (answer.status, answer.region), path
        assert tree[path][3] == hashlib.sha256(answer.body).hexdigest(), path


@pytest.mark.parametrize(("here", "names", "least"), [("msk", MANUALS, 1500), ("ams", OTHERS, 300)])
def test_real_content_is_identical_and_served_in_the_other_region(
    site: Site, packages: Packages, record_property: Record, here: str, names: tuple[str, ...], least: int
) -> None:
    writer, other = (site.msk, site.ams) if here == "msk" else (site.ams, site.msk)
    tree = timed(site, record_property, f"{names} in {here}", lambda: packages.unpack(names, writer, "manuals"))
    assert len(tree) > least
    assert_served(other, tree)
    assert_silent(site)


def test_work_on_real_content_arrives(site: Site, packages: Packages, record_property: Record) -> None:
    tree = timed(site, record_property, "unpacked", lambda: packages.unpack(MANUALS, site.msk, "manuals"))
    for what, side, script in (
        ("rm -rf of a language", site.msk, "rm -rf manuals/usr/share/doc/apache2-doc/manual/fr"),
        ("mv of the top directory", site.msk, "mv manuals books"),
        ("mv back, by the other region", site.ams, "mv books manuals"),
        (
            "chmod",
            site.msk,
            "chmod -R g+w,o-r manuals/usr/share/doc/apache2-doc; chmod 600 manuals/usr/share/info/*.gz",
        ),
        ("a symlink", site.ams, "ln -s manuals/usr/share/doc current; ln -sfn manuals/usr/share current"),
        ("sed -i of every page", site.ams, "find manuals -name '*.html' -exec sed -i 's/<body/<body lang=xx/' {} +"),
        ("rm -rf of all", site.msk, "rm -rf manuals"),
    ):
        tree = timed(site, record_property, what, lambda side=side, script=script: side.sh(script))  # type: ignore[misc]
    assert {"current"} == set(tree)
    assert_silent(site)


def test_a_git_checkout_of_another_revision_in_place_arrives(
    site: Site, packages: Packages, record_property: Record
) -> None:
    packages.unpack(("apache2-doc",), site.msk, "site")
    workbench = site.project.beside(TEST_IMAGE, {}, environment={"HOME": "/tmp"})

    def git(corner: Corner, script: str) -> Callable[[], str]:
        where = f"/volumes/{corner.region.name}/html/{corner.name}/site"
        who = "git config --global user.name x; git config --global user.email x@example.net"
        return lambda: said(workbench, "sh", "-euc", f"{who}; {script}", workdir=where)

    timed(
        site,
        record_property,
        "git init, add, commit",
        git(site.msk, "git init -q -b one; git add .; git commit -qm one"),
    )
    change = """
        git checkout -q -b two
        git rm -qr usr/share/doc/apache2-doc/manual/ko
        git mv usr/share/doc/apache2-doc/manual/de usr/share/doc/apache2-doc/manual/german
        find . -path ./.git -prune -o -name '*.en.html' -exec sed -i s/Apache/APACHE/g {} +
        git add .
        git commit -qm two
    """
    two = timed(site, record_property, "another revision made", git(site.msk, change))
    one = timed(site, record_property, "git checkout one", git(site.msk, "git checkout -q one"))
    again = timed(site, record_property, "git checkout two, in ams", git(site.ams, "git checkout -q two"))
    german = "site/usr/share/doc/apache2-doc/manual/german"
    assert german in two and german not in one and german in again
    assert "" == git(site.msk, "git status --porcelain")()
    assert_silent(site)


@pytest.mark.parametrize("fault", [killed, restarting, stopped])
def test_both_sides_are_worked_on_while(site: Site, record_property: Record, fault: Fault) -> None:
    quarrel.prepare(site, BULK)
    with fault(site):
        for corner in site.both:
            quarrel.edit(corner, BULK)
    began = time.monotonic()
    tree = quarrel.verify(site, BULK)
    record_property(fault.__name__, f"identical {time.monotonic() - began:.1f} s later, {size(tree)}")
    assert_silent(site)


def test_a_visitor_sees_whole_versions_only(site: Site, record_property: Record) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    with visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        site.msk.python(author("page", REWRITES, 0.02))
        site.wait_identical()
    record_property("a visitor's answers", f"{visit.answers}, not whole: {len(visit.wrong)}")
    assert [] == visit.wrong
    assert len(visit.letters) > 10
    assert version(REWRITES - 1) == site.ams.fetch("page").body
    assert_silent(site)


def test_ten_thousand_files_at_once(site: Site, record_property: Record) -> None:
    taken = list[float]()
    for turn in range(1, TURNS + 1):
        where = (f"/volumes/{region}/html/{site.name}/{turn}" for region in ("msk", "ams"))
        done = said(site.project.witness, "/usr/bin/python3", "-Bc", _BURST, *where, str(BURST))
        wrote, identical = (float(word) for word in done.split())
        taken.append(identical)
        what = f"written in {wrote:.2f} s, identical {identical:.2f} s after the first"
        record_property(f"{BURST} files of 4 KiB, turn {turn}", what)
        assert (BURST + 1) * turn == len(site.wait_identical(LONG))
    assert_silent(site)
    assert max(taken) <= BURST_WITHIN
