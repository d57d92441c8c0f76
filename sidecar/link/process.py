"""Children: each in a process group of its own, drained whatever it prints, ended with all that it started."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sidecar.errors import EnvironmentFault, Retryable

KEPT: Final = 4096
"""Bytes of output that are kept for a report: the last ones."""
_STEP: Final = 65536


class Tail:
    """The last `KEPT` bytes of what a stream said; `line` is called with every line on the way, without its end."""

    def __init__(self, line: Callable[[str], None] | None = None) -> None:
        self._line = line
        self._begun = b""
        self._kept = bytearray()

    @property
    def text(self) -> str:
        """What is kept, fit to be logged."""
        return bytes(self._kept).decode("utf-8", "backslashreplace").strip()

    @property
    def last_line(self) -> str:
        """The last line of it."""
        return self.text.rpartition("\n")[2].strip()

    async def drain(self, stream: asyncio.StreamReader) -> None:
        """Read until the stream ends."""
        while data := await stream.read(_STEP):
            self._kept += data
            del self._kept[:-KEPT]
            if self._line is not None:
                self._lines(data, self._line)

    def _lines(self, data: bytes, line: Callable[[str], None]) -> None:
        *whole, self._begun = (self._begun + data).split(b"\n")
        self._begun = self._begun[-KEPT:]
        for raw in whole:
            line(raw[-KEPT:].decode("utf-8", "backslashreplace").rstrip("\r"))


class _Feed:
    """What a child reads on stdin, all at once: its end is there with its last byte, where asyncio's pipe is closed
    only in the loop's next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.read_end, self._fd = os.pipe()
        os.set_blocking(self._fd, False)
        self._loop = loop
        self._rest = b""

    def give(self, data: bytes) -> None:
        """The pipe takes 64 KiB at once, and the rest as it is read."""
        self._rest = data
        self._go_on()

    def _go_on(self) -> None:
        if self._fd < 0:
            return
        try:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            pass
        except OSError:  # it reads no more
            self._rest = b""
        if self._rest:
            self._loop.add_writer(self._fd, self._go_on)
        else:
            self.close()

    def close(self) -> None:
        """Nothing more is given."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1


class _Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """Tells when the process itself has ended: `Process.wait` also waits for all that inherited its pipes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: _Feed | None) -> None:
        super().__init__(limit=_STEP, loop=loop)
        self.ended = loop.create_future()
        self.feed: Final = feed

    def process_exited(self) -> None:
        super().process_exited()
        if self.feed is not None:
            self.feed.close()
        self.ended.set_result(None)


class Child:
    """A process that was started, with what it reads and writes."""

    def __init__(self, transport: asyncio.SubprocessTransport, streams: _Streams) -> None:
        self._transport = transport
        self._ended = streams.ended
        self._feed = streams.feed
        self.pid = transport.get_pid()
        self.stdout = streams.stdout or _silent()
        self.stderr = streams.stderr or _silent()

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._transport.get_returncode()

    def give(self, data: bytes) -> None:
        """All that it shall read on stdin, which is then closed. Returns at once."""
        if self._feed is not None:
            self._feed.give(data)

    async def wait(self) -> int:
        """Its exit code, or minus the signal, when it has ended."""
        await asyncio.shield(self._ended)
        return self._transport.get_returncode() or 0

    def kill(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send `sig` to it and to what it started; nothing if it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, sig)

    async def stop(self, grace: float) -> None:
        """Ask it to end, and end it after `grace` seconds."""
        self.kill(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    def let_go(self) -> None:
        """After its end: do not listen to what it started and what outlives it."""
        self._transport.close()


async def start(
    argv: tuple[str, ...],
    env: dict[str, str],
    *,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
) -> Child:
    """Start `argv` with stderr on a pipe. With PIPE for stdin it reads what it is given (`Child.give`).

    Raises:
        EnvironmentFault: there is no such program, or it may not be run.
        Retryable: no process could be made.
    """
    if stdin != asyncio.subprocess.PIPE:
        return await _started(argv, env, stdin, stdout, None)
    feed = _feed(argv[0])
    try:
        return await _started(argv, env, feed.read_end, stdout, feed)
    except BaseException:
        feed.close()
        raise
    finally:
        os.close(feed.read_end)


async def _started(argv: tuple[str, ...], env: dict[str, str], stdin: int, stdout: int, feed: _Feed | None) -> Child:
    try:
        loop = asyncio.get_running_loop()
        transport, streams = await loop.subprocess_exec(
            lambda: _Streams(loop, feed),
            *argv,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
        return Child(transport, streams)
    except (FileNotFoundError, PermissionError) as error:
        hint = "install it, or use the image, which has it"
        raise EnvironmentFault(argv[0], f"cannot be run: {error.strerror}", hint) from error
    except OSError as error:
        raise _not_started(argv[0], error) from error


def _feed(program: str) -> _Feed:
    try:
        return _Feed(asyncio.get_running_loop())
    except OSError as error:
        raise _not_started(program, error) from error


def _not_started(program: str, error: OSError) -> Retryable:
    return Retryable(f"{program} could not be started: {error.strerror}")


def _silent() -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_eof()
    return stream
