"""scripts/engine: what it does on which machine, above all where it must not do anything."""

import json
from pathlib import Path

import pytest

from tests.support.machine import BOOKWORM, TRIXIE, Machine

DEB822 = """\
Types: deb deb-src
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://commented.test/debian bookworm main
deb-src http://source.test/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/own.gpg] http://archive.test/debian bookworm main contrib
deb http://security.test/debian-security bookworm-security main
"""
ENGINE = "docker.io docker-cli docker-compose docker-buildx containerd"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A bare Debian 12: no engine, no client."""
    bare = Machine(tmp_path)
    bare.write("etc/apt/sources.list.d/debian.sources", DEB822)
    bare.write("sys/class/net/eth0/mtu", "1500\n")
    bare.fake("ip", "echo default via 192.0.2.1 dev eth0")
    bare.fake("setsid", 'exec "$@"')
    bare.fake("systemctl", "touch $ROOT/answers")
    bare.fake("apt-get", f'case "$1" in install) cp {bare.bin}/later/* {bare.bin}/ ;; esac')
    (bare.bin / "later").mkdir()
    engine(bare, "later/")
    return bare


def engine(machine: Machine, folder: str = "") -> None:
    """The engine's packages: a client that says whether `answers` is there, a dockerd that makes it."""
    machine.fake(
        f"{folder}docker",
        """case "$1 $2" in
            "info ") [ -e $ROOT/answers ] ;;
            "compose version") [ ! -e $ROOT/composeless ] ;;
            "context inspect") cat $ROOT/endpoint 2>/dev/null ;;
            "version "*) echo 26.1.5 ;;
        esac""",
    )
    machine.fake(f"{folder}dockerd", "touch $ROOT/answers")


def refuses(machine: Machine, because: str, **env: str) -> None:
    """One line that says why, exit code 1, nothing changed."""
    before = machine.files()
    ran = machine.run("engine", env=env)
    assert 1 == ran.code
    assert 1 == len(ran.said), ran.said
    assert because in ran.said[0]
    assert [] == ran.called("apt-get") + ran.called("setsid") + ran.called("systemctl")
    assert before == machine.files()


def test_an_engine_that_answers_is_all_that_is_needed(machine: Machine) -> None:
    engine(machine)
    machine.write("answers", "")
    before = machine.files()
    ran = machine.run("engine")
    assert (0, []) == (ran.code, ran.said)
    assert ["docker info", "docker compose version"] == [call.strip() for call in ran.calls]
    assert before == machine.files()


def test_an_engine_without_compose_is_named(machine: Machine) -> None:
    engine(machine)
    machine.write("answers", "")
    machine.write("composeless", "")
    refuses(machine, "Compose plugin")


def test_an_engine_elsewhere_is_not_replaced_by_one_here(machine: Machine) -> None:
    refuses(machine, "no Docker engine answers at tcp://elsewhere:2376", DOCKER_HOST="tcp://elsewhere:2376")


def test_nor_is_one_that_the_clients_context_names(machine: Machine) -> None:
    engine(machine)
    machine.write("endpoint", "ssh://elsewhere\n")
    refuses(machine, "no Docker engine answers at ssh://elsewhere")


def test_an_engine_of_somebody_elses_is_not_started(machine: Machine) -> None:
    engine(machine)
    refuses(machine, "is installed but does not answer")


def test_a_dockerd_outside_the_path_is_one_too(machine: Machine) -> None:
    machine.write("usr/sbin/dockerd", "").chmod(0o755)
    refuses(machine, "is installed but does not answer")


def test_it_can_be_forbidden(machine: Machine) -> None:
    refuses(machine, "GEOROOT_ENGINE=no forbids", GEOROOT_ENGINE="no")


def test_starting_again_can_be_forbidden_too(machine: Machine) -> None:
    engine(machine)
    machine.write("var/lib/georoot/engine", "installed")
    refuses(machine, "GEOROOT_ENGINE=no forbids", GEOROOT_ENGINE="no")


def test_only_root_gets_it_installed(machine: Machine) -> None:
    machine.user("alice", 1000)
    refuses(machine, "only root on Debian")


@pytest.mark.parametrize(
    ("release", "because"),
    [
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n', "only on Debian"),
        ("ID=fedora\nVERSION_ID=43\n", "only on Debian"),
        ('ID=debian\nVERSION_ID="11"\nVERSION_CODENAME=bookworm\n', "too old"),
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "names no version"),
        ('ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n', "apt's sources name no archive of Debian trixie"),
    ],
)
def test_other_systems_are_left_alone(machine: Machine, release: str, because: str) -> None:
    machine.write("etc/os-release", release)
    refuses(machine, because)


def test_no_apt_sources_at_all(machine: Machine) -> None:
    (machine.root / "etc/apt/sources.list.d/debian.sources").unlink()
    refuses(machine, "apt's sources name no archive of Debian bookworm")


@pytest.mark.parametrize(("path", "sources"), [("sources.list.d/debian.sources", DEB822), ("sources.list", ONE_LINE)])
def test_a_bare_bookworm_gets_the_engine_of_trixie(machine: Machine, path: str, sources: str) -> None:
    (machine.root / "etc/apt/sources.list.d/debian.sources").unlink()
    machine.write(f"etc/apt/{path}", sources)
    ran = machine.run("engine")
    assert 0 == ran.code, ran.said
    assert f"installing {ENGINE} iptables debootstrap from Debian trixie" in ran.said[0]
    assert "Docker engine 26.1.5 answers" in ran.said[-1]
    assert [
        "apt-get update -qq",
        f"apt-get install -y -qq {ENGINE} iptables debootstrap",
    ] == ran.called("apt-get")
    assert ["setsid dockerd"] == ran.called("setsid")
    assert machine.read("etc/apt/sources.list.d/georoot-trixie.list") == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://archive.test/debian trixie main\n"
    )
    assert machine.read("etc/apt/preferences.d/georoot-trixie") == (
        "Package: *\nPin: release n=trixie\nPin-Priority: 50\n\n"
        f"Package: {ENGINE}\nPin: release n=trixie\nPin-Priority: 600\n\n"
    )


