"""Where the gate leads peers: one unix socket a region for control channels, and one where it reports refusals."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog

from sidecar.errors import EnvironmentFault
from sidecar.link.channel import Channel

log = structlog.get_logger(__name__)

MAX_CHANNELS: Final = 32
"""Open control channels of one region; one more is closed at once."""
_BUFFER: Final = 1 << 20
_REPORT: Final = 512
"""Bytes read of what the gate reports."""
_REPORT_TIME: Final = 2.0
"""Seconds in which it has to say it, or what it asks."""


def control_socket(run_dir: str, region: str) -> str:
    """Where the gate finds the daemon for the control channels of `region`."""
    return os.path.join(run_dir, f"control.{region}.sock")


def partial_socket(run_dir: str, region: str) -> str:
    """Where the gate asks what an rsync of `region` is to go on with."""
    return os.path.join(run_dir, f"partial.{region}.sock")


def refused_socket(run_dir: str) -> str:
    """Where the gate reports what it refused."""
    return os.path.join(run_dir, "refused.sock")


class Listener:
    """Takes the control channels that peers open.

    Args:
        arrived: called with each region and its new channel; when it returns, or fails, the channel is closed.
        refused: called with the region and the reason whenever the gate refused what a peer asked for.
        partial: asked with a region and a batch id; the name of the partial file with which that is to go on, or "".
    """

    def __init__(
        self,
        run_dir: str,
        regions: Iterable[str],
        arrived: Callable[[str, Channel], Awaitable[None]],
        refused: Callable[[str, str], None],
        partial: Callable[[str, str], Awaitable[str]],
    ) -> None:
        self._run_dir = run_dir
        self._regions = tuple(regions)
        self._arrived = arrived
        self._refused = refused
        self._partial = partial
        self._servers: list[asyncio.Server] = []
        self._open: dict[str, set[Channel]] = {region: set() for region in self._regions}

    async def start(self) -> None:
        """Listen on every socket.

        Raises:
            EnvironmentFault: a socket cannot be made in the run directory.
        """
        for region in self._regions:
            await self._listen(control_socket(self._run_dir, region), self._control(region))
            await self._listen(partial_socket(self._run_dir, region), self._goes_on(region))
        await self._listen(refused_socket(self._run_dir), self._report)

    async def close(self) -> None:
        """Stop listening and close every channel."""
        for server in self._servers:
            server.close()
        for channels in self._open.values():
            for channel in tuple(channels):
                channel.close()
        for server in self._servers:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await server.wait_closed()

    async def _listen(self, path: str, serve: Callable[..., Awaitable[None]]) -> None:
        before = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._servers.append(await asyncio.start_unix_server(serve, path, limit=_BUFFER))
        except OSError as error:
            raise EnvironmentFault(
                path, f"cannot be listened on: {error}", "give it a short, writable run_dir"
            ) from error
        finally:
            os.umask(before)

    def _control(self, region: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            channel, channels = Channel(reader, writer), self._open[region]
            if len(channels) >= MAX_CHANNELS:
                channel.close()
                self._refused(region, f"more than {MAX_CHANNELS} control channels")
                return
            channels.add(channel)
            try:
                await self._arrived(region, channel)
            finally:
                channels.discard(channel)
                channel.close()

        return serve

    def _goes_on(self, region: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                batch = await _said(reader)
                if batch:
                    writer.write((await self._partial(region, batch)).encode())
            finally:
                writer.close()

        return serve

    async def _report(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await _said(reader)
        writer.close()
        if said:
            region, _, reason = said.partition(" ")
            self._refused(region, reason)


async def _said(reader: asyncio.StreamReader) -> str:
    """What the gate says in one go; "": nothing in time."""
    try:
        async with asyncio.timeout(_REPORT_TIME):
            said = await reader.read(_REPORT)
    except (TimeoutError, OSError):
        return ""
    return said.decode("ascii", "backslashreplace").strip()
