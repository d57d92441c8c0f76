"""The master connection, sshd and the control channel: what they do when the other side, or they themselves, fail."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from sidecar.errors import EnvironmentFault
from sidecar.link import identity, keys
from sidecar.link.channel import Channel, open_control
from sidecar.link.master import LinkState, Master
from tests.node.region import Pair, running, until


async def echo(_region: str, channel: Channel) -> None:
    while (frame := await channel.read()) is not None:
        channel.write(frame)


def processes(word: str) -> list[int]:
    """Processes with `word` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def master_pid(pair: Pair) -> int:
    """The ssh that holds the connection from msk."""
    config = f"{pair.msk.run_dir}/ssh_config.ams"
    (pid,) = (pid for pid in processes(config) if b"\0-M\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return pid


async def test_frames_come_back_as_they_were_sent(pair: Pair) -> None:
    async with pair.up(echo) as master:
        channel = await open_control(master)
        for frame in (b"", b"hello", os.urandom(3_000_000)):
            channel.write(frame)
            assert frame == await channel.read()
        channel.close()


async def test_a_channel_is_handed_over_with_the_region_of_its_key(pair: Pair) -> None:
    async with pair.up() as master:
        channel = await open_control(master)
        await until(lambda: pair.ams.channels, "a channel")
        assert "msk" == pair.ams.channels[0][0]
        channel.close()


async def test_both_sides_learn_that_the_other_one_closed(pair: Pair) -> None:
    async with pair.up() as master:
        ends: list[str] = []
        ours = await open_control(master, ends.append)
        await until(lambda: pair.ams.channels, "a channel")
        ours.close()
        assert await asyncio.wait_for(pair.ams.channels[0][1].read(), 5) is None
        await until(lambda: ends, "the end of ssh")

        ours = await open_control(master, ends.append)
        await until(lambda: len(pair.ams.channels) == 2, "another channel")
        pair.ams.channels[1][1].close()
        assert await asyncio.wait_for(ours.read(), 5) is None
        await until(lambda: len(ends) == 2, "the end of ssh")


async def test_a_channel_ends_when_nobody_listens_behind_the_gate(pair: Pair) -> None:
    async with running(pair.ams.sshd().run(), (master := pair.msk.master(pair.ams.address)).run()):
        await asyncio.wait_for(master.wait_up(), 15)
        ends: list[str] = []
        channel = await open_control(master, ends.append)
        assert await asyncio.wait_for(channel.read(), 5) is None
        await until(lambda: ends, "the reason")
        assert "control.msk.sock" in ends[0]


async def test_sessions_never_connect_on_their_own(pair: Pair) -> None:
    async with running(pair.ams.sshd().run()):
        await until(lambda: pair.ams.sshd_states, "sshd")
        channel = await open_control(pair.msk.master(pair.ams.address))
        assert await asyncio.wait_for(channel.read(), 5) is None


async def test_a_killed_master_is_replaced(pair: Pair) -> None:
    async with pair.up(echo) as master:
        channel = await open_control(master)
        os.kill(master_pid(pair), signal.SIGKILL)
        assert await asyncio.wait_for(channel.read(), 5) is None
        await until(lambda: not master.up, "the end of the connection")
        await asyncio.wait_for(master.wait_up(), 10)
        channel = await open_control(master)
        channel.write(b"again")
        assert b"again" == await channel.read()
        channel.close()


async def test_a_master_that_hangs_is_found_killed_and_replaced(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.link.master.CHECK_INTERVAL", 0.2)
    monkeypatch.setattr("sidecar.link.master.CHECK_TIME", 0.5)
    async with pair.up(echo) as master:
        hung = master_pid(pair)
        os.kill(hung, signal.SIGSTOP)
        await until(lambda: not master.up, "the hang to be found")
        assert "did not answer" in master.problem
        await asyncio.wait_for(master.wait_up(), 10)
        assert hung != master_pid(pair)


async def test_a_socket_that_a_killed_ssh_left_is_no_obstacle(pair: Pair) -> None:
    (pair.msk.run_dir / "m.ams").touch()
    async with pair.up(echo) as master:
        assert LinkState.UP is master.state


async def problem_of(pair: Pair, master: Master) -> str:
    async with running(pair.ams.sshd().run()):
        await until(lambda: pair.ams.sshd_states, "sshd")
        async with running(master.run()):
            await until(lambda: master.problem, "a problem")
            return master.problem


async def test_another_host_key_is_refused_and_said(pair: Pair) -> None:
    other = pair.msk.volume / "other"
    keys.make_region_keys(str(other))
    (pair.msk.keys_dir / "peers/ams/host.pub").write_bytes((other / "host_key.pub").read_bytes())
    pair.msk.install("ams")
    assert "peers/<region>/host.pub" in await problem_of(pair, pair.msk.master(pair.ams.address))


async def test_an_unknown_client_key_is_refused_and_said(pair: Pair) -> None:
    (pair.ams.keys_dir / "peers/msk/client.pub").write_bytes((pair.ams.keys_dir / "client_key.pub").read_bytes())
    pair.ams.install("msk")
    assert "client_key.pub" in await problem_of(pair, pair.msk.master(pair.ams.address))


async def test_a_peer_that_is_not_there_is_said_and_tried_until_it_is(pair: Pair) -> None:
    master = pair.msk.master(pair.ams.address)
    async with running(master.run()):
        await until(lambda: "Connection refused" in master.problem, "the refusal")
        async with running(pair.ams.sshd().run()):
            await asyncio.wait_for(master.wait_up(), 10)
    assert LinkState.DOWN is master.state


async def test_sshd_that_was_killed_is_started_again(pair: Pair) -> None:
    async with running(pair.ams.sshd().run()):
        await until(lambda: pair.ams.sshd_states, "sshd")
        for pid in processes(f"{pair.ams.run_dir}/sshd_config"):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: [up for up, _ in pair.ams.sshd_states] == [True, False, True], "another one")


async def test_sshd_that_was_killed_is_started_again_though_a_connection_outlives_it(pair: Pair) -> None:
    async with pair.up(echo) as master:
        channel = await open_control(master)
        (pid,) = processes(f"-D -e -f {pair.ams.run_dir}/sshd_config")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: [up for up, _ in pair.ams.sshd_states] == [True, False, True], "another one")
        channel.write(b"hello")
        assert b"hello" == await channel.read()
        channel.close()


