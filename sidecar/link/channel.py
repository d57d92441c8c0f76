"""The control channel: frames of bytes over a byte stream, each with its length before it (4 bytes, big-endian).

The length's highest bit says that the frame is deflated; it goes only to a node that has said it inflates.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import structlog

from sidecar.errors import GeorootError, ProtocolViolation
from sidecar.link import process
from sidecar.link.deflate import Deflater, Inflater
from sidecar.link.process import Child, Tail

log = structlog.get_logger(__name__)

MAX_FRAME: Final = 32 * 1024 * 1024
"""A longer frame is none of ours (bytes)."""
MAX_UNREAD: Final = 4 * MAX_FRAME
"""What may wait for a peer that does not read, before the channel is cut (bytes)."""
_LENGTH: Final = 4
_DEFLATED: Final = 1 << 31
"""In the length."""
_MAX_DEFLATED: Final = MAX_FRAME + MAX_FRAME // 1024
"""What does not deflate grows by 5 bytes in 16 KiB."""
WORTH_IT: Final = 256
"""Shorter frames go as they are (bytes): a single change waits for nothing."""
_BUFFER: Final = 1 << 20
_GRACE: Final = 2.0
"""Seconds in which an ssh ends whose channel was closed."""


class Channel:
    """One open control channel. Not for several readers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._attendant: asyncio.Task[None] | None = None
        self._inflater = Inflater(MAX_FRAME)
        self._deflater: Deflater | None = None
        self._deflates = False

    def deflate(self) -> None:
        """The other side inflates: what is worth it is deflated from now on."""
        self._deflates = True

    async def read(self) -> bytes | None:
        """The next frame; None when the other side is gone, in the middle of a frame too.

        Raises:
            ProtocolViolation: it announced a frame that is too long, or deflated it as no node does.
        """
        try:
            return await self._read()
        except (asyncio.IncompleteReadError, OSError):
            return None
        except ProtocolViolation:
            self.close()
            raise

    async def _read(self) -> bytes:
        said = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
        length, is_deflated = said & ~_DEFLATED, bool(said & _DEFLATED)
        limit = _MAX_DEFLATED if is_deflated else MAX_FRAME
        if length > limit:
            raise ProtocolViolation(f"a frame of {length} bytes, more than {limit}")
        frame = await self._reader.readexactly(length)
        return self._inflater.inflate(frame) if is_deflated else frame

    def write(self, frame: bytes) -> None:
        """Send a frame; returns at once. To a channel that is gone it does nothing: `read` tells.

        Raises:
            ValueError: the frame is too long to be read on the other side.
        """
        self._write(frame, deflates=self._deflates and len(frame) >= WORTH_IT)

    def write_as_is(self, frame: bytes) -> None:
        """The same with one that would hardly become shorter, as far as is known."""
        self._write(frame, deflates=False)

    def _write(self, frame: bytes, *, deflates: bool) -> None:
        if len(frame) > MAX_FRAME:
            raise ValueError(f"a frame of {len(frame)} bytes")
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNREAD:
            log.warning("the peer does not read what it is sent, the channel is cut")
            self.close()
            return
        self._writer.write(self._packed(frame, deflates=deflates))

    def _packed(self, frame: bytes, *, deflates: bool) -> bytes:
        if not deflates:
            return len(frame).to_bytes(_LENGTH, "big") + frame
        self._deflater = self._deflater or Deflater()
        deflated = self._deflater.deflate(frame)
        return (len(deflated) | _DEFLATED).to_bytes(_LENGTH, "big") + deflated

    async def drain(self) -> None:
        """Returns when what was written has mostly been taken, or the channel is gone."""
        with suppress(OSError):
            await self._writer.drain()

    def attend(self, child: Child, closed: Callable[[str], None] | None) -> None:
        """Tie the channel's life to that of the ssh that carries it."""
        self._attendant = asyncio.create_task(self._attend(child, closed))

    async def _attend(self, child: Child, closed: Callable[[str], None] | None) -> None:
        said = Tail()
        listening = asyncio.create_task(said.drain(child.stderr))
        gone = asyncio.create_task(self._writer.wait_closed())
        ended = asyncio.create_task(child.wait())
        try:
            await asyncio.wait((gone, ended), return_when=asyncio.FIRST_COMPLETED)
            await child.stop(_GRACE)
            await asyncio.wait((listening,), timeout=_GRACE)
        finally:
            child.kill()
            for task in (listening, gone, ended):
                task.cancel()
            self.close()
            await child.wait()
            child.let_go()
        if closed is not None:
            closed(said.last_line)

    def close(self) -> None:
        """Close it after what was written; a waiting `read` returns None."""
        self._writer.close()
        self._reader.feed_eof()


class Opener(Protocol):
    """What knows how to run a command on the peer: a `Master`."""

    @property
    def env(self) -> dict[str, str]:
        """The environment that ssh needs."""

    def command(self, *remote: str) -> tuple[str, ...]:
        """The ssh that runs `remote` on the peer."""


async def open_control(opener: Opener, closed: Callable[[str], None] | None = None) -> Channel:
    """Open the control channel to the peer of `opener`. Whether anybody answers, the first `read` tells.

    Args:
        opener: the link to the peer, a `Master`.
        closed: called with the last line that ssh or the peer's gate said, when the session has ended.

    Raises:
        Retryable: no ssh could be started. EnvironmentFault: there is none.
    """
    ours, theirs = socket.socketpair()
    try:
        child = await process.start(
            opener.command("control"), opener.env, stdin=theirs.fileno(), stdout=theirs.fileno()
        )
    except GeorootError:
        ours.close()
        raise
    finally:
        theirs.close()
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER)
    channel = Channel(reader, writer)
    channel.attend(child, closed)
    return channel
