"""A receiver whose disk is full, or read-only, and paths that the sidecar may not touch: told, and made up for."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.asking import wait_for
from tests.support.compose import IMAGE, WITHIN, Project, Region, Site, said, two_regions
from tests.support.disks import Disk, on_a_disk
from tests.support.visitor import SIZE, author, visiting

MEGABYTES = 96
TIGHT = f"""
services:
  holder: # such a volume is there as long as somebody holds it, and begins empty
    image: {IMAGE}
    entrypoint: [/bin/sh, -c, "mkdir -p /srv/web/html /srv/web/.sidecar && exec sleep infinity"]
    command: []
    init: true
    network_mode: none
    volumes: [ams:/srv/web]
    healthcheck: {{ test: [CMD, test, -d, /srv/web/.sidecar], interval: 30s, start_period: 10s, start_interval: 200ms }}
  ams-sidecar:
    depends_on:
      holder: {{ condition: service_healthy }}
volumes:
  ams:
    driver: local
    driver_opts: {{ type: tmpfs, device: tmpfs, o: "size={MEGABYTES}m,uid=33,gid=33,mode=0755" }}
"""
FILES = 300
QUOTA = "12M"
"""What is written fills it in some ten seconds: what is replaced or deleted goes to the trash, on the same volume."""
_FILL = """
import os
with open("/volumes/ams/filler", "ab", buffering=0) as file:
    for size in (1 << 20, 1 << 12):
        try:
            while True:
                file.write(bytes(size))
        except OSError:
            pass
"""
_LOAD = f"""
import itertools, os, time
for number in itertools.count():
    if not os.path.exists("writing"):
        break
    with open("page", "wb") as file:
        file.write(bytes([97 + number % 26]) * {SIZE})
    with open(f"made-{{number}}", "wb") as file:
        file.write(os.urandom(20_000))
    with open(f"kept-{{number % 20}}", "wb") as file:
        file.write(os.urandom(3_000))
    if number >= 40:
        os.unlink(f"made-{{number - 40}}")
    time.sleep(0.05)
"""
_WRITE = """
import os
for number in range({files}):
    with open(f"{{number % 150}}", "wb") as file:
        file.write(f"{what} {{number}} ".encode() * {repeat})
"""


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two regions; the volume of ams is small."""
    otherwise = tmp_path_factory.mktemp("compose") / "tight.yaml"
    otherwise.write_text(TIGHT, "utf-8")
    with two_regions(otherwise=Path(otherwise)) as made:
        yield made


@pytest.fixture
def small(tight: Project, request: pytest.FixtureRequest) -> Site:
    made = Site(tight, request.node.name.removeprefix("test_"))
    made.make()
    return made


@pytest.fixture
def failing() -> Iterator[Disk]:
    """Two regions; the file system of ams may fail."""
    with on_a_disk("ext4") as made:
        yield made


@pytest.fixture(scope="module")
def limitable() -> Iterator[Disk]:
    """Two regions; the volume of ams may get a quota."""
    with on_a_disk("btrfs") as made:
        yield made


@pytest.fixture
def quota(limitable: Disk) -> Iterator[Disk]:
    """The same, without a quota before and after."""
    yield limitable
    limitable.limit("none")


@contextmanager
def writing(site: Site) -> Iterator[None]:
    """A writer in msk who makes, edits and deletes files, and rewrites a page, until the block ends; who reads the page
    in ams meets whole versions of it."""
    where = f"/volumes/msk/html/{site.name}"
    site.msk.sh("touch writing")
    with ThreadPoolExecutor(1) as pool, visiting(site.ams.region.web_port, f"/{site.name}/page") as visit:
        work = pool.submit(said, site.project.witness, "/usr/bin/python3", "-Bc", _LOAD, workdir=where)
        try:
            yield
        finally:
            site.msk.sh("rm writing")
        work.result(WITHIN)
    assert visit.answers and not visit.wrong, visit.wrong[:5]


def nothing_was_raised(project: Project) -> None:
    for region in project.regions:
        log = region.sidecar.logs().decode()
        for bad in ("Traceback", "a defect"):
            assert bad not in log, log[max(0, log.index(bad) - 1000) :][:6000]


