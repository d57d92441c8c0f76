"""scripts/images: pulled where that can be, made here elsewhere, and what was made gives way."""

from pathlib import Path

import pytest

from tests.support.machine import Machine

SOURCES = """\
deb http://archive.test/debian bookworm main
deb http://security.test/debian-security bookworm-security main
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Debian whose engine holds the images that are files in images/ (`true` in it: a stand-in), and whose registry
    has what is in registry/."""
    debian = Machine(tmp_path)
    debian.write("etc/apt/sources.list", SOURCES)
    for folder in ("images", "registry"):
        (tmp_path / folder).mkdir()
    debian.fake(
        "docker",
        """case "$1" in
            pull) [ -e "$ROOT/registry/$3" ] && cp "$ROOT/registry/$3" "$ROOT/images/$3" ;;
            import) cat >$ROOT/imported.tar; for name; do :; done; echo >"$ROOT/images/$name" ;;
            build) while [ $# -gt 0 ]; do [ "$1" != --tag ] || echo true >"$ROOT/images/$2"; shift; done ;;
            image) case "$2 $4" in
                "inspect {{.Id}}") echo "id-of-$5" ;;
                "inspect {{index"*) cat "$ROOT/images/$5" ;;
                "inspect "*) [ -e "$ROOT/images/$3" ] ;;
            esac ;;
        esac""",
    )
    debian.fake(
        "debootstrap",
        'cd "$3"; mkdir -p usr/share/doc/x etc/apt etc/dpkg/dpkg.cfg.d; cd usr/share/doc/x; touch copyright log',
    )
    return debian


def test_an_image_that_is_there_is_not_pulled(machine: Machine) -> None:
    machine.write("images/debian:trixie-slim", "")
    ran = machine.run("images", "base")
    assert (0, []) == (ran.code, ran.said)
    assert [] == ran.called("docker pull")


def test_the_published_base_is_preferred(machine: Machine) -> None:
    machine.write("registry/debian:trixie-slim", "")
    ran = machine.run("images", "base")
    assert 0 == ran.code
    assert [] == ran.called("debootstrap")


def test_a_base_that_cannot_be_pulled_is_made_from_debians_packages(machine: Machine) -> None:
    ran = machine.run("images", "base")
    assert 0 == ran.code, ran.said
    assert "making it with debootstrap" in ran.said[-1]
    (bootstrap,) = ran.called("debootstrap")
    assert bootstrap.startswith("debootstrap --variant=minbase trixie ")
    assert bootstrap.endswith(" http://archive.test/debian")
    (imported,) = ran.called("docker import")
    assert "LABEL org.georoot.made-here=true" in imported
    assert "PIP_CERT" not in imported


def test_a_base_made_here_is_slim_and_gets_security_updates(machine: Machine) -> None:
    assert 0 == machine.run("images", "base").code
    tree = machine.unpacked("imported.tar")
    assert (
        "deb http://security.test/debian-security trixie-security main\n" in (tree / "etc/apt/sources.list").read_text()
    )
    assert "path-exclude /usr/share/man/*" in (tree / "etc/dpkg/dpkg.cfg.d/slim").read_text()
    assert ["copyright"] == [path.name for path in (tree / "usr/share/doc").rglob("*") if path.is_file()]


def test_builds_trust_what_this_machine_trusts_beside_the_public_authorities(machine: Machine) -> None:
    machine.write("usr/local/share/ca-certificates/own.crt", "own")
    machine.write("etc/ssl/certs/ca-certificates.crt", "all")
    ran = machine.run("images", "base")
    assert "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt" in ran.called("docker import")[0]
    tree = machine.unpacked("imported.tar")
    assert "own" == (tree / "usr/local/share/ca-certificates/own.crt").read_text()


def test_a_registry_that_never_answers_holds_nobody_up(machine: Machine) -> None:
    machine.write("images/httpd:2.4", "true")
    machine.fake("docker", 'case "$1 $4" in "pull "*) exec sleep 60 ;; "image {{"*) echo true ;; esac')
    ran = machine.run("images", "httpd", env={"PULL_SECONDS": "0.2"})
    assert 0 == ran.code
    assert "its stand-in stays" in ran.said[0]


def test_nothing_is_left_of_making_a_base(machine: Machine) -> None:
    assert 0 == machine.run("images", "base").code
    assert [] == list((machine.root / "var/tmp").iterdir())


def test_only_root_makes_a_base(machine: Machine) -> None:
    machine.user("alice", 1000)
    ran = machine.run("images", "base")
    assert 1 == ran.code
    assert "can be neither pulled nor made here" in ran.said[-1]


def test_debootstrap_is_not_installed_behind_anyones_back(machine: Machine) -> None:
    (machine.bin / "debootstrap").unlink()
    ran = machine.run("images", "base")
    assert 1 == ran.code
    assert "apt-get install debootstrap" in ran.said[-1]


def test_another_base_than_debian_trixie_is_never_made(machine: Machine) -> None:
    ran = machine.run("images", "base", env={"BASE": "registry.test/debian:own"})
    assert 1 == ran.code
    assert [] == ran.called("debootstrap")


def test_the_published_httpd_stays_untouched(machine: Machine) -> None:
    machine.write("images/httpd:2.4", "")
    ran = machine.run("images", "httpd")
    assert (0, []) == (ran.code, ran.said)
    assert [] == ran.called("docker pull") + ran.called("docker build")


def test_the_published_httpd_is_preferred(machine: Machine) -> None:
    machine.write("registry/httpd:2.4", "")
    ran = machine.run("images", "httpd")
    assert (0, []) == (ran.code, ran.said)
    assert [] == ran.called("docker build")


def test_a_stand_in_for_httpd_is_announced(machine: Machine) -> None:
    machine.write("images/debian:trixie-slim", "")
    ran = machine.run("images", "httpd")
    assert 0 == ran.code, ran.said
    assert "building a stand-in under that name" in ran.said[0]
    assert "--tag httpd:2.4" in ran.called("docker build")[0]


def test_a_stand_in_is_built_once_and_named_each_time(machine: Machine) -> None:
    machine.write("images/httpd:2.4", "true")
    ran = machine.run("images", "httpd")
    assert 0 == ran.code
    assert "its stand-in stays" in ran.said[0]
    assert [] == ran.called("docker build")


def test_a_stand_in_gives_way_to_the_published_image(machine: Machine) -> None:
    machine.write("images/httpd:2.4", "true")
    machine.write("registry/httpd:2.4", "")
    ran = machine.run("images", "httpd")
    assert 0 == ran.code
    assert "its stand-in goes" in ran.said[0]
    assert ["docker image rm --force id-of-httpd:2.4"] == ran.called("docker image rm")
