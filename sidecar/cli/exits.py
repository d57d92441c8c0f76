"""The exit codes, and the one switch that chooses among them."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Final

import click

from sidecar.cli.text import plain
from sidecar.errors import GeorootError

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
FAULT: Final = 3
UNSENT: Final = 4
HELD: Final = 5
UNREACHED: Final = 6
DIFFERENT: Final = 7
DEFECT: Final = 70
INTERRUPTED: Final = 130
UNREAD: Final = 141

CODES: Final[Mapping[int, str]] = {
    DONE: "done",
    FAILED: "failed, not in time (`wait`), or something needs a look (`healthcheck`, `status --check`)",
    WRONG: "a setting or an argument is wrong",
    FAULT: "what it stands on is not as it must be: a key, a port, the volume, no sidecar to ask",
    UNSENT: "stopped before everything pending was sent",
    HELD: "a path is held, refused or not readable (`wait`, `sync`): approve or reject it, or mend what it says",
    UNREACHED: "a region is not reached (`sync`, `verify`); the others are in sync, or identical",
    DIFFERENT: "the regions differ, or a file is damaged (`verify`)",
    DEFECT: "a defect: please report it",
    INTERRUPTED: "interrupted from the keyboard",
    UNREAD: "nobody read the output to its end",
}


def of(command: Callable[[], object]) -> int:
    """Run `command` and turn how it ended into an exit code; what went wrong is one line on stderr.

    A command returns its code, or None for 0.
    """
    try:
        code = command()
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.UsageError as error:
        return _misused(error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return UNREAD
    except Exception as error:  # noqa: BLE001 - here ends every error
        return _failed(error)
    return code if isinstance(code, int) else DONE


def _misused(error: click.UsageError) -> int:
    said = error.format_message()
    alone = isinstance(error, click.exceptions.NoArgsIsHelpError)  # `sidecar` alone: the help is what it says
    return _say(said if alone else f"sidecar: {plain(said)}", WRONG)


def _failed(error: Exception) -> int:
    expected = _expected(error)
    if expected is not None:
        return _say(f"sidecar: {plain(' '.join(str(expected).split()))}", expected.exit_code)
    if os.environ.get("GEOROOT_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(error)
    said = plain(" ".join(f"{type(error).__name__}: {error}".split()))
    hint = "please report it; GEOROOT_LOG_LEVEL=debug shows the traceback"
    return _say(f"sidecar: a defect: {said} ({_place(error)}); {hint}", DEFECT)


def _expected(error: BaseException) -> GeorootError | None:
    """The error itself, or the first of ours among those that tasks failed with together."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _expected(one))), None)
    return error if isinstance(error, GeorootError) else None


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _say(line: str, code: int) -> int:
    try:
        sys.stderr.write(f"{line}\n")
    except OSError:  # nobody hears it: the code is all that is left
        pass
    return code


def _let_go_of_stdout() -> None:
    """What is still buffered would fail again when Python ends, and be reported."""
    try:
        fd = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, fd)
    os.close(nowhere)
