"""The image as it ships: what it says of itself, and that it runs as whoever it is told to be."""

import contextlib
import http.client

import docker

from tests.support.asking import wait_for
from tests.support.bare import nodes, published
from tests.support.compose import IMAGE, WITHIN, said

SOMEBODY = 12345


def test_the_image_says_what_it_is(engine: docker.DockerClient) -> None:
    attrs = engine.images.get(IMAGE).attrs
    config, labels = attrs["Config"], attrs["Config"]["Labels"]
    assert "33:33" == config["User"]
    assert "SIGTERM" == config["StopSignal"]
    assert ["CMD", "/usr/local/bin/sidecar", "healthcheck"] == config["Healthcheck"]["Test"]
    assert "/usr/bin/tini" == config["Entrypoint"][0]
    assert {"2222/tcp", "8080/tcp"} == set(config["ExposedPorts"])
    assert "georoot" == labels["org.opencontainers.image.title"]
    assert "Apache-2.0" == labels["org.opencontainers.image.licenses"]
    assert IMAGE.rpartition(":")[2] == labels["org.opencontainers.image.version"]
    assert {"org.opencontainers.image.description", "org.opencontainers.image.revision"} <= labels.keys()


def test_no_key_and_no_secret_is_in_the_image(engine: docker.DockerClient) -> None:
    look = r"""
        find / -xdev -type f \( -name '*_key' -o -name '*_key.pub' -o -name 'id_*' \) ! -path '/proc/*'
        grep -rlsIE '^-----BEGIN [A-Z ]*PRIVATE KEY-----' /etc /home /opt /root /run /srv /tmp /usr/local /var || :
    """
    found = engine.containers.run(IMAGE, ["-euc", look], entrypoint=["/bin/sh"], user="0", remove=True)
    assert b"" == found
    assert not [one for one in engine.images.get(IMAGE).attrs["Config"]["Env"] if one.startswith("GEOROOT_")]


def test_any_user_will_do(engine: docker.DockerClient) -> None:
    with nodes(engine, {"msk": "beside", "ams": "beside"}, SOMEBODY) as pair:
        pair.wait_well()
        pair.sh("msk", "mkdir d; echo from msk >d/page; chmod 640 d/page; ln -s page d/link")
        pair.sh("ams", "echo from ams >other")
        assert {"d", "d/page", "d/link", "other"} == set(pair.wait_identical())
        pair.sh("ams", "rm -r d")
        assert {"other"} == set(pair.wait_identical())
        for node in pair.all:
            assert f"{SOMEBODY}\n" == said(node.container, "id", "-u")
            node.container.stop()
            assert 0 == node.container.wait()["StatusCode"]


def test_a_web_root_may_be_the_volume_itself_and_its_state_is_not_served(engine: docker.DockerClient) -> None:
    with nodes(engine, {"msk": "inside", "ams": "beside"}, 33) as pair:
        web = pair.serve("msk")
        pair.wait_well()
        pair.sh("ams", "echo from ams >page.html; mkdir -p d; echo deep >d/page.html")
        pair.sh("msk", "echo from msk >other.html")
        assert {"page.html", "other.html", "d", "d/page.html"} == set(pair.wait_identical())
        web.reload()
        port = published(web)
        wait_for(lambda: 200 == _status(port, "/page.html"), "Apache serves the web root", WITHIN)
        assert 200 == _status(port, "/d/page.html")
        for path in ("/.sidecar/", "/.sidecar", "/.sidecar/index.db", "/.sidecar/trash/", "/%2esidecar/index.db"):
            assert 403 == _status(port, path), path
        assert "700\n" == pair.sh("msk", "stat -c %a .sidecar")


def _status(port: int, path: str) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
