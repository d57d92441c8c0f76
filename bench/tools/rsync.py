"""Plain `rsync -a --delete` over SSH, run by hand after each change: the floor, and no tool that notices anything."""

from bench.desk import Desk
from bench.tools import ssh
from bench.tools.base import HOME, REGIONS, TREE, Node, Tool


class Rsync(Tool):
    name = "rsync"
    about = "-a --delete, run after each change"
    skips = frozenset({"both", "idle", "large", "flood"})
    gives_up_at = 1_000_000

    def __init__(self, image: str) -> None:
        self._image = image

    def prepare(self, desk: Desk, rescan: float | None) -> None:  # noqa: ARG002  # each run is a scan
        ssh.prepare(desk)
        for region in REGIONS:
            desk.write(f"/homes/{region}/by-hand", "")

    def node(self, region: str) -> Node:  # noqa: ARG002  # both are alike
        command = ("rsync", "-a", "--delete", "-e", ssh.SSH, f"{TREE}/", f"peer:{TREE}/")
        pusher = ("python3", "-B", "-m", "bench.pusher", f"{HOME}/push", *command)
        return Node(self._image, ("sh", "-c", f'{ssh.STARTED} && exec "$@"', "sh", *pusher))
