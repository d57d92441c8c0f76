"""Fixtures of all tests that need an engine: two regions for a session, and for each test a directory of its own."""

import re
from collections.abc import Iterator

import docker
import pytest

from tests.support.compose import Project, Site, two_regions


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    with two_regions() as made:
        yield made


@pytest.fixture
def site(project: Project, request: pytest.FixtureRequest) -> Site:
    made = Site(project, re.sub(r"\W+", "-", request.node.name).removeprefix("test_"))
    made.make()
    return made


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()
