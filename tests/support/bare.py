"""Sidecars without compose: on a network of their own, run as whoever a test wants, over volumes of theirs."""

import contextlib
import os
from collections.abc import Iterator

import docker
from docker.models.containers import Container

from tests.support import compose, tree
from tests.support.asking import Asked, wait_for
from tests.support.compose import HERE, IMAGE, LABEL, WITHIN, idle, new_project, said
from tests.support.tree import Tree

HTTPD = os.environ.get("HTTPD", "httpd:2.4")
KEYS = "/etc/georoot/keys"
VOLUME = "/srv/web"


class Node:
    """One sidecar, its volume, and how it is asked."""

    def __init__(self, region: str, container: Container, layout: str) -> None:
        self.region, self.container, self.layout = region, container, layout
        container.reload()
        self.asked = Asked("127.0.0.1", published(container))

    @property
    def html(self) -> str:
        """Its web root as the witness sees it."""
        return f"/volumes/{self.region}" + ("" if self.layout == "inside" else "/html")

    def healthy(self) -> bool:
        """Does the engine say so?"""
        self.container.reload()
        return self.container.health == "healthy"


def published(container: Container) -> int:
    """The port of this machine at which the container's 8080 answers."""
    return int(container.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])


class Nodes:
    """Several sidecars that know each other, all of one user."""

    def __init__(self, client: docker.DockerClient, project: str, layouts: dict[str, str], user: int) -> None:
        self.client, self.project, self.user = client, project, user
        self._layouts = layouts
        labels = {LABEL: self.project}
        self._network = client.networks.create(self.project, labels=labels)
        for name in (*layouts, "keys"):
            client.volumes.create(self._volume(name), labels=labels)
        where = {self._volume(name): f"/volumes/{name}" for name in (*layouts, "keys")}
        self.witness = idle(client, self.project, IMAGE, where, user=f"{user}:{user}")
        said(self.witness, "sh", "-euc", f"cd /volumes; chown {user}:{user} *", user="0")
        for name, layout in layouts.items():
            if layout == "beside":
                said(self.witness, "mkdir", f"/volumes/{name}/html")
        said(self.witness, "sidecar", "keygen", "--exchange", *(f"/volumes/keys/{name}" for name in layouts))
        self.all = [self._node(name, layout) for name, layout in layouts.items()]

    def _volume(self, name: str) -> str:
        return f"{self.project}_{name}"

    def _node(self, region: str, layout: str) -> Node:
        peers = ",".join(f"{name}={name}-sidecar" for name in self._layouts if name != region)
        container = self.client.containers.run(
            IMAGE,
            detach=True,
            user=f"{self.user}:{self.user}",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            tmpfs={"/run/georoot": f"uid={self.user},gid={self.user},mode=0700", "/tmp": ""},
            name=f"{self.project}-{region}",
            hostname=f"{region}-sidecar",
            network=self._network.name,
            networking_config={
                str(self._network.name): self.client.api.create_endpoint_config(aliases=[f"{region}-sidecar"])
            },
            ports={"8080/tcp": ("127.0.0.1", 0)},
            labels={LABEL: self.project},
            volumes={
                self._volume(region): {"bind": VOLUME, "mode": "rw,nocopy"},
                self._volume("keys"): {"bind": KEYS, "mode": "ro"},
            },
            environment={
                "GEOROOT_REGION": region,
                "GEOROOT_PEERS": peers,
                "GEOROOT_LAYOUT": layout,
                "GEOROOT_KEYS_DIR": f"{KEYS}/{region}",
            },
        )
        return Node(region, container, layout)

    def wait_well(self) -> None:
        """Until the engine calls all of them healthy, and they are up to date."""
        wait_for(lambda: all(node.healthy() and node.asked.settled for node in self.all), "all are well", WITHIN)

    def sh(self, region: str, script: str) -> str:
        """A shell script in the web root of a region, by the user that the sidecar runs as."""
        (node,) = (node for node in self.all if node.region == region)
        return said(self.witness, "sh", "-euc", script, workdir=node.html)

    def wait_identical(self) -> Tree:
        """Until all web roots hold the same and nothing is pending; what they hold."""
        last: list[Tree] = []

        def identical() -> bool:
            if not all(node.asked.settled for node in self.all):
                return False
            last[:] = tree.read(
                said(
                    self.witness, "/usr/bin/python3", "-Bc", compose.READER, *(node.html for node in self.all)
                ).encode()
            )
            return all(one == last[0] for one in last)

        wait_for(identical, "all identical", WITHIN, every=0.05)
        return last[0]

    def serve(self, region: str) -> Container:
        """Apache, with the configuration of compose/, over the volume of a region whose web root is its root."""
        return self.client.containers.run(
            HTTPD,
            detach=True,
            user=f"{self.user}:{self.user}",
            read_only=True,
            tmpfs={"/tmp": ""},
            name=f"{self.project}-{region}-web",
            environment={"REGION": region},
            ports={"8080/tcp": ("127.0.0.1", 0)},
            labels={LABEL: self.project},
            volumes={
                self._volume(region): {"bind": compose.DOCUMENTS, "mode": "rw,nocopy"},
                str(HERE / "compose/web/httpd.conf"): {"bind": "/usr/local/apache2/conf/httpd.conf", "mode": "ro"},
            },
        )


@contextlib.contextmanager
def nodes(client: docker.DockerClient, layouts: dict[str, str], user: int) -> Iterator[Nodes]:
    """Sidecars that were just started; nothing of them is left afterwards."""
    project = new_project()
    try:
        yield Nodes(client, project, layouts, user)
    finally:
        compose.remove(client, project)
