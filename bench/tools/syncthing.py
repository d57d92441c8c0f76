"""syncthing: two devices that know each other's address, one folder, everything else as it comes."""

from bench.desk import Desk
from bench.tools.base import HOME, REGIONS, TREE, Node, Tool, other

PORT = 22000
RESCAN = 3600.0
"""Seconds; its default."""


def config(region: str, devices: dict[str, str], watch_delay: float, rescan: float) -> str:
    """config.xml of one side; `devices`: the identity of each."""
    peer = other(region)
    members = "".join(f'\n        <device id="{devices[one]}"></device>' for one in REGIONS)
    return f"""\
<configuration version="37">
    <folder id="site" path="{TREE}" type="sendreceive" rescanIntervalS="{rescan:.0f}" fsWatcherEnabled="true"
            fsWatcherDelayS="{watch_delay:g}">{members}
    </folder>
    <device id="{devices[region]}" name="{region}"><address>dynamic</address></device>
    <device id="{devices[peer]}" name="{peer}"><address>tcp://{peer}:{PORT}</address></device>
    <gui enabled="false"></gui>
    <options>
        <listenAddress>tcp://0.0.0.0:{PORT}</listenAddress>
        <globalAnnounceEnabled>false</globalAnnounceEnabled>
        <localAnnounceEnabled>false</localAnnounceEnabled>
        <relaysEnabled>false</relaysEnabled>
        <natEnabled>false</natEnabled>
        <startBrowser>false</startBrowser>
        <urAccepted>-1</urAccepted>
        <crashReportingEnabled>false</crashReportingEnabled>
        <reconnectionIntervalS>1</reconnectionIntervalS>
    </options>
</configuration>
"""


class Syncthing(Tool):
    rescans = True

    def __init__(self, image: str, watch_delay: float) -> None:
        self.name = f"syncthing-{watch_delay:g}"
        self.about = f"fsWatcherDelayS={watch_delay:g}"
        self._image, self._delay = image, watch_delay

    def prepare(self, desk: Desk, rescan: float | None) -> None:
        devices = {}
        for region in REGIONS:
            home = f"/homes/{region}/syncthing"
            desk.run("syncthing", "generate", f"--home={home}", "--no-default-folder", "--skip-port-probing")
            devices[region] = desk.run("syncthing", f"--home={home}", "--device-id").splitlines()[-1]
            desk.run("mkdir", "-p", f"/volumes/{region}/html/.stfolder")
        for region in REGIONS:
            desk.write(f"/homes/{region}/syncthing/config.xml", config(region, devices, self._delay, rescan or RESCAN))

    def node(self, region: str) -> Node:  # noqa: ARG002  # both are alike
        command = ("syncthing", "serve", f"--home={HOME}/syncthing", "--no-browser", "--no-default-folder")
        return Node(self._image, command, {"HOME": HOME, "STNOUPGRADE": "1"})
