"""What the link costs on loopback: run inside the image's test stage, both regions in one container.

python bench/link.py [batches]
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sidecar.link.channel import Channel, open_control
from sidecar.link.master import Master
from sidecar.link.rsync import RsyncOutcome, Spare, Transfer
from sidecar.link.selftest import selftest
from sidecar.link.spares import Spares
from tests.node.region import Pair, running, until

CPU = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpuacct/cpuacct.usage"))
WIRE = Path("/sys/class/net/lo/statistics/tx_bytes")


def cpu_ms() -> float:
    """Of everything in this container; cgroups of version 2 or 1."""
    if CPU[0].exists():
        return int(CPU[0].read_text().split()[1]) / 1e3
    return int(CPU[1].read_text()) / 1e6


def wire_bytes() -> int:
    """Everything that went over the loopback interface of this container."""
    return int(WIRE.read_text())


def line(what: str, samples: list[float]) -> None:
    ordered = sorted(samples)
    p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
    print(f"{what:<52} p50 {p50 * 1000:7.2f} ms   p95 {p95 * 1000:7.2f} ms   n {len(ordered)}", flush=True)


def checked(outcome: RsyncOutcome) -> None:
    if outcome.status:
        raise SystemExit(f"rsync failed: {outcome}")


async def echo(_region: str, channel: Channel) -> None:
    while (frame := await channel.read()) is not None:
        channel.write(frame)


async def staged(pair: Pair, spare: Spare, name: str, size: int) -> None:
    path = pair.ams.inbox / "msk" / spare.batch / name
    while not path.exists() or path.stat().st_size != size:  # noqa: ASYNC110  # looking is what is measured
        await asyncio.sleep(0.0001)


async def control(master: Master) -> None:
    opened = []
    before = cpu_ms()
    for _ in range(30):
        began = time.perf_counter()
        channel = await open_control(master)
        channel.write(b"x")
        await channel.read()
        opened.append(time.perf_counter() - began)
        channel.close()
    line("session over the master, open to first answer", opened)
    print(f"{'':<52} {(cpu_ms() - before) / 30:.1f} ms of CPU each, both ends")
    channel = await open_control(master)
    for size in (200, 60_000):
        trips = []
        for _ in range(500):
            began = time.perf_counter()
            channel.write(bytes(size))
            await channel.read()
            trips.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)
        line(f"control round trip, frames of {size} bytes", trips)
    channel.close()


async def latency(pair: Pair, spares: Spares, count: int) -> None:
    taken, over = [], []
    for number in range(100):
        name = f"latency-{number}"
        (pair.msk.html / name).write_bytes(os.urandom(4096))
        await until(lambda: spares.ready == count, "spares")
        await asyncio.sleep(0.02)
        spare = spares.take()
        began = time.perf_counter()
        ended = spare.send([name.encode()])
        await staged(pair, spare, name, 4096)
        taken.append(time.perf_counter() - began)
        over.append((await ended).seconds)
    line(f"names written to file staged, {count} spares", taken)
    line("names written to rsync ended", over)


async def throughput(pair: Pair, spares: Spares, count: int, batches: int) -> None:
    for number in range(batches):
        (pair.msk.html / f"file-{number}").write_bytes(os.urandom(4096))
    await until(lambda: spares.ready == count, "spares")
    slots = asyncio.Semaphore(max(1, count) * 2)
    began, before = time.perf_counter(), cpu_ms()

    async def one(number: int) -> None:
        async with slots:
            checked(await spares.take().send([f"file-{number}".encode()]))

    await asyncio.gather(*(one(number) for number in range(batches)))
    seconds, spent = time.perf_counter() - began, cpu_ms() - before
    rate, each = batches / seconds, spent / batches
    print(f"one 4 KiB file a batch, {count} spares: {rate:6.1f} batches/s, {each:.1f} ms CPU each", flush=True)


async def deltas(pair: Pair, master: Master) -> None:
    old = os.urandom(64 << 20)
    (pair.ams.html / "big").write_bytes(old)
    (pair.msk.html / "big").write_bytes(old[: 20 << 20] + os.urandom(1 << 20) + old[21 << 20 :])
    for transfer, what in (
        (Transfer(str(pair.msk.html), delta=True), "with the basis"),
        (Transfer(str(pair.msk.html), delta=True, compress=True), "with the basis, compressed"),
        (Transfer(str(pair.msk.html)), "whole"),
    ):
        await against(pair, master, transfer, what)


async def against(pair: Pair, master: Master, transfer: Transfer, what: str) -> None:
    spares = pair.msk.spares(master, 1, transfer)
    async with running(spares.run()):
        await until(lambda: spares.ready == 1, "a spare")
        spare, before, spent, began = spares.take(), wire_bytes(), cpu_ms(), time.perf_counter()
        checked(await spare.send([b"big"]))
        sent, seconds = wire_bytes() - before, time.perf_counter() - began
        figures = f"{sent / 1e6:.2f} MB on the wire, {seconds:.2f} s, {cpu_ms() - spent:.0f} ms CPU"
        print(f"1 MiB changed in 64 MiB, {what}: {figures}", flush=True)


async def idle(pair: Pair, master: Master) -> None:
    spares = pair.msk.spares(master, 2)
    async with running(spares.run()):
        await until(lambda: spares.ready == 2, "spares")
        await asyncio.sleep(2)
        before = cpu_ms()
        await asyncio.sleep(20)
        print(f"idle link, two spares waiting: {(cpu_ms() - before) / 20:.2f} ms CPU a second, both ends")


async def timed(what: str, work: Callable[[], Awaitable[object]]) -> None:
    began, before = time.perf_counter(), cpu_ms()
    answer = await work()
    print(f"{what}: {time.perf_counter() - began:.2f} s, {cpu_ms() - before:.0f} ms CPU ({answer})")


async def main(batches: int) -> None:
    pair = Pair(Path(tempfile.mkdtemp()))
    await timed("self-test", lambda: selftest(str(pair.msk.volume), pair.msk.env))
    async with pair.up(echo) as master:
        await control(master)
        for count in (1, 2, 4):
            spares = pair.msk.spares(master, count)
            async with running(spares.run()):
                await latency(pair, spares, count)
                await throughput(pair, spares, count, batches)
        await deltas(pair, master)
        await idle(pair, master)


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
