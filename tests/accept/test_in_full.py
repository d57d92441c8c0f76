"""What tests of whole daemons in `tests/node` do at a smaller size in `make test`, at its full one."""

from collections.abc import Callable

import docker

from tests.support.compose import LABEL, TEST_IMAGE, new_project

Record = Callable[[str, object], None]


def test_ten_regions_that_were_parted_become_one_again(engine: docker.DockerClient, record_property: Record) -> None:
    """Each linked to all, and all to one."""
    record_property("ten regions", ran(engine, "tests/node/test_mesh.py", MESH_SIZES="10"))


def test_a_burst_of_20_000_files_that_nobody_was_told_of_is_found(
    engine: docker.DockerClient, record_property: Record
) -> None:
    record_property("20 000 files", ran(engine, "tests/node/test_watching.py", "-k", "dropped", BURST="20000"))


def ran(engine: docker.DockerClient, *tests: str, **environment: str) -> str:
    """Run tests in a container of the image made for them; its last line."""
    container = engine.containers.run(
        TEST_IMAGE,
        ["--basetemp=/srv/web/pytest", "-rA", *tests],
        detach=True,
        environment=environment,
        labels={LABEL: new_project()},
        tmpfs={"/run/georoot": "mode=1777"},
        volumes=["/srv/web"],
        network_mode="none",
    )
    try:
        code, said = container.wait(timeout=600)["StatusCode"], container.logs().decode()
        assert 0 == code, said
        return said.strip().splitlines()[-1].strip("= ")
    finally:
        container.remove(force=True, v=True)
