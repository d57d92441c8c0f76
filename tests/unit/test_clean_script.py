"""scripts/clean: names what it deletes, asks, and deletes nothing that is not ours."""

from pathlib import Path

import pytest

from tests.support.machine import Machine

EVERYTHING = """\
case "$1 $2" in
    "ps --all") printf '%s\\n' "georoot georoot-msk-web-1" "georoot-test-0a1b test-keys-1" \\
        "georoot-bench-0a1b bench-msk" "other other-1" " lone" ;;
    "volume ls") printf '%s\\n' "georoot georoot_msk" "georoot-bench-0a1b bench_msk" "other other_data" \\
        "georoot-tests-of-others theirs" "georoot-bench-marks theirs-too" ;;
    "network ls") printf '%s\\n' "georoot georoot_link" " bridge" ;;
    "images --filter") case "$3" in
        *title=georoot)
            for name in georoot georoot-test georoot-bench other "<none>"; do echo "$name $name:0.1.0"; done ;;
        *stand-in*) printf '%s\\n' httpd:2.4 derived-web:1 ;;
        *made-here*) printf '%s\\n' debian:trixie-slim georoot:0.1.0 derived:1 ;;
    esac ;;
esac"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where everything has been made, by us and by others."""
    used = Machine(tmp_path)
    used.fake("docker", EVERYTHING)
    for path in (".venv/bin/python", ".mypy_cache/x", "tests/__pycache__/x.pyc", "README.md", ".git/__pycache__/x"):
        used.write(f"project/{path}", "")
    return used


def deletions(calls: list[str]) -> list[str]:
    return [call for call in calls if " rm " in call or "prune" in call]


@pytest.mark.parametrize("answer", ["", "n\n", "yes?\n"])
def test_it_asks_and_takes_only_yes(machine: Machine, answer: str) -> None:
    before = machine.files()
    ran = machine.run("clean", said=answer)
    assert 1 == ran.code
    assert "nothing deleted" in ran.said[-1]
    assert [] == deletions(ran.calls)
    assert before == machine.files()


def test_it_names_what_it_deletes(machine: Machine) -> None:
    said = "\n".join(machine.run("clean", said="n\n").said)
    for name in (
        "georoot-msk-web-1",
        "georoot_msk",
        "georoot_link",
        "georoot:0.1.0",
        "httpd:2.4",
        ".venv",
        "tests/__pycache__",
    ):
        assert name in said


@pytest.mark.parametrize(("answer", "force"), [("y\n", ""), ("Y\n", ""), ("yes\n", ""), ("", "1")])
def test_it_deletes_all_that_is_ours_and_nothing_else(machine: Machine, answer: str, force: str) -> None:
    ran = machine.run("clean", said=answer, env={"FORCE": force})
    assert 0 == ran.code, ran.said
    images = "georoot:0.1.0 georoot-test:0.1.0 georoot-bench:0.1.0 <none>:0.1.0 httpd:2.4 debian:trixie-slim"
    assert [
        "docker rm --force --volumes georoot-msk-web-1 test-keys-1 bench-msk",
        "docker volume rm georoot_msk bench_msk",
        "docker network rm georoot_link",
        f"docker image rm --force {images}",
    ] == deletions(ran.calls)
    assert ["project/.git/__pycache__/x", "project/README.md"] == sorted(
        path for path in machine.files() if path.startswith("project/")
    )


def test_an_engine_that_we_installed_loses_its_build_cache_and_stays(machine: Machine) -> None:
    machine.write("var/lib/georoot/engine", "installed by georoot's scripts/engine: docker.io debootstrap\n")
    ran = machine.run("clean", env={"FORCE": "1"})
    assert "docker builder prune --all --force" in ran.calls
    assert "apt-get purge docker.io debootstrap" in ran.said[-1]


def test_without_an_engine_the_files_go(machine: Machine) -> None:
    machine.fake("docker", "exit 1")
    ran = machine.run("clean", env={"FORCE": "1"})
    assert 0 == ran.code, ran.said
    assert not machine.has("project/.venv")


def test_nothing_to_delete_is_said(machine: Machine) -> None:
    machine.fake("docker")
    assert 0 == machine.run("clean", env={"FORCE": "1"}).code
    ran = machine.run("clean")
    assert (0, ["georoot: there is nothing to delete"]) == (ran.code, ran.said)


def test_the_copies_of_another_project_and_the_images_they_run_on_stay(machine: Machine) -> None:
    machine.fake("docker", EVERYTHING.replace('"other other-1"', '"<none>:0.1.0 other"'))
    ran = machine.run("clean", env={"FORCE": "1", "COMPOSE_PROJECT_NAME": "elsewhere"})
    assert 0 == ran.code, ran.said
    images = "georoot:0.1.0 georoot-test:0.1.0 georoot-bench:0.1.0 httpd:2.4 debian:trixie-slim"
    assert [f"docker image rm --force {images}"] == deletions(ran.calls)
