"""Do rsync and gate work together here? Asked at start with the exact arguments: version numbers do not tell."""

import asyncio
import errno
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.errors import EnvironmentFault
from sidecar.link import process
from sidecar.link.keys import GATE
from sidecar.link.process import Tail
from sidecar.link.rsync import OPTIONS, RsyncOutcome, Spare, Transfer, Verdict, arguments

_TIME: Final = 20.0
_HINT: Final = "rsync 3.5.0 or newer is needed on both sides, as in the image"
_NAME: Final = b"a directory/#file;"
_BYTES: Final = 1 << 16
_REGION: Final = "selftest"
_VERSION: Final = re.compile(r"rsync +version (\S+)")


class NoRoom(EnvironmentFault):
    """Nothing can be tried there: the disk or the quota is full."""


async def selftest(work_dir: str, env: dict[str, str], gate: str = GATE) -> str:
    """Send a file through the gate with every row of the closed table, without ssh; the version of rsync.

    Args:
        work_dir: where it may make a directory for a moment.
        env: the environment that rsync gets (`identity.environment`).
        gate: the gate.

    Raises:
        NoRoom: the disk or the quota is full there. EnvironmentFault: rsync or gate are missing, or do not do what they
            are asked.
    """
    version = await _version(env)
    with _workshop(work_dir) as base:
        rows = (_row(base, env, gate, delta, compress) for delta, compress in OPTIONS)
        for failed in await asyncio.gather(*rows, return_exceptions=True):
            if failed is not None:
                raise failed
    return version


@contextmanager
def _workshop(work_dir: str) -> Iterator[str]:
    try:
        made = tempfile.TemporaryDirectory(prefix=".selftest", dir=work_dir)
    except OSError as error:
        raise _unwritable(work_dir, error) from error
    with made as base:
        try:
            _prepare(base)
        except OSError as error:
            raise _unwritable(work_dir, error) from error
        yield base


def _unwritable(work_dir: str, error: OSError) -> EnvironmentFault:
    kind = NoRoom if error.errno in (errno.ENOSPC, errno.EDQUOT) else EnvironmentFault
    return kind(work_dir, error.strerror or str(error), "let it be written: rsync is tried there")


def _prepare(base: str) -> None:
    for name in ("source/a directory", "root/a directory", "inbox", "run"):
        os.makedirs(os.path.join(base, name))
    source = os.path.join(base, "source", os.fsdecode(_NAME))
    with open(source, "wb") as file:
        file.write(os.urandom(_BYTES))
    shutil.copyfile(source, os.path.join(base, "root", os.fsdecode(_NAME)))
    os.chmod(source, 0o444)


async def _row(base: str, env: dict[str, str], gate: str, delta: bool, compress: bool) -> None:
    told = {name: os.path.join(base, where) for name, where in _TOLD.items()}
    # stands in for ssh: drops the host's name, and gives the gate the command as sshd would
    ssh = ("sh", "-c", f'shift; SSH_ORIGINAL_COMMAND="$*" exec {shlex.quote(gate)} {_REGION}', "ssh")
    batch = f"{_REGION}.{int(delta)}{int(compress)}"
    transfer = Transfer(os.path.join(base, "source"), delta, compress, 1_000_000)
    argv = arguments(transfer, ssh, "here", batch, _BYTES)
    spare = Spare(argv, env | told, batch, delta=delta, changed=lambda _: None)
    try:
        async with asyncio.timeout(_TIME):
            outcome = await spare.send([_NAME])
    except TimeoutError as error:
        raise EnvironmentFault("rsync", f"does not end: {shlex.join(argv)}", _HINT) from error
    finally:
        spare.kill()
        await spare.wait_ended()
    if outcome.verdict is Verdict.DISK:
        raise NoRoom(base, outcome.stderr, "free space or raise the quota: rsync is tried there")
    problem = _problem(outcome, base, batch)
    if problem:
        raise EnvironmentFault("rsync", f"{problem}: {shlex.join(argv)}", _HINT)


_TOLD: Final = {"GEOROOT_RUN": "run", "GEOROOT_INBOX": "inbox", "GEOROOT_ROOT": "root"}


def _problem(outcome: RsyncOutcome, base: str, batch: str) -> str:
    if outcome.verdict is not Verdict.SENT:
        return outcome.stderr or f"exit {outcome.status}"
    staged = os.path.join(base, "inbox", _REGION, batch, os.fsdecode(_NAME))
    try:
        with open(staged, "rb") as got, open(os.path.join(base, "source", os.fsdecode(_NAME)), "rb") as sent:
            same = got.read() == sent.read()
        modes = os.stat(staged).st_mode & 0o777, os.stat(os.path.dirname(staged)).st_mode & 0o777
    except OSError as error:
        return f"ended well and delivered nothing ({error.strerror})"
    if not same:
        return "delivered other bytes"
    return "" if modes == (0o600, 0o700) else f"gave the modes {modes[0]:o} and {modes[1]:o}"


async def _version(env: dict[str, str]) -> str:
    lines: list[str] = []
    child = await process.start(("rsync", "--version"), env)
    try:
        async with asyncio.timeout(_TIME):
            await asyncio.gather(Tail(lines.append).drain(child.stdout), Tail().drain(child.stderr))
            await child.wait()
    except TimeoutError as error:
        child.kill()
        raise EnvironmentFault("rsync", f"does not say its version within {_TIME:.0f} s", _HINT) from error
    match = _VERSION.match(lines[0]) if lines else None
    return match[1] if match is not None else "unknown"
