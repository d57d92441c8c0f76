"""An index that is lost, a volume that is set back, a wrong cursor: nothing old passes for new, nothing is deleted."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.asking import wait_for
from tests.support.compose import WITHIN, Corner, Project, Region, Site, said
from tests.support.tree import Tree

_SQL = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(json.dumps(db.execute(sys.argv[2], sys.argv[3:]).fetchall()))
db.commit()
"""
_TEAR = """
import os
for number in range(40):
    name = f"fresh-{number}"
    if number % 4 == 3:
        os.unlink(name)
    elif number % 4:
        stat = os.stat(name)
        os.truncate(name, 0 if number % 4 == 1 else 100)
        os.utime(name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
"""
SET_BACK = "this volume was set back"
COMPARED = 90.0
"""Seconds in which two nodes have compared their indexes: they do so every minute."""


def state(region: Region) -> str:
    """Where the witness finds what belongs to the sidecar."""
    return f"/volumes/{region.name}/.sidecar"


def witness(project: Project, script: str) -> str:
    return said(project.witness, "sh", "-euc", script)


def index(project: Project, region: Region, sql: str, *values: str) -> list[list[object]]:
    """Run one statement in a stopped region's index."""
    printed = said(project.witness, "/usr/bin/python3", "-Ic", _SQL, f"{state(region)}/index.db", sql, *values)
    rows: list[list[object]] = json.loads(printed)
    return rows


@contextmanager
def stopped(region: Region) -> Iterator[None]:
    """Its sidecar alone: what a person does to the volume meanwhile, nobody sees."""
    region.sidecar.stop()
    try:
        yield
    finally:
        region.sidecar.start()


def write(corner: Corner, **pages: str) -> None:
    for name, text in pages.items():
        corner.python(f"open({name!r}, 'w').write({text!r})")


def content(tree: Tree) -> dict[str, object]:
    return {path: facts[3] for path, facts in tree.items() if facts[0] == "file"}


def holding(**pages: str) -> dict[str, object]:
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in pages.items()}


def kept(site: Site, corner: Corner, text: str) -> bool:
    """Do these bytes lie in the trash or among the conflicts of a region?"""
    where = f"{state(corner.region)}/trash {state(corner.region)}/conflicts"
    return bool(witness(site.project, f"find {where} -type f -exec grep -lFx -- '{text}' {{}} + || true"))


def prepare(site: Site) -> None:
    write(site.msk, old="one", edited_there="one", edited_here="one", deleted_there="one", both="one")
    site.wait_identical()


def test_an_index_that_was_deleted_deletes_nothing_and_takes_nothing_old_for_new(site: Site) -> None:
    prepare(site)
    with stopped(site.ams.region):
        write(site.msk, edited_there="two", both="from msk", new_there="new")
        site.msk.sh("rm deleted_there")
        write(site.ams, edited_here="two", both="from ams, later", new_here="new")
        witness(site.project, f"rm {state(site.ams.region)}/index.db*")
    tree = site.wait_identical()
    expected = holding(
        old="one", edited_there="two", edited_here="two", both="from ams, later", new_there="new", new_here="new"
    )
    assert expected == content(tree)
    assert any(kept(site, corner, "from msk") for corner in site.both)


def test_an_index_that_was_deleted_beside_content_of_last_week_brings_nothing_back(site: Site) -> None:
    prepare(site)
    where = f"/volumes/ams/html/{site.name}"
    witness(site.project, f"cp -a {where} /tmp/{site.name}; find {where} -type f -newermt @0 | wc -l")
    write(site.msk, edited_there="two", both="two", new_there="new")
    write(site.ams, edited_here="two", new_here="new")
    site.msk.sh("rm deleted_there")
    site.wait_identical()
    with stopped(site.ams.region):
        witness(
            site.project,
            f"rm -r {where} {state(site.ams.region)}/index.db*; cp -a /tmp/{site.name} {where};"
            f" find {where} -type f -exec touch -d '7 days ago' {{}} +",
        )
    tree = site.wait_identical()
    assert holding(old="one", edited_there="two", edited_here="two", both="two", new_there="new", new_here="new") == (
        content(tree)
    )


