"""`sidecar status`."""

import asyncio
import contextlib
import json
import re
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from sidecar.cli import ask
from sidecar.engine.status import HoldStatus, NodeState, PathProblem, Status
from sidecar.errors import EnvironmentFault
from sidecar.web.server import serve
from tests.unit.cli.conftest import Ran, Sidecar
from tests.unit.web.fakes import AMS, CUT, HELD, UNREADABLE, WELL, FakeNode, FakeOrders, but

Asker = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOROOT_RUN_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(run_dir: Path, sidecar: Sidecar) -> Asker:
    """Runs `sidecar status` while a node with this status is served."""

    async def asker(status: Status, *options: str) -> Ran:
        async with serve(FakeNode(status), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(run_dir)):
            return await asyncio.to_thread(sidecar, "status", *options)

    return asker


@contextlib.asynccontextmanager
async def answering(run_dir: Path, answer: bytes) -> AsyncIterator[None]:
    """Something on the daemon's socket that says `answer` to whatever it hears."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(talk, run_dir / "admin.sock"):
        yield


async def test_a_person_sees_the_node_and_its_peers(asked: Asker) -> None:
    ran = await asked(WELL)
    assert (0, "") == (ran.code, ran.err)
    heading, *rest = ran.out.splitlines()
    assert "msk/msk  running, ready  up 3 h, image 0.1.0, protocol 1" == heading
    assert "  web root  /srv/web/html (beside), 21.0 GiB free on its volume" == rest[0]
    for said in (
        "1234 files, 56 directories, 3 symlinks",
        "56 directories of 8192 allowed",
        "41 s ago, 800 ms for 1293 paths, 7 of them differed",
        "5 in the trash (4.2 MiB), 1 conflict",
        "*~ .nfs* 4913",
    ):
        assert any(line.endswith(said) for line in rest), said
    columns = [re.split(r" {2,}", line) for line in rest[-2:]]
    assert [
        ["peer", "link", "receives", "pending", "in flight", "lag", "heard", "clock", "node", "address"],
        ["ams", "up", "yes", "3", "1", "250 ms", "2 s ago", "-2 ms", "ams", "ams-sidecar:2222"],
    ] == columns


async def test_a_person_sees_what_needs_a_look(asked: Asker) -> None:
    troubled = but(
        state=NodeState.FINDING,
        ready=False,
        alive=False,
        waits_for=("nyc",),
        peers=(AMS, CUT),
        warnings=("sshd does not listen", "raise the limit"),
        problems=(UNREADABLE,),
        problem_count=101,
    )
    lines = (await asked(troubled)).out.splitlines()
    assert lines[0].startswith("msk/msk  finding, not ready, not alive")
    assert any(re.match(r"nyc +down +no +- +0 +- +never +- +- +nyc\.example:2222$", line) for line in lines)
    assert [
        f"  nyc: {CUT.problem}",
        "",
        "to look at",
        "  sshd does not listen",
        "  raise the limit",
        "",
        "paths with a problem: 101, 1 of them here",
        "  private/a: Permission denied; give UID 33 access",
    ] == lines[-8:]


async def test_a_person_sees_what_is_held_and_what_to_type(asked: Asker) -> None:
    lines = (await asked(but(holds=(HELD,), paused=True))).out.splitlines()
    assert lines[0].startswith("msk/msk  running, ready, paused until `sidecar resume`")
    assert [
        "held until somebody approves it",
        "  62 paths, most of the web root, were gone at a scan (5 min ago)",
        "    to let it through: sidecar approve scan; not to: sidecar reject scan",
    ] == lines[-3:]


async def test_a_person_sees_what_may_be_done_with_what_a_region_does_not_know_any_more(asked: Asker) -> None:
    old = HoldStatus("forgotten", "7 paths are not there", 7, 300.0)
    lines = (await asked(but(holds=(old,)))).out.splitlines()
    assert (
        "    to delete them, into the trash: sidecar approve forgotten --trash; "
        "to send them as new: sidecar approve forgotten --offer" == lines[-1]
    )
    assert any(line.endswith("10 tombstones, all of what was deleted since 2025-11-24T16:00:00Z") for line in lines)


async def test_elsewhere_than_on_a_terminal_nothing_is_wrapped_or_coloured(
    asked: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "x" * 500
    patterns = tuple(f"pattern-{number}" for number in range(100))
    status = but(warnings=(long,), exclude=patterns, peers=(AMS, CUT), root=f"/{long}")
    lines = (await asked(status)).out.splitlines()
    assert f"  {long}" in lines
    assert any(line.endswith(" ".join(patterns)) for line in lines)
    assert any(line.startswith(f"  web root  /{long} ") for line in lines)
    assert not any("\x1b" in line or line.endswith(" ") for line in lines)


async def test_nothing_that_a_peer_or_a_name_says_reaches_the_terminal(asked: Asker) -> None:
    evil = "\x1b[2J\r\n[bold]\u202e"
    problem = PathProblem(path=evil, why=evil, hint=evil, peer=evil)
    peer = msgspec.structs.replace(CUT, region=evil, node=evil, state=evil, problem=evil, address=evil)
    status = but(region=evil, warnings=(evil,), problems=(problem,), problem_count=1, peers=(peer,), exclude=(evil,))
    out = (await asked(status)).out
    assert not {"\x1b", "\r", "\u202e"} & set(out)
    assert 13 == out.count("\\x1b[2J\\r\\n[bold]\\u202e")


async def test_json_is_printed_as_it_came(run_dir: Path, asked: Asker) -> None:
    ran = await asked(but(warnings=("é",)), "--json")
    assert (0, "msk", ["é"]) == (ran.code, json.loads(ran.out)["region"], json.loads(ran.out)["warnings"])
    assert 1 == ran.out.count("\n")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (WELL, 0),
        (but(warnings=("the clock of ams is off",)), 0),
        (but(peers=()), 0),
        (but(ready=False), 1),
        (but(alive=False), 1),
        (but(peers=(AMS, CUT)), 1),
        (but(problems=(UNREADABLE,), problem_count=1), 1),
        (but(holds=(HELD,)), 1),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
async def test_check_fails_when_somebody_has_to_look(asked: Asker, status: Status, code: int, json_too: bool) -> None:
    options = ("--json",) if json_too else ()
    assert 0 == (await asked(status, *options)).code
    assert code == (await asked(status, "--check", *options)).code


@pytest.mark.parametrize("left", ["nothing", "a dead socket", "no directory"])
def test_where_no_sidecar_runs_there_is_one_clear_line(run_dir: Path, sidecar: Sidecar, left: str) -> None:
    where = run_dir / "gone" if left == "no directory" else run_dir
    if left == "a dead socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(where / "admin.sock"))
    ran = sidecar("status", "--run-dir", str(where))
    problem = "Connection refused" if left == "a dead socket" else "No such file or directory"
    hint = "`sidecar run` starts one; GEOROOT_RUN_DIR names its run directory"
    assert (3, "") == (ran.code, ran.out)
    assert f"sidecar: no sidecar runs here ({where}/admin.sock): {problem}; {hint}\n" == ran.err


def test_a_run_directory_too_long_for_a_socket_is_one_clear_line(sidecar: Sidecar) -> None:
    ran = sidecar("status", "--run-dir", "/" + "x" * 200)
    assert (3, 1) == (ran.code, ran.err.count("\n"))


def test_the_socket_of_another_user_is_said_to_be_that(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    def refuse(_self: ask._Connection) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ask._Connection, "connect", refuse)  # root, who runs tests too, is refused nothing
    with pytest.raises(EnvironmentFault, match=r"may not be asked .*: Permission denied; run this as the user"):
        ask.get(str(run_dir), "/api/status")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "answered 500 Internal Server Error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "Object missing required field"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{", "JSON is malformed"),
        (b"SSH-2.0-OpenSSH\r\n", "answered BadStatusLine"),
    ],
)
async def test_an_answer_that_is_not_understood_is_one_clear_line(
    run_dir: Path, sidecar: Sidecar, answer: bytes, problem: str
) -> None:
    async with answering(run_dir, answer):
        ran = await asyncio.to_thread(sidecar, "status")
    assert (3, 1) == (ran.code, ran.err.count("\n"))
    assert ran.err.startswith(f"sidecar: the sidecar here is not understood ({run_dir}/admin.sock): {problem}")


def test_a_daemon_that_hangs_is_not_waited_for(run_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(run_dir / "admin.sock"))
        deaf.listen()
        began = time.monotonic()
        with pytest.raises(EnvironmentFault, match=r"is silent .*: no answer within 0 s"):
            ask.get(str(run_dir), "/api/status", limit=0.1)
        assert time.monotonic() - began < 5


async def test_an_older_command_reads_what_a_newer_daemon_adds(run_dir: Path, sidecar: Sidecar) -> None:
    newer = {**msgspec.to_builtins(WELL), "new": [1]}
    body = msgspec.json.encode(newer)
    async with answering(run_dir, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)):
        ran = await asyncio.to_thread(sidecar, "status", "--check")
    assert 0 == ran.code
    assert stat.S_ISSOCK((run_dir / "admin.sock").stat().st_mode)
