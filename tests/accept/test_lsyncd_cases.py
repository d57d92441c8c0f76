"""What two-way lsyncd gets wrong, case by case (E3 to E11), and the like of it at every offset: here all is right.

docs/reliability.md says what each letter and number means.
"""

import hashlib
import time

from tests.support import cases, churn
from tests.support.casework import LONG, texts, worked
from tests.support.compose import IMAGE, Site, said, two_regions
from tests.support.faults import cut

EMPTIED = 50
APART = 2.0
"""Seconds between two edits of which one is to be the later for both nodes."""
KILLS = 20
_KILL_RSYNCS = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if open(f"/proc/{pid}/comm").read() == "rsync\\n":
            os.kill(int(pid), signal.SIGKILL)
    except OSError:
        pass
"""
_FILES = """
import os, time
for number in range(200):
    with open(f"page-{number}", "wb") as file:
        file.write(os.urandom(100_000))
    time.sleep(0.02)
"""


def untouched(side: str) -> dict[str, str]:
    """What one side wrote in a pair of operations of which the other's leaves that path alone, or takes it away without
    knowing of it: it must be there, whichever came first."""
    there = dict[str, str]()
    written = {"create": ("new", ("edit", "delete", "chmod")), "edit": ("f", ("create", "move_directory"))}
    for timing in cases.TIMINGS:
        for mine, (path, others) in written.items():
            # the second to come edits what the first has taken away: it stays
            for other in (*others, *(("delete", "move_file") if (side, mine) == ("ams", "edit") else ())):
                name = f"{mine}-{other}" if side == "msk" else f"{other}-{mine}"
                there[f"{timing}/{name}/{path}"] = f"{side} {timing} {name}"
    return there


def deleted_by_one_side() -> list[str]:
    """What one side deleted in a pair of operations of which the other's leaves it alone, or deletes it too."""
    names = ("create-delete", "delete-create", "delete-delete")
    return [f"{timing}/{name}/{path}" for timing in cases.TIMINGS for name in names for path in ("f", "d", "d/g")]


def entries_sent(site: Site) -> float:
    return site.msk.region.asked.metric("georoot_entries_sent_total")


def entries_torn(site: Site) -> float:
    """Of those sent: the next write came while they were on their way."""
    return site.msk.region.asked.metric("georoot_entries_settled_total", outcome="torn")


def test_e3_s3_a_file_deleted_and_made_again_stays(site: Site) -> None:
    found = worked(site, "recreated")
    assert [] == texts(found, {f"f{number}": f"second {number}" for number in range(60)})


def test_e4_s4_a_name_written_anew_after_a_rename_stays_and_so_does_what_was_renamed(site: Site) -> None:
    found = worked(site, "renamed")
    for name, text in (("index.bak", "old"), ("index.html", "new")):
        assert [] == texts(found, {f"d{number}/{name}": f"{text} {number}" for number in range(60)})


def test_e5_an_edit_outlives_a_delete_of_the_same_moment(site: Site) -> None:
    found = worked(site, "deleted_and_edited")
    assert [] == texts(found, {f"f{number}": f"edited {number}" for number in range(60)})


def test_e6_the_later_of_two_edits_is_current_and_the_other_one_is_kept(site: Site) -> None:
    found = worked(site, "edited_twice")
    assert [] == texts(found, {"apart": "from ams, after"})
    assert 1 == len(texts(found, {"at once": "from msk, at once"}) + texts(found, {"at once": "from ams, at once"}))
    for name in ("in ams", "in msk"):
        site.msk.python(f"open('later {name}', 'w').write('first')")
    site.wait_identical(LONG)
    with cut(site):  # so that neither is written over what its writer could see
        site.msk.python("open('later in ams', 'w').write('msk, earlier')")
        site.ams.python("open('later in msk', 'w').write('ams, earlier')")
        time.sleep(APART)
        site.ams.python("open('later in ams', 'w').write('ams, later')")
        site.msk.python("open('later in msk', 'w').write('msk, later')")
    found = site.wait_identical(LONG)
    assert [] == texts(found, {"later in ams": "ams, later", "later in msk": "msk, later"})
    for region in site.project.regions:
        kept = churn.kept(site.project, region.name)
        for path, text in (("later in ams", "msk, earlier"), ("later in msk", "ams, earlier")):
            digest = hashlib.sha256(text.encode()).hexdigest()
            (ident,) = [ident for listed, ident in kept.listed if listed == f"{site.name}/{path}"]
            assert digest in kept.conflicts and text == said(
                region.sidecar, "sidecar", "conflicts", "show", f"{site.name}/{path}", ident
            )