def is_told(region: Region, problem: str) -> bool:
    """Do status, metrics and command all name this problem, of a path or of the node?"""
    status = region.asked.status()
    counted = sum(region.asked.metric(f"georoot_{name}") for name in ("problem_paths", "warnings"))
    told = [*status["warnings"], *(" ".join(one.values()) for one in status["problems"])]
    return bool(
        any(problem in line for line in told) and counted and problem in said(region.sidecar, "sidecar", "status")
    )


def test_a_full_disk_of_the_receiver_is_told_and_made_up_for_when_there_is_space_again(
    small: Site, record_property: Callable[[str, object], None]
) -> None:
    ams, project = small.ams.region, small.project
    small.msk.python(_WRITE.format(files=FILES, what="before", repeat=100))
    small.wait_identical()
    said(project.witness, "/usr/bin/python3", "-Bc", _FILL)
    assert ams.asked.metric("georoot_volume_free_bytes") < 1 << 16
    small.msk.python(_WRITE.format(files=FILES, what="while it is full", repeat=2000))
    small.msk.sh("head -c 20000000 /dev/urandom >large; rm 7; mkdir d; echo x >d/x")
    wait_for(lambda: is_told(ams, "no space left"), "ams says that its disk is full", WITHIN, every=0.2)
    assert ams.asked.status()["alive"] and 200 == small.ams.fetch("8").status
    assert small.msk.region.asked.metric("georoot_peer_pending_entries") > 0
    expected = project.trees(small.name)[0]
    said(project.witness, "rm", "/volumes/ams/filler")
    assert expected == small.wait_identical(120.0)
    assert not is_told(ams, "no space left")
    small.ams.sh("echo after >after")
    assert "after" in small.wait_identical()
    assert [0, 0] == [region.asked.status()["store"]["conflicts"] for region in project.regions]
    ams.sidecar.reload()
    assert 0 == ams.sidecar.attrs["RestartCount"]


def test_a_node_on_a_full_disk_starts_when_there_is_space_again(small: Site) -> None:
    ams, project = small.ams.region, small.project
    ams.sidecar.kill("KILL")
    said(project.witness, "/usr/bin/python3", "-Bc", _FILL)
    small.msk.sh("echo while it is down >down")
    ams.sidecar.start()
    said(project.witness, "sh", "-c", "sleep 5; rm /volumes/ams/filler")
    assert "down" in small.wait_identical(120.0)


def test_what_belongs_to_another_user_is_told_and_the_rest_goes_on(site: Site) -> None:
    ams, msk = site.ams.region, site.msk.region
    site.msk.sh("mkdir foreign; echo one >foreign/page; echo one >mine")
    site.wait_identical()
    there, here = (f"/volumes/{region}/html/{site.name}" for region in ("ams", "msk"))
    said(site.project.witness, "sh", "-euc", f"chown -R 0:0 {there}/foreign; chmod 755 {there}/foreign", user="0")
    said(site.project.witness, "sh", "-euc", f"echo secret >{here}/unreadable; chmod 600 {here}/unreadable", user="0")
    site.msk.sh("echo two >foreign/page; echo new >foreign/new; echo two >mine")
    wait_for(lambda: "two\n" == site.ams.read("mine"), "the rest goes on", WITHIN, every=0.1)
    wait_for(lambda: is_told(ams, "foreign"), "ams tells what it may not write", WITHIN, every=0.2)
    wait_for(lambda: is_told(msk, "unreadable"), "msk tells what it may not read", WITHIN, every=0.2)
    said(site.project.witness, "sh", "-euc", f"chown -R 33:33 {there}/foreign {here}/unreadable", user="0")
    wait_for(
        lambda: "unreadable" in site.project.trees(site.name)[1], "what may be read now is sent", 2 * WITHIN, every=0.2
    )
    tree = site.wait_identical(120.0)
    assert {"foreign", "foreign/page", "foreign/new", "mine", "unreadable"} == set(tree)
    assert "two\n" == site.ams.read("foreign/page")
    wait_for(lambda: not any(r.asked.status()["problems"] for r in (ams, msk)), "nothing is wrong any more", WITHIN)


