"""Two regions as the compose file has them: what is written in one web root is in the other, and nothing else."""

import json
import re
from collections.abc import Callable

import pytest

from tests.support.asking import wait_for
from tests.support.compose import WITHIN, Answer, Project, Site, said
from tests.support.visitor import author, version, visiting

SILENCE = 3.0
BOTH_WAYS = pytest.mark.parametrize("here", ["msk", "ams"])
NAMES = (
    b"plain.html",
    b"#hash",
    b";semicolon",
    b"-dash",
    b" space ",
    b"new\nline",
    b"tab\tquote\"'\\",
    b"invalid-\xff\xfe-utf8",
    "страница-ü".encode(),
    b"star*?[x]",
    b"$HOME`id`",
    b"n" * 255,
)


@BOTH_WAYS
def test_a_page_written_in_one_web_server_is_served_by_the_other(site: Site, here: str) -> None:
    writer, other = (site.msk, site.ams) if here == "msk" else (site.ams, site.msk)
    writer.sh(f"echo hello from {here} >page.html")
    expected = Answer(200, other.region.name, f"hello from {here}\n".encode())
    wait_for(lambda: expected == other.fetch("page.html"), f"the page at {other.region.name}", WITHIN)


@BOTH_WAYS
def test_every_kind_of_thing_arrives(site: Site, here: str) -> None:
    writer = site.msk if here == "msk" else site.ams
    writer.sh("""
        umask 022
        mkdir -p dir/deep 'empty dir'
        : >empty
        head -c 300000 /dev/urandom >dir/page
        echo secret >dir/private; chmod 600 dir/private
        echo '#!/bin/sh' >dir/script; chmod 755 dir/script
        touch -d '2001-02-03 04:05:06.789012345 UTC' dir/page
        ln -s dir/page link
        ln -s nowhere dangling
        head -c 9000000 /dev/urandom >large
    """)
    tree = site.wait_identical()
    assert {"dir", "dir/deep", "dir/page", "dir/private", "dir/script"} <= set(tree)
    assert {"empty dir", "empty", "link", "dangling", "large"} <= set(tree)
    assert ("file", 0o644, 300_000) == tree["dir/page"][:3]
    assert 981_173_106_789_012_345 == tree["dir/page"][4]
    assert 0o600 == tree["dir/private"][1]
    assert 0o755 == tree["dir/script"][1]
    assert ("symlink", "dir/page") == tree["link"][:2]


@BOTH_WAYS
def test_names_of_any_bytes_arrive(site: Site, here: str) -> None:
    writer = site.msk if here == "msk" else site.ams
    writer.python(f"for name in {NAMES!r}: open(name, 'wb').write(name)")
    tree = site.wait_identical()
    assert {name.decode("utf-8", "surrogateescape") for name in NAMES} == set(tree)


def test_edits_of_modes_names_and_kinds_arrive(site: Site) -> None:
    site.msk.sh("mkdir -p tree/deep; for name in a b c d tree/deep/leaf; do echo $name >$name; done")
    site.wait_identical()
    site.ams.sh("echo edited >a; chmod 640 a; rm b; mv c renamed; rm d; mkdir d; echo inside >d/page; mv tree moved")
    tree = site.wait_identical()
    assert {"a", "renamed", "d", "d/page", "moved", "moved/deep", "moved/deep/leaf"} == set(tree)
    assert 0o640 == tree["a"][1]
    site.msk.sh("sed -i s/edited/again/ a; rm -rf d moved; ln -s a d; touch -d 2001-01-01 renamed")
    tree = site.wait_identical()
    assert {"a", "d", "renamed"} == set(tree)
    assert b"again\n" == site.ams.fetch("d").body


def test_a_rename_moves_no_content(site: Site) -> None:
    site.msk.sh("mkdir old; for n in $(seq 50); do head -c 10000 /dev/urandom >old/page-$n; done")
    site.wait_identical()
    sent = [region.asked.metric("georoot_files_sent_total") for region in site.project.regions]
    site.msk.sh("mv old new")
    assert "new/page-50" in site.wait_identical()
    site.ams.sh("mv new newer")
    assert "newer/page-50" in site.wait_identical()
    assert sent == [region.asked.metric("georoot_files_sent_total") for region in site.project.regions]