async def test_a_port_that_is_taken_is_said(pair: Pair) -> None:
    async with running(pair.ams.sshd().run()):
        await until(lambda: pair.ams.sshd_states, "sshd")
        other = pair.msk
        other.port = pair.ams.port
        async with running(other.sshd().run()):
            await until(lambda: other.sshd_states, "the problem")
            assert (False, True) == (other.sshd_states[0][0], "Cannot bind" in other.sshd_states[0][1])


async def test_sshd_looks_at_its_keys_before_it_starts(pair: Pair) -> None:
    await pair.ams.sshd().check()
    (pair.ams.run_dir / "keys/host_key").write_text("no key")
    with pytest.raises(EnvironmentFault, match="sshd"):
        await pair.ams.sshd().check()


async def test_it_works_with_a_login_name_that_only_nss_wrapper_knows(pair: Pair) -> None:
    for region in (pair.msk, pair.ams):
        region.env = {**region.env, **identity._wrapped(str(region.run_dir), os.getuid())}
    async with pair.up(echo) as master:
        channel = await open_control(master)
        channel.write(b"hello")
        assert b"hello" == await channel.read()
        channel.close()


async def test_nothing_of_ours_is_left_running(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.link.spares.AT_REST", 2)
    async with pair.up(echo) as master:
        channel = await open_control(master)
        spares = pair.msk.spares(master)
        async with running(spares.run()):
            await until(lambda: spares.ready == 2, "spares")
        channel.close()
    await until(
        lambda: not processes(str(pair.msk.run_dir)) and not processes(str(pair.ams.run_dir)), "the end of all", 30.0
    )
