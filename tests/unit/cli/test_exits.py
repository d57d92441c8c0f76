"""Exit codes: how each end of a command looks from outside."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from sidecar.cli import commands, exits
from sidecar.cli.text import plain, say
from sidecar.errors import ConfigError, EnvironmentFault, GeorootError, NeedsHelp, ProtocolViolation, Retryable
from tests.unit.cli.conftest import Sidecar

README = Path(__file__).parents[3] / "README.md"


def failing(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe from which nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GeorootError("it ended"), 1, "sidecar: it ended\n"),
        (Retryable("not now"), 1, "sidecar: not now\n"),
        (NeedsHelp("the disk is full", "free space"), 1, "sidecar: the disk is full; free space\n"),
        (ProtocolViolation("what?"), 1, "sidecar: what?\n"),
        (ConfigError("region", "is missing", "set it"), 2, "sidecar: region: is missing; set it\n"),
        (EnvironmentFault("http_port", "is taken", "set another"), 3, "sidecar: http_port: is taken; set another\n"),
        (EnvironmentFault("key", "two\nlines\x1b[2J", "x"), 3, "sidecar: key: two lines\\x1b[2J; x\n"),
        (ExceptionGroup("tasks", [ValueError(), ConfigError("a", "b", "c")]), 2, "sidecar: a: b; c\n"),
        (click.UsageError("No such option '--x'."), 2, "sidecar: No such option '--x'.\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (click.exceptions.Exit(7), 7, ""),
    ],
)
def test_an_expected_end_is_a_code_and_at_most_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert code == exits.of(failing(error))
    assert ("", said) == capsys.readouterr()


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (None, 0), (1, 1), (4, 4)])
def test_what_a_command_returns_is_its_code(returned: int | None, code: int) -> None:
    assert code == exits.of(lambda: returned)


@pytest.mark.parametrize("level", [None, "info"])
def test_anything_else_is_a_defect_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str | None
) -> None:
    if level:
        monkeypatch.setenv("GEOROOT_LOG_LEVEL", level)
    assert 70 == exits.of(failing(KeyError("x")))
    said = capsys.readouterr().err
    assert said.startswith(f"sidecar: a defect: KeyError: 'x' ({__file__}:")
    assert 1 == said.count("\n")


def test_a_defect_has_its_traceback_when_debugging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOROOT_LOG_LEVEL", "DEBUG")
    assert 70 == exits.of(failing(ExceptionGroup("tasks", [ValueError("deep")])))
    said = capsys.readouterr().err
    assert "ValueError: deep" in said
    assert said.splitlines()[-1].startswith("sidecar: a defect: ExceptionGroup: tasks (1 sub-exception)")


def test_help_names_every_exit_code(sidecar: Sidecar) -> None:
    ran = sidecar("--help")
    listed = [int(line.split()[0]) for line in ran.out.partition("Exit codes:")[2].strip().splitlines()]
    assert (0, list(exits.CODES)) == (ran.code, listed)
    assert {0, 1, 2, 3, 4, 70} <= set(listed)


def test_help_lists_every_command(sidecar: Sidecar) -> None:
    said = sidecar("-h").out
    assert [] == [command for command in commands.sidecar.commands if f"\n  {command} " not in said]


def test_the_readme_names_every_command_and_every_exit_code() -> None:
    named, _, rest = README.read_text("utf-8").partition("## Commands and addresses")[2].partition("Exit codes:")
    assert [] == [name for name in commands.sidecar.commands if not re.search(rf"`(sidecar )?{name}\b", named)]
    codes = re.findall(r"(?:^ |,\s)(\d+) ", rest.partition("Over HTTP")[0])
    assert list(exits.CODES) == [int(code) for code in codes]


def test_without_a_command_there_is_help_and_a_failure(sidecar: Sidecar) -> None:
    ran = sidecar()
    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith("Usage: sidecar ")


@pytest.mark.parametrize("arguments", [("fly",), ("--fly",), ("status", "--fly"), ("run", "now"), ("status", "x")])
def test_what_is_no_command_line_is_refused_in_one_line(sidecar: Sidecar, arguments: tuple[str, ...]) -> None:
    ran = sidecar(*arguments)
    assert (2, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert ran.err.startswith("sidecar: ")


def test_a_reader_that_goes_away_is_no_error(unread: int) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "--help"],
        stdout=unread,
        stderr=subprocess.PIPE,
        env=buffered,
        check=False,
        timeout=30,
    )
    assert (exits.UNREAD, b"") == (done.returncode, done.stderr)


def test_what_a_command_says_to_nobody_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, unread: int
) -> None:
    with open(unread, "w", encoding="utf-8", closefd=False) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert exits.UNREAD == exits.of(lambda: say("x"))
        monkeypatch.undo()
    assert not capsys.readouterr().err


def test_output_that_cannot_be_written_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert 1 == exits.of(lambda: say("x"))
        monkeypatch.undo()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, full.fileno())  # what is still buffered
        os.close(nowhere)
    assert "sidecar: stdout cannot be written: No space left on device\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é ~", "é ~"),
        ("a\nb", "a\\nb"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_is_not_printed_as_it_is_is_escaped(text: str, expected: str) -> None:
    assert expected == plain(text)
