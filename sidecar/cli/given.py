"""The settings, read in a process of their own: pydantic and their model would stay in the daemon's memory, 6 MB that
nothing asks for again."""

import os
import pickle
import sys
from typing import cast

import click

from sidecar.cli import exits
from sidecar.engine.options import Setup


def load() -> Setup:
    """What file and environment give.

    Raises:
        Exit: something is wrong with them; the other process has said what, and ended with this code.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os._exit(_told(writing))
    os.close(writing)
    with open(reading, "rb") as told:
        raw = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != exits.DONE:
        raise click.exceptions.Exit(code)
    return cast("Setup", pickle.loads(raw))  # noqa: S301 - our own process wrote it


def _told(writing: int) -> int:
    """Read the settings and write them there; the exit code."""

    def told() -> None:
        from sidecar import config  # noqa: PLC0415 - the daemon holds none of it
        from sidecar.cli.setup import setup_of  # noqa: PLC0415 - nor of this

        with open(writing, "wb") as there:
            pickle.dump(setup_of(config.load()), there)

    try:
        code = exits.of(told)
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - no way leads back into the code of the other process
        code = exits.DEFECT
    return code