def test_e7_a_directory_stays_beside_a_file_of_its_name_and_the_file_is_kept(site: Site) -> None:
    with cut(site):
        site.msk.sh("for n in $(seq 20); do mkdir x$n; printf %s in >x$n/in; done")
        site.ams.sh("for n in $(seq 20); do printf %s file >x$n; done")
    found = site.wait_identical(LONG)
    assert [] == texts(found, {f"x{number}/in": "in" for number in range(1, 21)})
    for region in site.project.regions:
        kept = churn.kept(site.project, region.name)
        assert hashlib.sha256(b"file").hexdigest() in kept.conflicts
        assert 20 == sum(path.startswith(f"{site.name}/x") for path, _ in kept.listed)


def test_e8_a_region_with_an_empty_volume_empties_nothing() -> None:
    with two_regions() as project:
        site = Site(project, "e8")
        site.make()
        site.msk.python(f"for number in range({EMPTIED}): open(f'page-{{number}}', 'w').write(f'{{number}}')")
        before = site.wait_identical()
        site.ams.region.sidecar.stop()
        said(project.witness, "sh", "-euc", "rm -rf /volumes/ams/.sidecar /volumes/ams/html/*")
        site.ams.region.sidecar.start()
        assert before == site.wait_identical(LONG)
        assert EMPTIED == len(before)


def test_e9_a_slow_upload_is_seen_when_it_is_whole(site: Site) -> None:
    found = worked(site, "uploaded")
    assert 26 * 1024 == found["upload"][2]


def test_e10_a_killed_rsync_is_no_success(site: Site) -> None:
    writer = site.project.beside(IMAGE, {})
    writer.exec_run(["/usr/bin/python3", "-c", _FILES], workdir=f"/volumes/msk/html/{site.name}", detach=True)
    for _ in range(KILLS):
        for region in site.project.regions:
            said(region.sidecar, "/usr/bin/python3", "-c", _KILL_RSYNCS)
        time.sleep(0.2)
    last = f"{site.name}/page-199"
    said(writer, "sh", "-c", f"until [ -s /volumes/msk/html/{last} ]; do sleep 0.1; done")
    assert 200 == len(site.wait_identical(LONG))


def test_e11_five_quick_writes_are_five_entries_at_most_and_only_what_was_torn_goes_again(site: Site) -> None:
    site.project.wait_settled()
    before = entries_sent(site), entries_torn(site)
    site.msk.python("import time\nfor n in range(5): open('page', 'w').write(f'{n}'); time.sleep(0.1)")
    found = site.wait_identical()
    assert [] == texts(found, {"page": "4"})
    assert entries_sent(site) - before[0] - (entries_torn(site) - before[1]) <= 5


def test_s5_every_pair_of_operations_on_both_sides_ends_the_same_and_loses_nothing(site: Site) -> None:
    found = worked(site, "pairs")
    assert 3 * 49 == sum(path.count("/") == 1 for path in found), "each pair still has its directory"
    assert [] == texts(found, untouched("msk") | untouched("ams"))
    assert [] == [path for path in deleted_by_one_side() if path in found]
    for timing in cases.TIMINGS:
        assert ("symlink", "d") == found[f"{timing}/link-link/f"][:2]
        assert ("file", 0o600) == found[f"{timing}/chmod-chmod/f"][:2]
        assert ("dir", 0o700) == found[f"{timing}/chmod-chmod/d"][:2]
        for name, path in (("create-create", "new"), ("edit-edit", "f"), ("edit-edit", "d/g")):
            shown = f"{timing}/{name}/{path}"
            both = (f"{side} {timing} {name}{' in d' if path == 'd/g' else ''}" for side in ("msk", "ams"))
            assert 1 == sum([] == texts(found, {shown: text}) for text in both), f"one of the two at {shown}"


def test_s11_directories_that_come_back_or_changed_outside_are_seen(site: Site) -> None:
    found = worked(site, "directories")
    assert [] == texts(found, {f"deep{number}/1/2/3/4/5/6/7/8/9/page": f"deep {number}" for number in range(250)})
    assert [] == texts(found, {f"full{number}/in/page": f"changed outside {2 * number + 1}" for number in range(125)})


def test_s12_names_of_any_bytes_and_twins_and_a_full_directory(site: Site) -> None:
    assert len(worked(site, "names")) > 21_000 + 2 * 23 * 23


def test_s13_however_a_program_saves_it_arrives(site: Site) -> None:
    found = worked(site, "programs")
    assert [] == texts(found, {f"mapped{number}": f"{number:09}" * 1000 for number in range(20)})
    assert [] == texts(found, {f"linked{number}": f"nameless {number}" for number in range(20)})
    assert [] == texts(found, {f"aside{number}": f"2 {number}" for number in range(20)})


def test_s13_a_log_that_nobody_closes_arrives(site: Site) -> None:
    assert 7 == worked(site, "logged")["log"][2]


def test_s14_a_file_with_its_checksum_in_its_body_is_never_torn(site: Site) -> None:
    worked(site, "checksummed")


def test_s21_an_inode_that_is_used_again_is_another_file(site: Site) -> None:
    found = worked(site, "reused")
    assert [] == texts(found, {f"page{number}": f"{960 + number:06}" for number in range(40)})