def test_a_volume_that_is_mounted_read_only_is_refused_in_one_line(site: Site) -> None:
    project = site.project
    node = project.client.containers.run(
        IMAGE,
        ["run"],
        detach=True,
        user="33:33",
        environment={"GEOROOT_REGION": "msk"},
        volumes={f"{project.name}_msk": {"bind": "/srv/web", "mode": "ro"}},
        tmpfs={"/run/georoot": "mode=1777"},
        network_mode="none",
    )
    try:
        assert 3 == node.wait(timeout=60)["StatusCode"]
        assert "read-only" in node.logs().decode().strip().splitlines()[-1].lower()
    finally:
        node.remove(force=True)


def test_a_quota_of_the_receiver_is_told_and_made_up_for_when_it_is_raised(quota: Disk) -> None:
    project, site, ams = quota.project, Site(quota.project, "quota"), quota.project.ams
    site.make()
    site.msk.python(author("page", 1, 0))
    site.ams.sh("echo one >mine; echo one >deleted")
    site.wait_identical()
    quota.limit(QUOTA)
    with writing(site):
        wait_for(lambda: is_told(ams, "no space left"), "ams says that its quota is full", WITHIN, every=0.2)
        site.ams.sh("rm deleted")  # a deletion needs space for its row alone
        time.sleep(12)  # it is tried again
        wait_for(lambda: is_told(ams, "no space left"), "ams still says so", WITHIN, every=0.2)
        assert ams.asked.status()["alive"]
        assert project.msk.asked.metric("georoot_peer_pending_entries") > 0
        quota.limit("none")
        time.sleep(1)
    expected = project.trees(site.name)[0]
    expected.pop("deleted", None)
    assert expected == site.wait_identical(120.0)
    assert {"mine", "page"} < expected.keys()
    wait_for(lambda: not is_told(ams, "no space left"), "nothing is wrong any more", WITHIN, every=0.2)
    site.ams.sh("echo after >after")
    assert "after" in site.wait_identical()
    nothing_was_raised(project)
    assert [0, 0] == [region.asked.status()["store"]["conflicts"] for region in project.regions]
    ams.sidecar.reload()
    assert 0 == ams.sidecar.attrs["RestartCount"]


def test_a_node_beneath_a_full_quota_starts_when_it_is_raised(quota: Disk) -> None:
    project, site, ams = quota.project, Site(quota.project, "start"), quota.project.ams
    site.make()
    site.ams.sh("echo one >mine; echo one >deleted")
    site.wait_identical()
    ams.sidecar.kill("KILL")
    quota.limit("1M")  # less than there is
    site.ams.sh("rm deleted")
    site.msk.sh("echo two >mine; echo while it is down >down")
    ams.sidecar.start()
    wait_for(ams.asked.status, "ams answers", WITHIN, every=0.2)
    wait_for(lambda: is_told(ams, "no space left"), "ams says why it does not start", WITHIN, every=0.2)
    assert ams.asked.status()["alive"] and not ams.asked.status()["ready"]
    quota.limit("none")
    tree = site.wait_identical(120.0)
    assert ({"mine", "down"}, "two\n") == (set(tree), site.ams.read("mine"))
    nothing_was_raised(project)
    ams.sidecar.reload()
    assert 0 == ams.sidecar.attrs["RestartCount"]


def test_a_file_system_that_becomes_read_only_is_told_and_made_up_for_when_it_is_repaired(failing: Disk) -> None:
    site, ams = Site(failing.project, "failing"), failing.project.ams
    site.make()
    site.msk.python(author("page", 1, 0))
    site.wait_identical()
    with writing(site):
        failing.fail()
        wait_for(lambda: is_told(ams, "its disk fails"), "ams says that it cannot write", WITHIN, every=0.2)
        time.sleep(12)  # it is tried again
        wait_for(lambda: is_told(ams, "its disk fails"), "ams still says so", WITHIN, every=0.2)
        assert ams.asked.status()["alive"]
    failing.repair()
    site.wait_identical(120.0)
    wait_for(lambda: not is_told(ams, "its disk fails"), "nothing is wrong any more", WITHIN, every=0.2)
    site.ams.sh("echo after >after")
    assert "after" in site.wait_identical()
    nothing_was_raised(failing.project)
    conflicts = [region.asked.status()["store"]["conflicts"] for region in failing.project.regions]
    assert [0, 0] == conflicts, said(ams.sidecar, "sidecar", "conflicts", "--json")
