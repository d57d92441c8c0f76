"""Log lines: one a record whatever is in it, the same for libraries, and never a reason to stop."""

import enum
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sidecar import log
from sidecar.errors import ConfigError

early = structlog.get_logger("sidecar.early")
"""made before anything is configured, as every module's is"""


class State(enum.Enum):
    UP = "up"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    log.configure("info", "text", None)
    root.removeHandler(log._foreign)
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What went to stderr since it was last asked."""
    return lambda: capsys.readouterr().err


def test_a_text_line_is_time_level_event_and_pairs(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    early.info("scan done", paths=3, seconds=0.5)
    shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info    scan done paths=3 seconds=0\.5\n"
    assert re.fullmatch(shape, said())


def test_what_is_said_again_and_again_is_left_out_and_counted(
    said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sidecar.log.time.monotonic", lambda: now[0])
    log.configure("debug", "json", None)
    for number in range(3 * log.MOST):
        for peer in ("ams", "fra"):
            early.warning("link down", peer=peer, why=f"reason {number}")
        early.debug("a detail")
        logging.getLogger("library").warning("it says %d", number)
    early.warning("link down", peer="cph", why="another's")
    lines = [json.loads(line) for line in said().splitlines()]
    kinds = [(line["event"].partition(" ")[0], line.get("peer")) for line in lines]
    assert [log.MOST] * 2 == [kinds.count(("link", peer)) for peer in ("ams", "fra")]
    assert [log.MOST, 3 * log.MOST, 1] == [kinds.count(kind) for kind in (("it", None), ("a", None), ("link", "cph"))]
    assert 3 == sum("left out for up to 60 s" in line.get("more", "") for line in lines)
    now[0] += log.PERIOD + 1
    for _ in range(2):
        early.warning("link down", peer="ams", why="again")
    assert [2 * log.MOST, None] == [json.loads(line).get("left_out_before") for line in said().splitlines()]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "x"', '"say \\"x\\""'),
        ("a=b", '"a=b"'),
        ("line\nother", '"line\\nother"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("\x7f", '"\\u007f"'),
        ("über", "über"),
        (b"img/logo.png", "img/logo.png"),
        (b"caf\xe9", "caf\\xe9"),
        ("lone \udce9", '"lone \\\\udce9"'),
        (True, "true"),
        (None, "null"),
        (State.UP, "up"),
        ([b"a", b"\xff"], '["a", "\\\\xff"]'),
        ({b"k": b"v"}, '{"k": "v"}'),
        (ValueError("no good"), '"no good"'),
    ],
)
def test_a_value_is_one_readable_word(said: Callable[[], str], value: object, shown: str) -> None:
    log.configure("info", "text", None)
    early.info("said", value=value)
    assert said().endswith(f" said value={shown}\n")


@given(text=st.text() | st.binary())
@pytest.mark.parametrize("fmt", ["text", "json"])
def test_nothing_in_a_value_or_event_makes_a_second_line(fmt: str, text: str | bytes) -> None:
    stream = io.StringIO(newline="")
    log.configure("info", fmt, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        early.info(text, value=text)
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable() or (fmt == "json" and line.isascii())


def test_a_json_line_holds_what_was_said(said: Callable[[], str]) -> None:
    log.configure("info", "json", None)
    early.warning("a path", path=b"caf\xe9", tries=2, links=(State.UP,))
    line = json.loads(said())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert {
        "level": "warning",
        "event": "a path",
        "logger": "sidecar.early",
        "path": "caf\\xe9",
        "tries": 2,
        "links": ["up"],
    } == line


def test_a_traceback_follows_its_line_indented(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    early.error("failed", exc_info=_raised("first\n2026-01-01T00:00:00.000Z info    forged \x1b[2J"))
    first, *trace = said().splitlines()
    assert first.endswith(" error   failed")
    assert "    Traceback (most recent call last):" == trace[0]
    assert all(row.startswith("    ") and row.isprintable() for row in trace)


def test_a_json_line_carries_its_traceback(said: Callable[[], str]) -> None:
    log.configure("info", "json", None)
    early.error("failed", exc_info=_raised("no good"))
    assert json.loads(said())["exception"].endswith("LookupError: no good")


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_logged(said: Callable[[], str], level: str, heard: list[str]) -> None:
    log.configure(level, "text", None)
    for each in ("debug", "info", "warning", "error"):
        getattr(early, each)("said")
    assert heard == [line.split()[1] for line in said().splitlines()]


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_libraries_are_heard_from_warnings_on_and_at_debug_in_full(
    said: Callable[[], str], level: str, heard: list[str]
) -> None:
    log.configure(level, "json", None)
    for each in ("debug", "info", "warning", "error"):
        logging.getLogger("asyncio").log(getattr(logging, each.upper()), "%s happened", "it")
    lines = [json.loads(line) for line in said().splitlines()]
    assert heard == [line["level"] for line in lines]
    assert {("it happened", "asyncio")} == {(line["event"], line["logger"]) for line in lines}


def test_a_library_is_named_in_text_and_its_traceback_shown(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    logging.getLogger("asyncio").error("Task exception\nfuture: x", exc_info=ValueError("no good"))
    first, *trace = said().splitlines()
    assert first.endswith("error   Task exception\\nfuture: x logger=asyncio")
    assert "    ValueError: no good" == trace[-1]


@pytest.mark.parametrize(("level", "spoken"), [(25, "info"), (35, "warning"), (99, "critical")])
def test_a_librarys_own_level_is_taken_for_the_nearest_below(said: Callable[[], str], level: int, spoken: str) -> None:
    log.configure("debug", "text", None)
    logging.getLogger("other").log(level, "said")
    assert spoken == said().split()[1]


def test_a_librarys_broken_message_is_logged_as_it_is(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    record = {"name": "other", "levelno": logging.WARNING, "msg": "%d files", "args": ("x",)}
    log._foreign.handle(logging.makeLogRecord(record))
    assert "%d files" in said()


def test_configuring_twice_does_not_double_the_lines(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    log.configure("warning", "text", None)
    early.info("not heard any more")
    logging.getLogger("other").warning("once")
    assert 1 == len(said().splitlines())


def test_the_file_gets_what_stderr_gets_behind_what_it_holds(said: Callable[[], str], tmp_path: Path) -> None:
    file = tmp_path / "georoot.log"
    file.write_text("before\n")
    log.configure("info", "text", str(file))
    early.info("said", path=b"caf\xc3\xa9")
    assert f"before\n{said()}" == file.read_text()


def test_a_file_that_was_moved_away_is_written_until_reopened(said: Callable[[], str], tmp_path: Path) -> None:
    file, moved = tmp_path / "log", tmp_path / "log.1"
    log.configure("info", "text", str(file))
    file.rename(moved)
    early.info("old")
    log.reopen()
    early.info("new")
    assert ("old", "new") == (moved.read_text().split()[-1], file.read_text().split()[-1])


def test_reopening_leaves_no_descriptor_behind(said: Callable[[], str], tmp_path: Path) -> None:
    log.configure("info", "text", str(tmp_path / "log"))
    before = len(os.listdir("/proc/self/fd"))
    log.reopen()
    log.configure("info", "text", str(tmp_path / "other"))
    assert before == len(os.listdir("/proc/self/fd"))


def test_reopening_without_a_file_does_nothing(said: Callable[[], str]) -> None:
    log.configure("info", "text", None)
    log.reopen()
    assert not said()


def test_a_file_that_cannot_be_reopened_is_told_and_the_old_one_stays(said: Callable[[], str], tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log.configure("info", "text", str(folder / "log"))
    folder.rename(tmp_path / "moved")
    log.reopen()
    early.info("still here")
    told, last = (tmp_path / "moved" / "log").read_text().splitlines()
    assert "not opened anew" in told and "No such file or directory" in told
    assert last.endswith("still here")


@pytest.mark.parametrize("file", [".", "missing/log"])
def test_a_file_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigError, match=r"^log_file: .*cannot be opened") as refused:
        log.configure("info", "text", str(tmp_path / file))
    assert 2 == refused.value.exit_code


@pytest.mark.parametrize("broken", ["none", "closed", "full", "unread"])
def test_a_stderr_that_takes_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str) -> None:
    log.configure("info", "text", str(tmp_path / "log"))
    with _stream(broken) as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        early.info("said")
        logging.getLogger("other").warning("said too")
    assert 2 == len((tmp_path / "log").read_text().splitlines())


def test_a_full_disk_stops_nobody(said: Callable[[], str]) -> None:
    log.configure("info", "text", "/dev/full")
    early.info("said")
    assert said().endswith("said\n")


@contextmanager
def _stream(broken: str) -> Iterator[io.TextIOBase | None]:
    reads, writes = os.pipe()
    os.close(reads)
    with (
        open("/dev/full", "w", encoding="utf-8") as full,
        open(writes, "w", encoding="utf-8") as unread,
        io.StringIO() as closed,
    ):
        closed.close()
        yield {"none": None, "closed": closed, "full": full, "unread": unread}[broken]
        for stream in (full, unread):
            with suppress(OSError):
                stream.close()


def _raised(what: str) -> BaseException:
    """An error with the traceback that it gets by being raised."""
    with pytest.raises(LookupError) as caught:
        raise LookupError(what)
    return caught.value
