"""What a peer's key opens, and what it does not: asked by a client that shares nothing with the link's own ssh."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import paramiko
import pytest

from sidecar.link.channel import Channel
from sidecar.link.listener import MAX_CHANNELS, control_socket
from tests.node.region import Pair, until
from tests.support.ssh import Client, client

T = TypeVar("T")

REFUSED = 77
SMUGGLED = "/smuggled"
SERVER = "rsync --server -WtIRe.LsfxCIvu --no-implied-dirs ."


@contextlib.asynccontextmanager
async def guarded(pair: Pair, arrived: Callable[[str, Channel], Awaitable[None]] | None = None) -> AsyncIterator[None]:
    """The receiver, with something that must not be touched around its inbox."""
    (pair.ams.inbox / "spb").mkdir()
    (pair.ams.html / "index.html").write_text("served")
    listener, sshd = pair.ams.listener("msk", "spb", arrived=arrived), asyncio.create_task(pair.ams.sshd().run())
    await listener.start()
    try:
        await until(lambda: pair.ams.sshd_states, "sshd")
        yield
    finally:
        sshd.cancel()
        await asyncio.gather(sshd, return_exceptions=True)
        await listener.close()


async def as_peer(pair: Pair, act: Callable[[Client], T], key: Path | None = None) -> T:
    def connected() -> T:
        with client(pair.ams.port, str(key or pair.msk.installed.client_key)) as made:
            return act(made)

    return await asyncio.to_thread(connected)


def everything(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def environments() -> list[bytes]:
    """Those of every process here."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found.append(file.read_bytes())
    return found


HOSTILE = [
    "",
    "sh",
    "/bin/sh -c id",
    "id",
    "control; id",
    "control extra",
    " control",
    "control ",
    "control\nid",
    "CONTROL",
    "scp -t .",
    "sftp-server",
    "/usr/lib/openssh/sftp-server",
    "internal-sftp",
    "rsync",
    "rsync --daemon",
    "rsync --version",
    "rsync --server",
    "rsync  --server -WtIRe.LsfxCIvu --no-implied-dirs . msk-0.1",
    f" {SERVER} msk-0.1",
    f"{SERVER} msk-0.1 ",
    f"{SERVER}  msk-0.1",
    f"{SERVER}\tmsk-0.1",
    f"{SERVER} msk-0.1\n",
    f"{SERVER} msk-0.1\nid",
    f"{SERVER} msk-0.1;id",
    f"{SERVER} msk-0.1|id",
    f"{SERVER} msk-0.1&id",
    f"{SERVER} $(id).1",
    f"{SERVER} `id`.1",
    f"{SERVER} $HOME.1",
    f"{SERVER} 'msk-0.1'",
    f'{SERVER} "msk-0.1"',
    f"{SERVER} msk-0.1\\",
    f"{SERVER} *.1",
    f"{SERVER} ~.1",
    f"{SERVER} msk-0.1>x",
    f"{SERVER} msk-0.1 extra",
    f"{SERVER} extra msk-0.1",
    SERVER,
    f"{SERVER} .",
    f"{SERVER} ..",
    f"{SERVER} ../spb",
    f"{SERVER} ../spb/spb-0.1",
    f"{SERVER} ../../../html",
    f"{SERVER} msk-0.1/",
    f"{SERVER} msk-0.1/../../spb",
    f"{SERVER} /srv/web/html",
    f"{SERVER} .msk-0.1",
    f"{SERVER} -msk-0.1",
    f"{SERVER} --msk.1",
    f"{SERVER} msk",
    f"{SERVER} msk.",
    f"{SERVER} .1",
    f"{SERVER} msk:0.1",
    f"{SERVER} msk-0.1é",
    f"{SERVER} {'m' * 127}.1",
    "rsync --server --sender -WtIRe.LsfxCIvu --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --sender --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --no-implied-dirs --sender . msk-0.1",
    "rsync --server -logDtpre.iLsfxCIvu . msk-0.1",
    "rsync --server -WltIRe.LsfxCIvu --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRKe.LsfxCIvu --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe. --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu1 --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.Ls.fx --no-implied-dirs . msk-0.1",
    f"rsync --server -WtIRe.{'L' * 33} --no-implied-dirs . msk-0.1",
    "rsync --server -WtIR --no-implied-dirs . msk-0.1",
    "rsync --server -tIRWe.LsfxCIvu --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --no-implied-dirs / msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --no-implied-dirs -- msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --delete --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --no-implied-dirs --delete . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --log-file=x --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --temp-dir=.. --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --insecure-links --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit= --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit=-1 --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit=1k --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit=1.5 --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit=1000000000 --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu --bwlimit=1 --bwlimit=2 --no-implied-dirs . msk-0.1",
    f"{SERVER} " + "m" * 100_000,
    "rsync --server -tIRe.LsfxCIvu --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRe.LsfxCIvu -B4096 --no-implied-dirs . msk-0.1",
    "rsync --server -WtIRze.LsfxCIvu --compress-level=-50 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu --compress-level=22 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B700 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B0001 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B1000000 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B409x --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B4096 -B4096 --no-implied-dirs . msk-0.1",
    "rsync --server -tIRze.LsfxCIvu -B4096",
    "rsync --server -WtIRe.LsfxCIvu",
]