@pytest.mark.parametrize("running", [True, False], ids=["of a running node", "of a stopped node"])
@pytest.mark.parametrize("rows", [0, 400], ids=["", "and more rows were written since than the peer had seen"])
def test_a_snapshot_of_the_volume_that_is_restored_undoes_nothing(site: Site, running: bool, rows: int) -> None:
    prepare(site)
    ams, volume, snapshot = site.ams.region, "/volumes/ams", f"/tmp/{site.name}"
    take = f"mkdir {snapshot}; cp -a {volume}/html {volume}/.sidecar {snapshot}/"
    if running:
        ams.sidecar.pause()  # as a snapshot of a block device is: everything at one moment
        witness(site.project, take)
        ams.sidecar.unpause()
    else:
        with stopped(ams):
            witness(site.project, take)
        site.project.wait_settled()
    write(site.msk, edited_there="two", new_there="new", both="two")
    write(site.ams, edited_here="two", new_here="new")
    site.msk.sh("rm deleted_there")
    site.wait_identical()
    site.project.cut(ams)
    with stopped(ams):
        witness(
            site.project,
            f"find {volume}/html {volume}/.sidecar -mindepth 1 -delete; cp -a {snapshot}/. {volume}/; rm -r {snapshot}",
        )
    write(site.ams, both="from the restored volume")
    site.ams.python(f"for n in range({rows}): open(f'row-{{n}}', 'w').write(str(n))")
    site.project.mend(ams)
    tree = site.wait_identical()
    expected = holding(old="one", edited_there="two", edited_here="two", new_there="new", new_here="new")
    expected |= holding(both="from the restored volume", **{f"row-{n}": str(n) for n in range(rows)})
    assert expected == content(tree)
    assert any(SET_BACK in warning for warning in ams.asked.status()["warnings"])
    assert SET_BACK in said(ams.sidecar, "sidecar", "status")
    assert 1 <= ams.asked.metric("georoot_warnings")
    assert any(kept(site, corner, "two") for corner in site.both)


def test_a_cursor_that_is_too_high_is_found_by_comparing_and_heals(site: Site) -> None:
    prepare(site)
    msk, ams = site.msk.region, site.ams.region
    with stopped(ams):
        write(site.msk, edited_there="two", new_there="new")
        site.msk.sh("rm deleted_there")
        wait_for(lambda: msk.asked.status()["peers"][0]["pending"] >= 3, "msk has taken that up", WITHIN)
        seq = msk.asked.status()["store"]["seq"]
        index(site.project, ams, "UPDATE peers SET cursor = ?", str(seq))
    tree = site.wait_identical(2 * COMPARED)
    expected = holding(old="one", edited_there="two", edited_here="one", both="one", new_there="new")
    assert expected == content(tree)
    assert 1 <= msk.asked.metric("georoot_comparisons_total", result="different")
    assert 3 <= msk.asked.metric("georoot_rows_offered_anew_total")


def test_a_cursor_that_was_lost_costs_a_look_at_every_row_and_no_content(site: Site) -> None:
    prepare(site)
    with stopped(site.ams.region):
        sent = site.msk.region.asked.metric("georoot_files_sent_total")
        write(site.msk, edited_there="after the cursor was lost")
        assert [[1]] == index(site.project, site.ams.region, "SELECT count(*) FROM peers WHERE cursor > 0")
        index(site.project, site.ams.region, "UPDATE peers SET cursor = 0")
    expected = holding(old="one", edited_there="after the cursor was lost", edited_here="one", both="one")
    assert expected | holding(deleted_there="one") == content(site.wait_identical())
    assert sent + 1 == site.msk.region.asked.metric("georoot_files_sent_total")


def test_files_that_a_power_loss_tore_or_took_come_back_and_are_taken_for_no_edit(site: Site) -> None:
    """As after one: another boot id than the index notes, and what was applied last is short, or not there."""
    prepare(site)
    site.msk.python("for n in range(40): open(f'fresh-{n}', 'w').write(f'fresh {n}' * 1000)")
    write(site.ams, edited_here="two")
    site.wait_identical()
    listed = [region.asked.metric("georoot_conflicts") for region in site.project.regions]
    ams = site.ams.region
    ams.sidecar.kill("KILL")
    assert [[0]] == index(site.project, ams, "SELECT clean FROM node")
    index(site.project, ams, "UPDATE node SET boot_id = ?", "another")
    site.ams.python(_TEAR)
    write(site.msk, new_there="new", edited_there="two")
    ams.sidecar.start()
    tree = site.wait_identical()
    expected = holding(old="one", edited_there="two", edited_here="two", new_there="new")
    expected |= holding(deleted_there="one", both="one")
    expected |= holding(**{f"fresh-{n}": f"fresh {n}" * 1000 for n in range(40)})
    assert expected == content(tree)
    assert "stopped without notice" in ams.sidecar.logs().decode()
    assert listed == [region.asked.metric("georoot_conflicts") for region in site.project.regions]
