"""Ten regions, each linked to all and all linked to one: the mesh tests of tests/node at their full size."""

from collections.abc import Callable

import docker

from tests.support.compose import LABEL, TEST_IMAGE, new_project


def test_ten_regions_that_were_parted_become_one_again(
    engine: docker.DockerClient, record_property: Callable[[str, object], None]
) -> None:
    tests = engine.containers.run(
        TEST_IMAGE,
        ["--basetemp=/srv/web/pytest", "-rA", "tests/node/test_mesh.py"],
        detach=True,
        environment={"MESH_SIZES": "10"},
        labels={LABEL: new_project()},
        tmpfs={"/run/georoot": "mode=1777"},
        volumes=["/srv/web"],
        network_mode="none",
    )
    try:
        code, said = tests.wait(timeout=600)["StatusCode"], tests.logs().decode()
        assert 0 == code, said
        record_property("ten regions", said.strip().splitlines()[-1].strip("= "))
    finally:
        tests.remove(force=True, v=True)
