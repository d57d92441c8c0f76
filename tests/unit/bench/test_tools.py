"""What the peers are told: the settings that the table names are those that they get."""

import xml.etree.ElementTree as ET

import pytest

from bench.tools import USUAL, lsyncd, ssh, syncthing, tools
from bench.tools.base import REGIONS, other

DEVICES = {"msk": "MSK-ID", "ams": "AMS-ID"}


def test_the_usual_tools_are_there_each_once_as_it_comes_and_once_at_its_fastest() -> None:
    every = tools("georoot:1", "bench:1")
    assert set(USUAL) <= set(every)
    assert {"georoot", "rsync", "lsyncd-1", "lsyncd-0", "syncthing-1", "syncthing-0.1"} == set(USUAL)


def test_georoot_runs_its_own_image_and_nobody_else_does() -> None:
    every = tools("georoot:1", "bench:1")
    assert {"georoot"} == {name for name, tool in every.items() if tool.node("msk").image == "georoot:1"}


@pytest.mark.parametrize("region", REGIONS)
def test_each_node_of_georoot_knows_the_other(region: str) -> None:
    told = tools("georoot:1", "bench:1")["georoot"].node(region).environment
    assert (region, f"{other(region)}={other(region)}:2222") == (told["GEOROOT_REGION"], told["GEOROOT_PEERS"])


@pytest.mark.parametrize(("delay", "text"), [(1, "delay = 1,"), (0, "delay = 0,")])
def test_lsyncd_has_the_delay_and_the_settings_of_two_ways(delay: float, text: str) -> None:
    config = lsyncd.config(delay)
    assert text in config and "update = true" in config and config.count("{") == config.count("}")


@pytest.mark.parametrize(("delay", "text"), [(1, "1"), (0.1, "0.1")])
@pytest.mark.parametrize("region", REGIONS)
def test_syncthing_shares_one_folder_with_its_peer_and_asks_nobody_else(region: str, delay: float, text: str) -> None:
    root = ET.fromstring(syncthing.config(region, DEVICES, delay, 3600.0))
    folder = root.find("folder")
    assert folder is not None and text == folder.get("fsWatcherDelayS") and "3600" == folder.get("rescanIntervalS")
    assert set(DEVICES.values()) == {device.get("id") for device in folder.iter("device")}
    assert {DEVICES[region]: "dynamic", DEVICES[other(region)]: f"tcp://{other(region)}:22000"} == {
        device.get("id"): device.findtext("address") for device in root.findall("device")
    }
    for outside in ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled"):
        assert "false" == root.findtext(f"options/{outside}")


def test_ssh_is_cold_unless_one_connection_is_kept() -> None:
    assert "ControlMaster" not in ssh.ssh_config("msk", kept=False)
    assert "ControlMaster auto" in ssh.ssh_config("msk", kept=True)
    assert "HostName ams" in ssh.ssh_config("msk", kept=False)
