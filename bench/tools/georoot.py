"""georoot as `make up` has it: every setting at its default."""

from bench.desk import Desk
from bench.tools.base import HOME, REGIONS, Node, Tool, other


class Georoot(Tool):
    name = "georoot"
    about = "defaults"
    rest = 61.0
    rescans = True
    gives_up_at = 1_000_000

    def __init__(self, image: str) -> None:
        self._image = image
        self._rescan: float | None = None

    def prepare(self, desk: Desk, rescan: float | None) -> None:
        self._rescan = rescan
        desk.run_in(self._image, "keygen", "--exchange", *(f"/homes/{region}" for region in REGIONS))

    def node(self, region: str) -> Node:
        environment = {
            "GEOROOT_REGION": region,
            "GEOROOT_PEERS": f"{other(region)}={other(region)}:2222",
            "GEOROOT_KEYS_DIR": HOME,
        }
        if self._rescan is not None:
            environment["GEOROOT_SCAN_INTERVAL"] = str(self._rescan)
        return Node(self._image, ("run",), environment)
