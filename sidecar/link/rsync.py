"""One rsync that sends: its arguments, its life from the warm wait for names to its end, and what the end means."""

import asyncio
import dataclasses
import enum
import re
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from sidecar.core.blocks import block_size
from sidecar.errors import GeorootError
from sidecar.link import process
from sidecar.link.process import Child, Tail

READY_TIME: Final = 15.0
"""Seconds in which a new rsync has shaken hands with its peer."""
STALL: Final = 60.0
"""Seconds after which an rsync that has names and moves no byte is ended."""
_READY: Final = "Client negotiated checksum"
_BATCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_LIMIT: Final = 999_999_999
_REFUSED: Final = 2
_NOT_STARTED: Final = 127


@dataclasses.dataclass(frozen=True, slots=True)
class Transfer:
    """How files travel: named relative to `source`, `delta`: against what the peer has; `bwlimit` in KiB/s, 0: none.

    A delta goes in a compressed stream in any case, in which a run of blocks that the peer has takes 3 bytes, and 4 a
    block otherwise; without `compress` its content is not (`_UNSQUEEZED`).
    """

    source: str
    delta: bool = False
    compress: bool = False
    bwlimit: int = 0


OPTIONS: Final = {
    # (delta, compress): what we say to rsync, and what it says to the gate before `e.` and the letters of its version
    (False, False): ("-tIRW", "-WtIR"),
    (False, True): ("-tIRWz", "-WtIRz"),
    (True, False): ("-tIRz", "-tIRz"),
    (True, True): ("-tIRz", "-tIRz"),
}
"""The closed table. The gate holds the same one."""
_UNSQUEEZED: Final = "--compress-level=-50"
"""zstd hardly looks for anything then: 256 MiB of text take 0.7 s, as without it, and 14 s at rsync's level 3."""


class Verdict(enum.Enum):
    """What the end of an rsync means for its names."""

    SENT = "sent"
    LOOK = "look"
    """some files vanished or could not be read: look at each name"""
    NO_BASIS = "no basis"
    """a delta against the peer's copy was refused there: send it whole"""
    TRANSPORT = "transport"
    """the connection: back off, then again"""
    DISK = "disk"
    """the peer could not write: retry slowly"""
    FAULT = "fault"
    """wrong options or versions: do not loop"""
    KILLED = "killed"
    """it was ended by a signal: failed, whatever it had done"""


_VERDICTS: Final = {
    0: Verdict.SENT,
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 125, 126, 127), Verdict.FAULT),
    11: Verdict.DISK,
    **dict.fromkeys((19, 20), Verdict.KILLED),
    **dict.fromkeys((23, 24), Verdict.LOOK),
}


def verdict(status: int, *, delta: bool) -> Verdict:
    """The table of rsync's exit codes; `status` is minus the signal if one killed it."""
    if status < 0:
        return Verdict.KILLED
    if status == _REFUSED and delta:
        return Verdict.NO_BASIS
    return _VERDICTS.get(status, Verdict.TRANSPORT)


@dataclasses.dataclass(frozen=True, slots=True)
class RsyncOutcome:
    """How an rsync ended. `status` is its exit code or minus the signal, `seconds` the time since it got its names."""

    status: int
    verdict: Verdict
    stderr: str
    seconds: float


def arguments(transfer: Transfer, ssh: tuple[str, ...], peer: str, batch: str, size: int = 0) -> tuple[str, ...]:
    """The rsync that waits for names on stdin and sends them into `batch` of `peer`; `ssh` is what connects.

    `size`: bytes of the one file that it is for, which say how long the blocks of a delta are; 0: rsync says.

    Raises:
        ValueError: no batch name, or no bwlimit.
    """
    if not _BATCH.fullmatch(batch) or not 0 <= transfer.bwlimit <= _MAX_LIMIT:
        raise ValueError(f"no batch {batch!r} or no bwlimit {transfer.bwlimit}")
    source = transfer.source.rstrip("/")
    limit = (f"--bwlimit={transfer.bwlimit}",) if transfer.bwlimit else ()
    if transfer.delta:
        level = () if transfer.compress else (_UNSQUEEZED,)
        blocks = (f"--block-size={block_size(size)}",) if size else ()
        limit = (*level, *blocks, *limit)
    return (
        "rsync",
        OPTIONS[transfer.delta, transfer.compress][0],
        "--no-implied-dirs",
        *limit,
        f"--confine-root={source}",
        "--files-from=-",
        "--from0",
        "--debug=nstr",  # it says so when it has shaken hands
        "-e",
        shlex.join(ssh),
        f"{source}/",
        f"{peer}:{batch}",
    )