def test_a_bare_trixie_needs_no_other_release(machine: Machine) -> None:
    machine.write("etc/os-release", TRIXIE)
    machine.write("etc/apt/sources.list.d/debian.sources", DEB822.replace("bookworm", "trixie"))
    ran = machine.run("engine")
    assert 0 == ran.code, ran.said
    assert "from Debian trixie" in ran.said[0]
    assert not machine.has("etc/apt/preferences.d")
    assert not machine.has("etc/apt/sources.list.d/georoot-trixie.list")


def test_a_second_run_changes_nothing(machine: Machine) -> None:
    assert 0 == machine.run("engine").code
    before = machine.files()
    ran = machine.run("engine")
    assert (0, []) == (ran.code, ran.said)
    assert before == machine.files()


def test_what_an_earlier_run_installed_is_started_again(machine: Machine) -> None:
    assert 0 == machine.run("engine").code
    (machine.root / "answers").unlink()
    ran = machine.run("engine")
    assert 0 == ran.code
    assert "starting the Docker engine that an earlier run installed" in ran.said[0]
    assert [] == ran.called("apt-get")
    assert ["setsid dockerd"] == ran.called("setsid")


def test_an_install_that_was_broken_off_is_taken_up_again(machine: Machine) -> None:
    machine.fake("apt-get", '[ "$1" != install ]')
    assert 0 != machine.run("engine").code
    machine.fake("apt-get", f'case "$1" in install) cp {machine.bin}/later/* {machine.bin}/ ;; esac')
    assert 0 == machine.run("engine").code


def test_under_systemd_the_engine_is_a_service(machine: Machine) -> None:
    (machine.root / "run/systemd/system").mkdir(parents=True)
    ran = machine.run("engine")
    assert 0 == ran.code, ran.said
    assert ["systemctl restart docker"] == ran.called("systemctl")
    assert [] == ran.called("setsid")


def test_process_numbers_that_others_own_by_now_are_forgotten(machine: Machine) -> None:
    machine.write("var/run/docker.pid", "42")
    machine.write("proc/42/comm", "python\n")
    machine.write("var/run/docker/containerd/containerd.pid", "77")
    machine.write("proc/77/comm", "containerd\n")
    assert 0 == machine.run("engine").code
    assert not machine.has("var/run/docker.pid")
    assert machine.has("var/run/docker/containerd/containerd.pid")


def test_bridges_fit_a_narrow_uplink(machine: Machine) -> None:
    machine.write("sys/class/net/eth0/mtu", "1400\n")
    assert 0 == machine.run("engine").code
    settings = json.loads(machine.read("etc/docker/daemon.json"))
    assert 1400 == settings["mtu"]
    assert "1400" == settings["default-network-opts"]["bridge"]["com.docker.network.driver.mtu"]


def test_settings_that_are_there_stay_as_they_are(machine: Machine) -> None:
    machine.write("sys/class/net/eth0/mtu", "1400\n")
    machine.write("etc/docker/daemon.json", "{}")
    assert 0 == machine.run("engine").code
    assert "{}" == machine.read("etc/docker/daemon.json")


def test_a_wide_uplink_needs_no_settings(machine: Machine) -> None:
    assert 0 == machine.run("engine").code
    assert not machine.has("etc/docker")


def test_an_engine_that_does_not_start_is_an_error(machine: Machine) -> None:
    machine.fake("setsid", "true")
    ran = machine.run("engine", env={"SECONDS_TO_START": "1"})
    assert 1 == ran.code
    assert "did not start" in ran.said[-1]


@pytest.mark.parametrize(
    ("sources", "archive"),
    [
        (
            "Types: deb\nURIs: mirror+file:/etc/apt/mirrors http://one.test/ http://two.test/\nSuites: bookworm\n",
            "http://one.test/",
        ),
        ("Types: deb-src\nURIs: http://source.test/\nSuites: bookworm\n", None),
        ("Enabled: no\nTypes: deb\nURIs: http://off.test/\nSuites: bookworm\n", None),
        ("Types: deb\nURIs: http://one.test/\nSuites: bookworm-updates\n bookworm\n", "http://one.test/"),
        ("types: deb\nuris: http://one.test/\nsuites: bookworm\n# Suites: sid\n", "http://one.test/"),
        (
            "Types: deb\nURIs: http://a.test/\nSuites: sid\n\n\nTypes: deb\nURIs: http://b.test/\nSuites: bookworm\n",
            "http://b.test/",
        ),
    ],
)
def test_stanzas_that_apt_understands(machine: Machine, sources: str, archive: str | None) -> None:
    machine.write("etc/os-release", BOOKWORM)
    machine.write("etc/apt/sources.list.d/debian.sources", sources)
    if archive is None:
        refuses(machine, "name no archive")
    else:
        assert 0 == machine.run("engine").code
        assert f"] {archive} trixie main\n" in machine.read("etc/apt/sources.list.d/georoot-trixie.list")
