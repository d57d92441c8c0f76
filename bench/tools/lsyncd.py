"""lsyncd in both directions, as people set it up who need that: rsync over SSH, with update: the newer file wins."""

from bench.desk import Desk
from bench.tools import ssh
from bench.tools.base import HOME, REGIONS, TREE, VOLUME, Node, Tool

TEMPORARY = f"{VOLUME}/tmp"  # noqa: S108  # beside the web root, on its volume


def config(delay: float) -> str:
    """lsyncd.conf of either side."""
    return f"""\
settings {{ nodaemon = true, insist = true, statusFile = "{HOME}/status" }}
sync {{
    default.rsync,
    source = "{TREE}/",
    target = "peer:{TREE}/",
    delay = {delay:g},
    rsync = {{
        archive = true,
        compress = true,
        update = true,
        links = true,
        times = true,
        protect_args = true,
        temp_dir = "{TEMPORARY}",
        rsh = "{ssh.SSH}",
    }},
}}
"""


class Lsyncd(Tool):
    def __init__(self, image: str, delay: float, *, kept: bool = False) -> None:
        self.name = f"lsyncd-{'kept' if kept else f'{delay:g}'}"
        self.about = f"delay={delay:g}, update, compress" + (", one SSH connection kept open" if kept else "")
        self._image, self._delay, self._kept = image, delay, kept

    def prepare(self, desk: Desk, rescan: float | None) -> None:  # noqa: ARG002  # it never scans again
        ssh.prepare(desk, kept=self._kept)
        for region in REGIONS:
            desk.write(f"/homes/{region}/lsyncd.conf", config(self._delay))

    def node(self, region: str) -> Node:  # noqa: ARG002  # both are alike
        return Node(self._image, ("sh", "-c", f"{ssh.STARTED} && exec lsyncd {HOME}/lsyncd.conf"))
