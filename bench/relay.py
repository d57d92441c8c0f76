"""A line between two nodes that takes time: `python3 -m bench.relay DELAY_MS MBIT`, in a container on both networks.

Whoever connects from one side is connected to the other side's node, on the same port. Each way is one line for all
connections: a byte leaves when those before it have left at the line's rate, and arrives `delay` later. What TCP itself
would do about the distance (slow start, loss) does not happen here: both ends are near to the relay.
"""

import asyncio
import contextlib
import socket
import sys
import time
from typing import Final

PORTS: Final = (2222, 22000)
NODES: Final = ("msk-node", "ams-node")
CHUNK: Final = 16 << 10
UNDER_WAY: Final = 4096
"""Pieces of a connection that may be between the ends; what a stalled end does not take waits with its sender."""
QUEUE: Final = 0.05
"""Seconds of the line's rate that may wait before it: what a router would hold."""


class Line:
    """One way of the link."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay, self._rate = delay, rate
        self._free = 0.0

    def leaves(self, size: int, now: float) -> float:
        """When so many bytes have left that come at `now`, after all that came before them."""
        self._free = max(self._free, now) + size / self._rate
        return self._free


async def carry(line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: float) -> None:
    """Everything from one to the other, each byte when its time has come; bytes before `start` wait for it."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as both:
        both.create_task(deliver())
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        while True:
            data = await reader.read(CHUNK)
            left = line.leaves(len(data), time.monotonic())
            await under_way.put((left + line.delay, data))
            if not data:
                break
            await asyncio.sleep(max(0.0, left - QUEUE - time.monotonic()))


async def connected(
    line: Line, back: Line, node: str, port: int, near: asyncio.StreamReader, answers: asyncio.StreamWriter
) -> None:
    """One connection, from its opening on: the other end hears of it after one way, this end may speak after both."""
    opened = time.monotonic()
    await asyncio.sleep(line.delay)
    try:
        far, writer = await asyncio.open_connection(node, port)
    except OSError:
        answers.close()
        return
    for one in (answers, writer):
        one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as both:
            both.create_task(carry(line, near, writer, opened + line.delay + back.delay))
            both.create_task(carry(back, far, answers, 0.0))
    for one in (answers, writer):
        one.close()


async def accepted(lines: tuple[Line, Line], near: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
    """From which side, to which port? So to the other side's."""
    socket_ = answers.get_extra_info("socket")
    from_ams = socket_.getpeername()[0] == await address(NODES[1])
    way, back = reversed(lines) if from_ams else lines
    await connected(way, back, NODES[0 if from_ams else 1], socket_.getsockname()[1], near, answers)


async def address(node: str) -> str:
    """Of a node, in the network that it shares with the relay."""
    found = await asyncio.get_running_loop().getaddrinfo(node, None, family=socket.AF_INET)
    return str(found[0][4][0])


async def main(delay_ms: float, mbit: float) -> None:
    one, other = (Line(delay_ms / 1e3, mbit * 1e6 / 8) for _ in NODES)
    servers = [
        await asyncio.start_server(lambda near, far: accepted((one, other), near, far), "0.0.0.0", port)  # noqa: S104
        for port in PORTS
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(*map(float, sys.argv[1:])))