async def test_everything_else_is_refused_reported_and_leaves_no_trace(pair: Pair) -> None:
    async with guarded(pair):
        before = everything(pair.ams.volume)

        def ask(made: Client) -> list[tuple[str, int, str]]:
            return [(command, *made.said(command)) for command in HOSTILE]

        for command, status, stderr in await as_peer(pair, ask):
            assert (REFUSED, True) == (status, stderr.startswith("refused: ")), command
        await until(lambda: len(pair.ams.refusals) == len(HOSTILE), "every report")
        assert {"msk"} == {region for region, _ in pair.ams.refusals}
        assert before == everything(pair.ams.volume)


async def test_a_report_names_the_region_and_holds_nothing_harmful(pair: Pair) -> None:
    async with guarded(pair):
        await as_peer(pair, lambda made: made.said("sh -c '\x1b[2J$(id)\r\nspb forged: line'"))
        await until(lambda: pair.ams.refusals, "the report")
        ((region, reason),) = pair.ams.refusals
        assert "msk" == region
        assert "characters that no node sends: sh -c ???2J??id?? spb forged: line?" == reason


async def test_letters_of_another_version_are_welcome(pair: Pair) -> None:
    async with guarded(pair):
        status, stderr = await as_peer(
            pair, lambda made: made.said("rsync --server -WtIRe.LsfxCIvuZ --no-implied-dirs . m.1")
        )
        assert REFUSED != status, stderr
        assert [] == pair.ams.refusals


async def test_a_batch_name_that_is_a_symlink_is_refused(pair: Pair) -> None:
    async with guarded(pair):
        (pair.ams.inbox / "msk").mkdir()
        (pair.ams.inbox / "msk/msk-0.1").symlink_to(pair.ams.html)
        assert REFUSED == (await as_peer(pair, lambda made: made.said(f"{SERVER} msk-0.1")))[0]


async def test_there_is_no_shell_sftp_terminal_or_forwarding(pair: Pair) -> None:
    def attempt(made: Client) -> None:
        with made.session() as session, pytest.raises(paramiko.SSHException):
            session.get_pty()
        with made.session() as session:
            session.invoke_shell()
            assert REFUSED == session.recv_exit_status()
        with made.session() as session, pytest.raises(paramiko.SSHException):
            session.invoke_subsystem("sftp")
        with pytest.raises(paramiko.ChannelException):
            made.transport.open_channel("direct-tcpip", ("127.0.0.1", pair.ams.port), ("127.0.0.1", 1))
        with pytest.raises(paramiko.SSHException):
            made.transport.request_port_forward("127.0.0.1", 0)

    async with guarded(pair):
        await as_peer(pair, attempt)


async def test_a_peer_cannot_change_the_gates_environment(pair: Pair) -> None:
    def attempt(made: Client) -> None:
        with made.session() as session:
            for name in ("GEOROOT_INBOX", "GEOROOT_ROOT", "PATH", "LC_ALL", "LD_PRELOAD"):
                session.set_environment_variable(name, SMUGGLED)
            session.exec_command("control")
            assert session.recv(1), "the greeting"
            assert not [environment for environment in environments() if SMUGGLED.encode() in environment]

    async def greet(_: str, channel: Channel) -> None:
        channel.write(b"welcome")
        await channel.read()

    async with guarded(pair, greet):
        await as_peer(pair, attempt)


@pytest.mark.parametrize("user", ["root", "www-data", "nobody"])
async def test_only_one_user_exists(pair: Pair, user: str) -> None:
    async with guarded(pair):
        with pytest.raises(paramiko.AuthenticationException):
            await asyncio.to_thread(lambda: client(pair.ams.port, pair.msk.installed.client_key, user).__enter__())


async def test_another_key_opens_nothing(pair: Pair) -> None:
    async with guarded(pair):
        with pytest.raises(paramiko.AuthenticationException):
            await as_peer(pair, lambda made: made.said("control"), Path(pair.ams.installed.client_key))


async def test_connections_that_say_nothing_lock_nobody_out(pair: Pair) -> None:
    async with guarded(pair):
        for _ in range(30):
            socket.create_connection(("127.0.0.1", pair.ams.port)).close()
        assert REFUSED == (await as_peer(pair, lambda made: made.said("id")))[0]


async def test_control_leads_to_the_keys_own_region_alone(pair: Pair) -> None:
    regions = []

    async def note(region: str, _: Channel) -> None:
        regions.append(region)

    async with guarded(pair, note):
        assert (0, "") == await as_peer(pair, lambda made: made.said("control"))
        assert ["msk"] == regions


async def test_a_region_cannot_hold_more_channels_than_its_share(pair: Pair) -> None:
    async with guarded(pair):
        path = control_socket(str(pair.ams.run_dir), "msk")
        kept = [await asyncio.open_unix_connection(path) for _ in range(MAX_CHANNELS)]
        await until(lambda: len(pair.ams.channels) == MAX_CHANNELS, "all channels")
        reader, writer = await asyncio.open_unix_connection(path)
        assert b"" == await asyncio.wait_for(reader.read(1), 5)
        assert 1 == len(pair.ams.refusals)
        for _, each in (*kept, (reader, writer)):
            each.close()
