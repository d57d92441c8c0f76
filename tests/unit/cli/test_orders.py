"""The commands that ask a running daemon for something."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from structlog.testing import capture_logs

from sidecar.cli import commands
from sidecar.engine.orders import Behind, Conflicts, Joined, Pending, PendingOf, Restored, Trash
from sidecar.errors import EnvironmentFault, NeedsHelp, Retryable
from sidecar.web.server import serve
from tests.unit.cli.conftest import Ran, Sidecar
from tests.unit.web.fakes import CONFLICT, LATE, MET, FakeNode, FakeOrders

HELD = Behind("ams", "2 paths are not applied there, a among them: held as `changes`", held=True)
Asker = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOROOT_RUN_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def orders() -> FakeOrders:
    return FakeOrders()


@pytest.fixture
def asked(run_dir: Path, sidecar: Sidecar, orders: FakeOrders) -> Asker:
    """Runs a command line while a daemon takes its orders."""

    async def asker(*arguments: str) -> Ran:
        async with serve(FakeNode(), orders, listen="127.0.0.1", port=0, run_dir=str(run_dir)):
            return await asyncio.to_thread(sidecar, *arguments)

    return asker


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("approve scan", ("approve", "scan")),
        ("approve forgotten --trash", ("approve", "forgotten", "trash")),
        ("approve --offer forgotten", ("approve", "forgotten", "offer")),
        ("assert", ("assert", b"")),
        ("assert dir/page", ("assert", b"dir/page")),
        ("reject scan", ("reject", "scan")),
        ("pause", ("pause",)),
        ("resume", ("resume",)),
        ("join --prefer ams --dry-run", ("join", "ams", 60.0, False)),
        ("sync --once", ("sync", 3600.0)),
        ("sync --once --timeout 5m", ("sync", 300.0)),
        ("sync --once --dry-run", ("pending",)),
        ("verify", ("verify", (), False)),
        ("verify --checksum ams", ("verify", ("ams",), True)),
        ("wait", ("wait", (), 60.0)),
        ("wait --timeout 5m ams nyc", ("wait", ("ams", "nyc"), 300.0)),
        ("conflicts", ("conflicts",)),
        ("conflicts list", ("conflicts",)),
        ("conflicts show page 0123", ("conflict", b"page", "0123")),
        ("conflicts show page", ("conflict", b"page", "")),
        ("conflicts take page 0123", ("take", b"page", "0123")),
        ("conflicts take page", ("take", b"page", "")),
        ("trash", ("trash", b"", 100)),
        ("trash --limit 7 dir/page", ("trash", b"dir/page", 7)),
        ("restore page-\udcff", ("restore", b"page-\xff", None)),
        ("restore page --at 1764000000", ("restore", b"page", 1_764_000_000.0)),
        ("restore --since 1764000000.5", ("restore since", 1_764_000_000.5, "")),
        ("restore --since 2025-11-24T16:00Z --peer ams", ("restore since", 1_764_000_000.0, "ams")),
    ],
)
async def test_a_command_line_is_one_order(asked: Asker, orders: FakeOrders, line: str, order: tuple[Any, ...]) -> None:
    ran = await asked(*line.split())
    assert (0, "") == (ran.code, ran.err)
    assert [order] == orders.asked


@pytest.mark.parametrize(
    "line",
    [
        "approve",
        "reject",
        "join --dry-run",
        "join --prefer ams",
        "sync",
        "sync --dry-run",
        "wait --timeout soon",
        "conflicts show",
        "conflicts lose page",
        "approve forgotten --trash --offer",
        "trash --limit 0",
        "trash --limit 1001",
        "restore",
        "restore page --since 2h",
        "restore page --peer ams",
        "restore --since 2h --at 1h",
        "restore page --at tomorrow",
    ],
)
async def test_a_command_line_that_means_nothing_asks_for_nothing(asked: Asker, orders: FakeOrders, line: str) -> None:
    ran = await asked(*line.split())
    assert (2, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert [] == orders.asked


async def test_who_is_behind_is_said_and_the_code_is_1(asked: Asker, orders: FakeOrders) -> None:
    orders.behind = (LATE, Behind("nyc", "Connection refused\x1b"))
    ran = await asked("wait")
    assert (1, "") == (ran.code, ran.err)
    assert [
        "not there yet: ams: 3 paths are not confirmed",
        "not there yet: nyc: Connection refused\\x1b",
    ] == ran.out.splitlines()


@pytest.mark.parametrize(
    ("prefer", "lines"),
    [
        (
            "newest",
            [
                "here wins: 1 paths; 20 B that are there go to the conflicts",
                "ams wins: 4 paths; 40 B that are here go to the trash here",
            ],
        ),
        ("local", ["here wins: 5 paths; 100 B that are there go to the trash of ams"]),
        ("ams", ["ams wins: 5 paths; 50 B that are here go to the trash here"]),
    ],
)
async def test_a_join_says_first_what_it_would_do(
    asked: Asker, orders: FakeOrders, prefer: str, lines: list[str]
) -> None:
    ran = await asked("join", "--prefer", prefer, "--dry-run")
    assert (0, "") == (ran.code, ran.err)
    assert [
        "ams: 120 paths are the same, 5 differ",
        "only here: 3 (300 B), only there: 5 (2.0 KiB): they stay",
        *lines,
    ] == [line.strip() for line in ran.out.splitlines()]
    assert [("join", prefer, 60.0, False)] == orders.asked


async def test_a_join_that_was_agreed_to_is_done(asked: Asker, orders: FakeOrders) -> None:
    ran = await asked("join", "--prefer", "local", "--yes", "--timeout", "5s")
    assert (0, "", "joined") == (ran.code, ran.err, ran.out.splitlines()[-1])
    assert [("join", "local", 5.0, False), ("join", "local", 5.0, True)] == orders.asked


async def test_a_join_that_is_not_over_says_for_whom_it_waits(asked: Asker, orders: FakeOrders) -> None:
    silent = msgspec.structs.replace(MET, region="nyc", problem="Connection refused\x1b", deleted=2, deleted_bytes=9)
    orders.joined = Joined((MET, silent), False, ("nyc",))
    assert 1 == (await asked("join", "--prefer", "newest", "--dry-run")).code
    ran = await asked("join", "--prefer", "newest", "--yes")
    assert (1, "") == (ran.code, ran.err)
    assert "nyc: not compared in full: Connection refused\\x1b" in ran.out
    assert "deleted there after they were written here: 2 paths; 9 B go to the trash here" in ran.out
    assert "decided, and goes on: not all is said yet by nyc" == ran.out.splitlines()[-1]


async def test_a_join_without_a_terminal_and_without_yes_does_nothing(asked: Asker, orders: FakeOrders) -> None:
    ran = await asked("join", "--prefer", "local")
    assert (2, "", []) == (ran.code, ran.out, orders.asked)
    assert "add --yes, or --dry-run" in ran.err


async def test_what_is_held_alone_has_a_code_of_its_own(asked: Asker, orders: FakeOrders) -> None:
    orders.behind = (HELD,)
    ran = await asked("wait")
    assert (5, f"not there yet: ams: {HELD.why}\n") == (ran.code, ran.out)
    orders.behind = (HELD, LATE)
    assert 1 == (await asked("wait")).code


async def test_an_assertion_says_what_it_means_and_how_to_go_on(asked: Asker, orders: FakeOrders) -> None:
    assert [
        "120 paths (2.0 KiB) are to win in every region as they are here",
        "3 paths that are gone here are to be deleted there",
        "held: `sidecar approve assert` does it, `sidecar reject assert` gives it up",
    ] == (await asked("assert")).out.splitlines()
    orders.gone = 0
    assert 2 == (await asked("assert")).out.count("\n")


@pytest.mark.parametrize(
    ("behind", "code"),
    [
        ((), 0),
        ((LATE,), 1),
        ((HELD,), 5),
        ((HELD, LATE), 1),
        ((Behind("nyc", "refused", unreached=True),), 6),
        ((Behind("nyc", "refused", unreached=True), LATE, HELD), 6),
    ],
)
async def test_a_sync_ends_with_the_code_of_what_is_worst(
    asked: Asker, orders: FakeOrders, behind: tuple[Behind, ...], code: int
) -> None:
    orders.behind = behind
    ran = await asked("sync", "--once")
    assert (code, "") == (ran.code, ran.err)
    assert [f"{'not reached' if one.unreached else 'not in sync'}: {one.region}: {one.why}" for one in behind] == (
        ran.out.splitlines()
    )


async def test_a_dry_run_lists_what_would_go(asked: Asker, orders: FakeOrders) -> None:
    assert [
        "ams: send a-\\udcff",
        "ams: send b",
        "ams: send 1 more",
        "ams: delete c\\x1b",
        "ams: 3 to send (2.0 KiB), 1 to delete",
    ] == (await asked("sync", "--once", "--dry-run")).out.splitlines()
    orders.unsent = Pending((PendingOf("ams", "Connection refused"),), ("62 paths were gone",))
    ran = await asked("sync", "--once", "--dry-run")
    assert (6, "") == (ran.code, ran.err)
    assert ["note: 62 paths were gone", "ams: not reached: Connection refused"] == ran.out.splitlines()[:2]


async def test_what_is_rejected_is_counted(asked: Asker) -> None:
    assert "rejected: scan: 62 paths to come back\n" == (await asked("reject", "scan")).out


async def test_conflicts_are_a_table(asked: Asker, orders: FakeOrders) -> None:
    orders.listed = Conflicts((CONFLICT, msgspec.structs.replace(CONFLICT, path=b"b")), 5)
    lines = (await asked("conflicts")).out.splitlines()
    assert ["path", "id", "size", "written", "shown", "written"] == lines[0].split()
    row = "0123456789ab 2.0 KiB 2025-11-24T16:00:00Z 12 B 2025-11-24T16:00:01Z"
    assert [f"a page-\\udcff {row}", f"b {row}", "3 more are not listed"] == [" ".join(x.split()) for x in lines[1:]]
    orders.listed = Conflicts((), 0)
    assert "no conflicts\n" == (await asked("conflicts", "list")).out


async def test_the_trash_is_a_table(asked: Asker, orders: FakeOrders) -> None:
    lines = (await asked("trash")).out.splitlines()
    assert ["left", "path", "kind", "size", "why", "for"] == lines[0].split()
    assert ["2025-11-24T16:00:00Z", "old\\x1b[2J", "file", "4.0", "KiB", "replaced", "ams"] == lines[1].split()
    orders.left = Trash(())
    assert "nothing in the trash\n" == (await asked("trash")).out


@pytest.mark.parametrize("line", ["conflicts --json", "conflicts list --json", "trash --json"])
async def test_json_keeps_names_of_any_bytes(asked: Asker, orders: FakeOrders, line: str) -> None:
    orders.left = Trash((msgspec.structs.replace(orders.left.items[0], path=CONFLICT.path),))
    ran = await asked(*line.split())
    found = json.loads(ran.out)
    items = found["conflicts"] if "conflicts" in line else found
    assert ["a page-\udcff"] == [one["path"] for one in items]
    assert 1 == ran.out.count("\n")


async def test_the_bytes_of_a_losing_version_are_written_as_they_are(
    run_dir: Path, orders: FakeOrders, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    orders.lost = bytes(range(256)) * 5000
    async with serve(FakeNode(), orders, listen="127.0.0.1", port=0, run_dir=str(run_dir)):
        assert 0 == await asyncio.to_thread(commands.main, ["conflicts", "show", "page"])
    assert orders.lost == capfdbinary.readouterr().out


async def test_what_is_restored_is_named_and_what_is_not_fails(asked: Asker, orders: FakeOrders) -> None:
    orders.restored = Restored(3, (b"a\x1b", b"b"), 2, ("c: its bytes are gone",))
    ran = await asked("restore", "dir")
    assert (1, "") == (ran.code, ran.err)
    assert [
        "restored: a\\x1b",
        "restored: b",
        "and 1 more",
        "not restored: c: its bytes are gone",
        "and 1 more are not",
    ] == ran.out.splitlines()
    orders.restored = Restored(0, (), 0, ())
    ran = await asked("restore", "--since", "2h")
    assert (0, "nothing left since then\n") == (ran.code, ran.out)


@pytest.mark.parametrize(
    "line",
    [
        "approve scan",
        "assert",
        "reject scan",
        "join --prefer a --yes",
        "sync --once --timeout 1s",
        "pause",
        "wait",
        "conflicts",
        "conflicts take p",
        "trash",
        "restore p",
    ],
)
@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (NeedsHelp("there is no such thing", "look\nelsewhere\x1b"), 1, "there is no such thing; look elsewhere\\x1b"),
        (Retryable("it is being written"), 1, "it is being written; try again"),
        (EnvironmentFault("disk", "is gone", "mount it"), 3, "disk: is gone; mount it; are command and daemon of one"),
        (KeyError("x"), 70, "a defect: KeyError: 'x'; please report it"),
    ],
)
async def test_what_the_daemon_refuses_is_one_clear_line(
    asked: Asker, orders: FakeOrders, line: str, problem: Exception, code: int, said: str
) -> None:
    orders.problem = problem
    with capture_logs():
        ran = await asked(*line.split())
    assert (code, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert ran.err.startswith(f"sidecar: {said}")


@pytest.mark.parametrize("line", ["approve scan", "pause", "conflicts show p", "restore p"])
def test_without_a_daemon_there_is_one_clear_line(run_dir: Path, sidecar: Sidecar, line: str) -> None:
    ran = sidecar(*line.split())
    assert (3, "") == (ran.code, ran.out)
    assert ran.err.startswith(f"sidecar: no sidecar runs here ({run_dir}/admin.sock): ")


def test_a_daemon_that_does_not_answer_is_given_the_time_that_it_was_asked_for(
    run_dir: Path, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.cli.ask.LIMIT", 0.2)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(run_dir / "admin.sock"))
        deaf.listen()
        began = time.monotonic()
        ran = sidecar("wait", "--timeout", "300ms")
    assert (3, 1) == (ran.code, ran.err.count("\n"))
    assert 0.5 <= time.monotonic() - began < 5


def test_every_command_says_what_it_does(sidecar: Sidecar) -> None:
    for name, command in commands.sidecar.commands.items():
        assert isinstance(command, click.Command)
        said = sidecar(name, "--help")
        assert 0 == said.code
        assert command.help