def test_silence_follows_upon_work(site: Site) -> None:
    site.msk.sh("mkdir d; for n in $(seq 100); do echo $n >d/m-$n; done; mv d e; rm e/m-1")
    site.ams.sh("for n in $(seq 100); do echo $n >a-$n; done; rm a-1; mv a-2 b-2; chmod 600 a-3")
    site.wait_identical()
    before, after = site.project.silent(SILENCE)
    assert before == after
    assert all(counted["georoot_rows_written_total"] > 200 for counted in after)


def test_a_visitor_sees_whole_versions_only(site: Site) -> None:
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    with visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        site.msk.python(author("page", 100, 0.01))
        site.wait_identical()
        wait_for(lambda: version(99)[0] in visit.letters, "the last version seen", WITHIN)
    assert [] == visit.wrong
    assert len(visit.letters) > 3


def test_a_path_of_another_owner_is_a_problem_of_that_path_alone(site: Site) -> None:
    where = f"/volumes/msk/html/{site.name}"
    said(site.project.witness, "install", "-m", "0600", "/dev/null", f"{where}/root's", user="0")
    path = f"{site.name}/root's"

    def problems() -> list[str]:
        return [problem["path"] for problem in site.msk.region.asked.status()["problems"] if problem["hint"]]

    wait_for(lambda: path in problems(), "the path among the problems, with a hint", WITHIN)
    site.msk.sh("echo goes on >other")
    wait_for(lambda: site.ams.fetch("other").status == 200, "another file", WITHIN)
    said(site.project.witness, "chown", "33:33", f"{where}/root's", user="0")
    assert {"root's", "other"} == set(site.wait_identical())
    wait_for(lambda: path not in problems(), "no problem any more", WITHIN)


def test_each_region_sees_its_own_keys_alone(project: Project) -> None:
    own = ("client_key", "client_key.pub", "host_key", "host_key.pub", "peers")
    public = set()
    for region, peer in (("msk", "ams"), ("ams", "msk")):
        sidecar = getattr(project, region).sidecar
        assert sorted(own) == said(sidecar, "ls", "/etc/georoot/keys").split()
        assert [peer] == said(sidecar, "ls", "/etc/georoot/keys/peers").split()
        public |= {said(sidecar, "cat", f"/etc/georoot/keys/{name}.pub") for name in ("client_key", "host_key")}
    assert 4 == len(public)


def test_the_root_file_system_of_the_sidecar_is_read_only(project: Project) -> None:
    done = project.msk.sidecar.exec_run(["touch", "/opt/georoot/x"], user="0")
    assert 0 != done.exit_code
    assert isinstance(done.output, bytes) and b"Read-only file system" in done.output


def test_status_and_healthcheck_answer_in_the_container(project: Project) -> None:
    page = said(project.msk.sidecar, "sidecar", "status")
    assert re.search(r"^msk/msk +running, ready", page), page
    assert "ams" == json.loads(said(project.msk.sidecar, "sidecar", "status", "--json"))["peers"][0]["region"]
    said(project.msk.sidecar, "sidecar", "status", "--check")
    said(project.msk.sidecar, "sidecar", "healthcheck")


def test_a_healthcheck_costs_little(project: Project, record_property: Callable[[str, object], None]) -> None:
    turns = 20
    script = f"for n in $(seq {turns}); do sidecar healthcheck || exit; done; times"
    *_, children = said(project.ams.sidecar, "bash", "-c", script).splitlines()
    seconds = [int(minutes) * 60 + float(rest) for minutes, rest in re.findall(r"(\d+)m([\d.]+)s", children)]
    each = 1000 * sum(seconds) / turns
    record_property("CPU of a health check", f"{each:.1f} ms")
    assert each <= 100