def listed(names: Sequence[bytes]) -> bytes:
    """The names as rsync reads them. The slash before each keeps it from taking `#` and `;` for comments.

    Raises:
        ValueError: a name that would make rsync send something else than this one file.
    """
    for name in names:
        if not name or name.startswith(b"/") or b"\0" in name or {b"", b".", b".."} & set(name.split(b"/")):
            raise ValueError(f"no name of a file: {name[:80]!r}")
    return b"".join(b"/%b\0" % name for name in names)


class Spare:
    """One rsync, started in advance or not, that sends one batch.

    Args:
        argv: as `arguments` makes it, for `batch`.
        changed: called when it became ready and when it ended.
    """

    def __init__(
        self, argv: tuple[str, ...], env: dict[str, str], batch: str, *, delta: bool, changed: Callable[["Spare"], None]
    ) -> None:
        self.batch = batch
        self.born = time.monotonic()
        self.ready = False
        """it has shaken hands: what it gets now goes at once"""
        self.ended = False
        self._delta = delta
        self._changed = changed
        self._child: Child | None = None
        self._names: bytes | None = None
        self._given = asyncio.Event()
        self._given_at = 0.0
        self._killed = False
        self._outcome: asyncio.Future[RsyncOutcome] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(argv, env))

    def send(self, names: Sequence[bytes]) -> asyncio.Future[RsyncOutcome]:
        """Send these files, paths relative to the source; once. They are on their way when this returns.

        Who awaits the outcome may be cancelled: the rsync still ends as it ends, and `wait_ended` says how.

        Raises:
            ValueError: `names` holds what is no name of a file, or it was called before.
        """
        if self._names is not None:
            raise ValueError("a spare sends one batch")
        self._names = listed(names)
        self._given_at = time.monotonic()
        self._given.set()
        self._hand_over()
        return asyncio.shield(self._outcome)

    def kill(self) -> None:
        """End it; what it was sending counts as failed."""
        self._killed = True
        if self._child is not None:
            self._child.kill()

    async def wait_ended(self) -> RsyncOutcome:
        """How it ended."""
        return await asyncio.shield(self._outcome)

    def _hand_over(self) -> None:
        if self._child is not None and self._names is not None:
            self._child.give(self._names)

    async def _live(self, argv: tuple[str, ...], env: dict[str, str]) -> None:
        status, problem, said = -signal.SIGKILL, "", Tail()
        try:
            child = await process.start(argv, env, stdin=asyncio.subprocess.PIPE)
            self._child = child
            if self._killed:
                child.kill()
            self._hand_over()
            status = await self._attended(child, said)
        except GeorootError as error:
            status, problem = _NOT_STARTED, str(error)
        finally:
            if self._child is not None:
                self._child.kill()
            self._end(RsyncOutcome(status, verdict(status, delta=self._delta), said.text or problem, self._seconds()))

    async def _attended(self, child: Child, said: Tail) -> int:
        heard = [
            asyncio.create_task(said.drain(child.stderr)),
            asyncio.create_task(Tail(self._line).drain(child.stdout)),
        ]
        watch = asyncio.create_task(self._watch(child))
        try:
            status = await child.wait()
            await asyncio.wait(heard, timeout=1.0)
            return status
        finally:
            for task in (watch, *heard):
                task.cancel()

    async def _watch(self, child: Child) -> None:
        """End it when it does not shake hands, or stands still with names to send."""
        await asyncio.sleep(READY_TIME)
        if not self.ready:
            child.kill()
        await self._given.wait()
        moved, since = -1, time.monotonic()
        while True:
            await asyncio.sleep(STALL / 6)
            now, at = _moved(child.pid), time.monotonic()
            if now != moved:
                moved, since = now, at
            elif at - since > STALL:
                child.kill()

    def _line(self, line: str) -> None:
        if not self.ready and line.startswith(_READY):
            self.ready = True
            self._changed(self)

    def _seconds(self) -> float:
        return time.monotonic() - self._given_at if self._given_at else 0.0

    def _end(self, outcome: RsyncOutcome) -> None:
        if not self.ended:
            self.ended, self.ready = True, False
            self._outcome.set_result(outcome)
            self._changed(self)


def _moved(pid: int) -> int:
    """Bytes that the process has read and written so far."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            return sum(int(line.rpartition(" ")[2]) for line in file if line[:5] in ("rchar", "wchar"))
    except OSError:
        return 0
