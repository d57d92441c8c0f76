"""/metrics: what Prometheus reads."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from sidecar.engine.status import NodeState, ScanStatus
from sidecar.web.app import HEADERS, application
from sidecar.web.gauges import families
from sidecar.web.http1 import Server
from tests.unit.web.conftest import Opener
from tests.unit.web.fakes import AMS, CUT, HELD, WELL, FakeNode, but

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"
NOW = 1_764_000_000.0
SCANNED = NOW - WELL.scan.age


def samples(metrics: list[Metric]) -> Mapping[str, float]:
    """Each sample, named as in the text format."""
    found = {}
    for metric in metrics:
        for sample in metric.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_every_gauge_is_read_off_the_status() -> None:
    states = {f'georoot_state{{state="{one.value}"}}': float(one is NodeState.RUNNING) for one in NodeState}
    expected = states | {
        'georoot_info{image="0.1.0",node="msk",protocol="1",region="msk"}': 1,
        "georoot_ready": 1,
        "georoot_paused": 0,
        "georoot_pending_paths": 2,
        "georoot_problem_paths": 0,
        "georoot_warnings": 0,
        "georoot_conflicts": 1,
        "georoot_trash_files": 5,
        "georoot_trash_bytes": 4_404_019,
        "georoot_index_seq": 4711,
        'georoot_index_rows{kind="file"}': 1234,
        'georoot_index_rows{kind="directory"}': 56,
        'georoot_index_rows{kind="symlink"}': 3,
        'georoot_index_rows{kind="tombstone"}': 10,
        'georoot_holds{hold="scan"}': 0,
        'georoot_holds{hold="changes"}': 0,
        'georoot_holds{hold="trash"}': 0,
        'georoot_holds{hold="assert"}': 0,
        'georoot_holds{hold="forgotten"}': 0,
        "georoot_forgotten_nodes": 0,
        "georoot_complete_since_timestamp_seconds": 1_764_000_000.0,
        "georoot_volume_free_bytes": 21 << 30,
        "georoot_watched_directories": 56,
        "georoot_unwatched_directories": 0,
        "georoot_watch_limit": 8192,
        "georoot_special_paths": 0,
        "georoot_scan_running": 0,
        "georoot_last_scan_timestamp_seconds": SCANNED,
        'georoot_peer_up{peer="ams"}': 1,
        'georoot_peer_receiving{peer="ams"}': 1,
        'georoot_peer_pending_entries{peer="ams"}': 3,
        'georoot_peer_differing_parts{peer="ams"}': 2,
        'georoot_peer_in_flight_batches{peer="ams"}': 1,
        'georoot_peer_lag_seconds{peer="ams"}': 0.25,
        'georoot_peer_clock_offset_seconds{peer="ams"}': -0.002,
    }
    assert expected == samples(list(families(WELL, NOW)))


def test_what_is_unknown_is_absent() -> None:
    fresh = but(
        peers=(AMS, CUT),
        scan=ScanStatus(running=True, age=-1.0, took=0.0, paths=0, differing=0, special=0),
        watch=msgspec.structs.replace(WELL.watch, directories=1, limit=-1),
    )
    found = samples(list(families(fresh, NOW)))
    assert {f"georoot_peer_{name}" for name in ("up", "receiving", "differing_parts", "in_flight_batches")} == {
        name.partition("{")[0] for name in found if 'peer="nyc"' in name
    }
    assert not {"georoot_last_scan_timestamp_seconds", "georoot_watch_limit"} & set(found)
    assert -1.0 not in found.values()


def test_what_is_held_is_counted_by_its_hold() -> None:
    found = samples(list(families(but(holds=(HELD,), paused=True), NOW)))
    assert [62, 0, 0] == [found[f'georoot_holds{{hold="{kind}"}}'] for kind in ("scan", "changes", "trash")]
    assert 1 == found["georoot_paused"]


@pytest.mark.parametrize("version", [b"x", b"1.0.0x", b"\xa01.0.0"])
async def test_who_wants_a_version_that_is_none_gets_the_usual_one(version: bytes) -> None:
    server = Server(application(FakeNode()), HEADERS)
    _, port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wanted = b"Accept: application/openmetrics-text; version=" + version
    writer.write(b"GET /metrics HTTP/1.0\r\n" + wanted + b"\r\n\r\n")
    async with asyncio.timeout(60):
        said = await reader.read()
    writer.close()
    await server.close()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"text/plain; version=0.0.4" in said


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("", text_string_to_metric_families), ("application/openmetrics-text;version=1.0.0", open_metrics)],
)
async def test_the_text_holds_what_is_counted_and_what_is_seen(visit: Opener, accept: str, parse: object) -> None:
    assert callable(parse)
    node = FakeNode(but(peers=(AMS, CUT)))
    node.metrics.row_written(local=True)
    answer = await (await visit(node)).get("/metrics", headers={"Accept": accept})
    metrics = list(parse(await answer.text()))
    found = samples(metrics)
    assert 1 == found['georoot_rows_written_total{origin="local"}']
    assert 1 == found['georoot_peer_up{peer="ams"}']
    assert 0 == found['georoot_peer_up{peer="nyc"}']
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names)


def test_every_metric_is_documented() -> None:
    told = re.findall(r"^\| `(georoot_\w+)` \|.*\| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    peers = (msgspec.structs.replace(AMS, protocol=1),)
    known = [*families(but(peers=peers), NOW), *FakeNode().metrics.registry.collect()]
    endings = {"counter": "_total", "info": "_info"}
    assert {(one.name + endings.get(one.type, ""), one.documentation) for one in known} == set(told)
    assert len(told) == len(known)


async def test_names_are_as_prometheus_wants_them(visit: Opener) -> None:
    answer = await (await visit(FakeNode())).get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for metric in text_string_to_metric_families(await answer.text()):
        assert metric.name.startswith("georoot_")
        for sample in metric.samples:
            assert sample.name.endswith("_total") == (metric.type == "counter")
            assert "path" not in sample.labels
