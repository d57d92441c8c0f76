"""Warm rsyncs through the real gate: what arrives in the inbox, and what a failed one is taken for."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.errors import EnvironmentFault
from sidecar.link.rsync import OPTIONS, Transfer, Verdict
from sidecar.link.selftest import selftest
from sidecar.link.spares import Spares
from tests.node.region import Pair, running, until
from tests.node.test_connection import master_pid, processes

WIRE = Path("/sys/class/net/lo/statistics/tx_bytes")


def wire_bytes() -> int:
    return int(WIRE.read_text())


@contextlib.asynccontextmanager
async def carrying(pair: Pair, transfer: Transfer | None = None, count: int = 1) -> AsyncIterator[Spares]:
    async with pair.up() as master:
        spares = pair.msk.spares(master, count, transfer)
        async with running(spares.run()):
            await until(lambda: spares.ready == count, "spares")
            yield spares


def inbox(pair: Pair, batch: str) -> Path:
    return pair.ams.inbox / "msk" / batch


def staged(directory: Path) -> dict[bytes, bytes]:
    """Every file beneath, by name."""
    at = os.fsencode(directory)
    names = (os.path.join(where, name) for where, _, files in os.walk(at) for name in files)
    return {os.path.relpath(name, at): Path(os.fsdecode(name)).read_bytes() for name in names}


@pytest.mark.parametrize("bwlimit", [0, 1000])
@pytest.mark.parametrize(("delta", "compress"), list(OPTIONS))
async def test_every_knob_carries_a_file_through_the_gate(
    pair: Pair, delta: bool, compress: bool, bwlimit: int
) -> None:
    (pair.msk.html / "page").write_bytes(b"new" * 1000)
    (pair.ams.html / "page").write_bytes(b"old" * 1000)
    async with carrying(pair, Transfer(str(pair.msk.html), delta, compress, bwlimit)) as spares:
        spare = spares.take()
        outcome = await spare.send([b"page"])
        assert (Verdict.SENT, 0) == (outcome.verdict, outcome.status), outcome
        assert {b"page": b"new" * 1000} == staged(inbox(pair, spare.batch))
    assert [] == pair.ams.refusals


async def test_names_of_any_bytes_arrive(pair: Pair) -> None:
    names = [
        b"#a",
        b";b",
        b"-c",
        b"new\nline",
        b"\xff\xfe",
        b" ",
        b"~",
        b"*?[",
        b"\\#012",
        b"n" * 255,
        b"d/" * 100 + b"e",
    ]
    for name in names:
        at = pair.msk.html / os.fsdecode(name)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(name)
    async with carrying(pair) as spares:
        spare = spares.take()
        assert 0 == (await spare.send(names)).status
        assert {name: name for name in names} == staged(inbox(pair, spare.batch))


async def test_a_thousand_names_in_one_batch_arrive(pair: Pair) -> None:
    names = [b"directory/%0200d" % number for number in range(1000)]
    (pair.msk.html / "directory").mkdir()
    for name in names:
        (pair.msk.html / name.decode()).write_bytes(name)
    async with carrying(pair) as spares:
        spare = spares.take()
        assert 0 == (await spare.send(names)).status
        assert {name: name for name in names} == staged(inbox(pair, spare.batch))


@pytest.mark.parametrize("delta", [False, True])
async def test_what_is_staged_is_ours_alone_whatever_the_mode(pair: Pair, delta: bool) -> None:
    (pair.msk.html / "shut").mkdir()
    (pair.msk.html / "shut/page").write_text("new")
    (pair.ams.html / "shut").mkdir()
    (pair.ams.html / "shut/page").write_text("old")
    (pair.ams.html / "shut/page").chmod(0o666)
    (pair.msk.html / "shut/page").chmod(0o444)
    (pair.msk.html / "shut").chmod(0o555)
    async with carrying(pair, Transfer(str(pair.msk.html), delta)) as spares:
        spare = spares.take()
        assert 0 == (await spare.send([b"shut/page"])).status
    (pair.msk.html / "shut").chmod(0o755)
    modes = [path.stat().st_mode & 0o777 for path in (inbox(pair, spare.batch), *inbox(pair, spare.batch).rglob("*"))]
    assert [0o700, 0o700, 0o600] == modes


async def test_a_same_size_edit_within_one_second_is_sent(pair: Pair) -> None:
    (pair.msk.html / "page").write_text("new")
    (pair.ams.html / "page").write_text("old")
    os.utime(pair.ams.html / "page", ns=(0, (pair.msk.html / "page").stat().st_mtime_ns))
    async with carrying(pair, Transfer(str(pair.msk.html), delta=True)) as spares:
        spare = spares.take()
        await spare.send([b"page"])
        assert {b"page": b"new"} == staged(inbox(pair, spare.batch))


async def test_a_delta_sends_what_changed(pair: Pair) -> None:
    old, size = os.urandom(64 << 20), 64 << 20
    (pair.ams.html / "big").write_bytes(old)
    (pair.msk.html / "big").write_bytes(old[: 5 << 20] + os.urandom(1 << 20) + old[6 << 20 :])
    async with carrying(pair, Transfer(str(pair.msk.html), delta=True), count=0) as spares:
        spare, before = spares.take(size=size), wire_bytes()
        assert 0 == (await spare.send([b"big"])).status
        assert (pair.msk.html / "big").read_bytes() == (inbox(pair, spare.batch) / "big").read_bytes()
        # the MiB, one block's worth of bytes and the sums of all; rsync's own choice takes 140 KB more than the MiB
        assert (1 << 20) + 90_000 > wire_bytes() - before


async def test_what_a_delta_sends_after_an_insertion_at_the_front_is_what_was_inserted(pair: Pair) -> None:
    old, size = os.urandom(16 << 20), 16 << 20
    (pair.ams.html / "big").write_bytes(old)
    (pair.msk.html / "big").write_bytes(b"new" + old)
    async with carrying(pair, Transfer(str(pair.msk.html), delta=True), count=0) as spares:
        spare, before = spares.take(size=size + 3), wire_bytes()
        assert 0 == (await spare.send([b"big"])).status
        assert (pair.msk.html / "big").read_bytes() == (inbox(pair, spare.batch) / "big").read_bytes()
        assert 100_000 > wire_bytes() - before


async def test_a_basis_behind_a_symlink_out_of_the_web_root_is_refused(pair: Pair) -> None:
    secret = pair.ams.volume / "secret"
    secret.mkdir()
    content = os.urandom(1 << 20)
    (secret / "page").write_bytes(content)
    (pair.ams.html / "link").symlink_to(secret)
    (pair.msk.html / "link").mkdir()
    (pair.msk.html / "link/page").write_bytes(content)
    async with carrying(pair, Transfer(str(pair.msk.html), delta=True)) as spares:
        spare = spares.take()
        assert Verdict.NO_BASIS is (await spare.send([b"link/page"])).verdict
        assert {} == staged(inbox(pair, spare.batch))


async def test_a_name_behind_a_symlink_out_of_the_web_root_is_not_sent(pair: Pair) -> None:
    (pair.msk.volume / "secret").write_text("secret")
    (pair.msk.html / "link").symlink_to("..")
    async with carrying(pair) as spares:
        spare = spares.take()
        assert Verdict.LOOK is (await spare.send([b"link/secret"])).verdict
        assert {} == staged(inbox(pair, spare.batch))


async def test_what_vanished_is_looked_at_and_the_rest_arrives(pair: Pair) -> None:
    (pair.msk.html / "here").write_text("here")
    async with carrying(pair) as spares:
        spare = spares.take()
        outcome = await spare.send([b"gone", b"here"])
        assert Verdict.LOOK is outcome.verdict
        assert "gone" in outcome.stderr
        assert {b"here": b"here"} == staged(inbox(pair, spare.batch))


async def test_megabytes_on_stderr_do_not_block_it(pair: Pair) -> None:
    names = [b"%0250d" % number for number in range(20_000)]
    async with carrying(pair) as spares:
        outcome = await asyncio.wait_for(spares.take().send(names), 30)
        assert Verdict.LOOK is outcome.verdict
        assert 4096 >= len(outcome.stderr)


async def test_a_killed_rsync_has_failed(pair: Pair) -> None:
    (pair.msk.html / "big").write_bytes(os.urandom(8 << 20))
    async with carrying(pair, Transfer(str(pair.msk.html), bwlimit=500)) as spares:
        spare = spares.take()
        ended = spare.send([b"big"])
        await until(lambda: list(inbox(pair, spare.batch).glob(".big.*")), "the first bytes")
        spare.kill()
        outcome = await ended
        assert (Verdict.KILLED, -signal.SIGKILL) == (outcome.verdict, outcome.status)


async def test_an_rsync_that_was_killed_at_the_peer_has_failed(pair: Pair) -> None:
    (pair.msk.html / "big").write_bytes(os.urandom(8 << 20))
    async with carrying(pair, Transfer(str(pair.msk.html), bwlimit=500)) as spares:
        spare = spares.take()
        ended = spare.send([b"big"])
        await until(lambda: list(inbox(pair, spare.batch).glob(".big.*")), "the first bytes")
        for pid in processes(f"{inbox(pair, spare.batch)}/"):
            os.kill(pid, signal.SIGKILL)
        assert Verdict.TRANSPORT is (await ended).verdict


async def test_a_large_file_that_was_cut_off_goes_on_under_the_same_batch(pair: Pair) -> None:
    content = os.urandom(24 << 20)
    (pair.msk.html / "big").write_bytes(content)
    async with pair.up() as master:
        slow = pair.msk.spares(master, 0, Transfer(str(pair.msk.html), delta=True, bwlimit=8000))
        fast = pair.msk.spares(master, 0, Transfer(str(pair.msk.html), delta=True))
        spare = slow.take()
        ended = spare.send([b"big"])
        into = inbox(pair, spare.batch)
        await until(lambda: [part for part in into.glob(".big.*") if part.stat().st_size > 12 << 20], "half of it")
        spare.kill()
        assert Verdict.KILLED is (await ended).verdict
        await until((into / "big").exists, "the partial file")

        before = wire_bytes()
        again = fast.take(spare.batch)
        assert Verdict.SENT is (await again.send([b"big"])).verdict
        assert (14 << 20) > wire_bytes() - before
        assert content == (into / "big").read_bytes()


async def test_files_of_a_private_directory_go_as_well(pair: Pair) -> None:
    outbox = pair.msk.volume / ".sidecar/outbox"
    outbox.mkdir()
    (outbox / "copy").write_text("copy")
    async with carrying(pair, Transfer(str(outbox)), count=0) as spares:
        spare = spares.take()
        assert 0 == (await spare.send([b"copy"])).status
        assert {b"copy": b"copy"} == staged(inbox(pair, spare.batch))


async def test_spares_are_replaced_when_taken_and_when_they_die(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.link.spares.AT_REST", 2)
    async with carrying(pair, count=2) as spares:
        full = [spares.full]
        first = spares.take()
        full.append(spares.full)
        await until(lambda: spares.ready == 2, "the next one")
        assert [True, False, True] == [*full, spares.full]
        assert first not in spares._waiting
        for spare in spares._waiting:
            spare.kill()
        await until(lambda: spares.ready == 0, "their end")
        await until(lambda: spares.ready == 2, "others")


async def test_a_spare_that_nobody_took_leaves_nothing(pair: Pair) -> None:
    async with carrying(pair) as spares:
        assert 1 == len(list((pair.ams.inbox / "msk").iterdir()))
        spares._drop(spares._waiting)
        spares._count = 0
        await until(lambda: not list((pair.ams.inbox / "msk").iterdir()), "an empty inbox")
    await until(lambda: not list((pair.ams.inbox / "msk").iterdir()), "an empty inbox still")


async def test_a_spare_that_waited_too_long_is_replaced(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.link.spares.IDLE_LIFE", 0.5)
    async with carrying(pair) as spares:
        old = spares._waiting[0].batch
        await until(lambda: spares.ready and spares._waiting[0].batch != old, "another one")


async def test_spares_come_back_with_the_connection(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.link.spares.AT_REST", 2)
    (pair.msk.html / "page").write_text("page")
    async with carrying(pair, count=2) as spares:
        before = [spare.batch for spare in spares._waiting]
        os.kill(master_pid(pair), signal.SIGKILL)
        await until(lambda: not [spare for spare in spares._waiting if spare.batch in before], "the cut")
        await until(lambda: spares.ready == 2, "spares again")
        assert 0 == (await spares.take().send([b"page"])).status


async def test_a_batch_without_a_connection_fails_at_once(pair: Pair) -> None:
    spares = pair.msk.spares(pair.msk.master(pair.ams.address), 0)
    outcome = await asyncio.wait_for(spares.take().send([b"page"]), 10)
    assert Verdict.TRANSPORT is outcome.verdict


async def test_the_self_test_passes_here_and_leaves_nothing(pair: Pair) -> None:
    assert (await selftest(str(pair.msk.volume), pair.msk.env)).startswith("3.")
    assert not list(pair.msk.volume.glob(".selftest*"))


async def test_the_self_test_passes_though_rsync_prints_ten_megabytes_of_complaints(pair: Pair, tmp_path: Path) -> None:
    noisy = tmp_path / "rsync"
    noisy.write_text('#!/bin/sh\nyes complaint | head -c 10000000 >&2\nexec /usr/bin/rsync "$@"\n')
    noisy.chmod(0o755)
    env = pair.msk.env | {"PATH": f"{tmp_path}:{pair.msk.env['PATH']}"}
    assert (await selftest(str(pair.msk.volume), env)).startswith("3.")


async def test_the_self_test_says_what_an_unsuitable_rsync_did(pair: Pair, tmp_path: Path) -> None:
    fake = tmp_path / "gate"
    fake.write_text("#!/bin/sh\necho this gate delivers nothing >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="delivers nothing"):
        await selftest(str(pair.msk.volume), pair.msk.env, str(fake))


async def test_who_awaits_the_outcome_may_be_cancelled(pair: Pair) -> None:
    (pair.msk.html / "page").write_bytes(b"x")
    async with carrying(pair) as spares:
        spare = spares.take()
        waiting = spare.send([b"page"])
        waiting.cancel()
        outcome = await asyncio.wait_for(spare.wait_ended(), 10)
    assert Verdict.SENT is outcome.verdict


async def test_what_rests_keeps_one_and_as_many_as_it_is_told_while_it_sends(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.link.spares.REST", 3.0)
    (pair.msk.html / "page").write_text("new")
    async with pair.up() as master:
        spares = pair.msk.spares(master, 4)
        async with running(spares.run()):
            await until(lambda: spares.ready == 1, "one")
            assert 0 == (await spares.take().send([b"page"])).status
            await until(lambda: spares.ready == 4, "four")
            await until(lambda: spares.ready == 1, "one again")
            assert [] == [spare for spare in spares._waiting if spare.ended]
            await asyncio.wait_for(asyncio.gather(*(one.wait_ended() for one in spares._taken)), 10)
