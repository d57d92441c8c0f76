"""HTTP as strangers speak it: bounded in size and time, and whoever breaks it is alone with that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from sidecar.web import http1
from sidecar.web.http1 import MOST, Answer, Request, Server

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
FULL = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: "


class Site:
    """A server that says what it was asked; `held` keeps its answers back."""

    def __init__(self) -> None:
        self.server = Server(self._answer, {"Server": "georoot"})
        self.asked: list[Request] = []
        self.came = asyncio.Event()
        self.held = asyncio.Event()
        self.held.set()
        self.pieces: AsyncIterator[bytes] | None = None
        self.body = b"ok"
        self.fault: Exception | None = None
        self.ended = asyncio.Event()

    async def _answer(self, request: Request) -> Answer:
        self.asked.append(request)
        self.came.set()
        await self.held.wait()
        if self.fault is not None:
            raise self.fault
        if self.pieces is not None:
            return Answer(pieces=self.pieces, done=self.ended.set)
        return Answer(b"long" if request.too_long else request.body or self.body, done=self.ended.set)


Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.server.close()


@pytest_asyncio.fixture
async def dial(site: Site) -> AsyncIterator[Dial]:
    _, port = await site.server.listen("127.0.0.1", 0)
    writers = []

    async def dialled() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    async with asyncio.timeout(60):
        yield dialled
    for writer in writers:
        writer.transport.abort()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next answer: its status, and its body, which has a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    return int(head.split(" ")[1]), await reader.readexactly(length)


async def held_up(site: Site, dial: Dial) -> asyncio.StreamReader:
    """Where the answer to a request will come that the site is about to answer, and does not yet."""
    site.held.clear()
    reader, writer = await dial()
    writer.write(GET)
    await site.came.wait()
    return reader


async def test_a_connection_is_kept_for_the_next_request(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    for _ in range(2):
        writer.write(GET)
        assert (200, b"ok") == await answer_of(reader)
    writer.write(GET + GET)  # the second before the first was answered
    assert [(200, b"ok")] * 2 == [await answer_of(reader), await answer_of(reader)]
    assert ["/a"] * 4 == [one.path for one in site.asked]


async def test_who_asks_for_the_end_gets_it(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (200, b"ok") == await answer_of(reader)
    assert b"" == await reader.read()


async def test_the_target_is_taken_apart(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    for target in (b"/a%20b?x=1%262&y=cA==&z", b"http://x:80/a%20b?x=1%262&y=cA==&z"):
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nAccept: t\r\n\r\n")
        await answer_of(reader)
        asked = site.asked.pop()
        assert ("GET", "/a b", {"x": "1&2", "y": "cA==", "z": ""}) == (asked.method, asked.path, asked.query)
        assert "t" == asked.headers["accept"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 40_000, 431),
    ],
)
async def test_what_is_no_http_ends_its_own_connection(site: Site, dial: Dial, said: bytes, status: int) -> None:
    reader, writer = await dial()
    other, asking = await dial()
    writer.write(said)
    assert status == (await answer_of(reader))[0]
    assert b"" == await reader.read()
    asking.write(GET)
    assert (200, b"ok") == await answer_of(other)
    assert 1 == len(site.asked)


@pytest.mark.parametrize("said", [b"", GET[:-2], FULL + b"5\r\n\r\nab"])
async def test_who_is_too_slow_is_not_waited_for(
    site: Site, dial: Dial, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "IDLE", 0.05)
    reader, writer = await dial()
    writer.write(said)
    assert b"" == await reader.read()
    assert [] == site.asked


async def test_who_goes_in_the_middle_of_a_request_has_asked_nothing(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(FULL + b"5\r\n\r\nab")
    writer.write_eof()
    assert b" 400 " in await reader.readline()
    assert [] == site.asked


async def test_a_body_comes_whole_however_it_is_said(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(FULL + b"%d\r\n\r\n" % MOST + b"x" * MOST)
    assert (200, b"x" * MOST) == await answer_of(reader)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert (200, b"abc") == await answer_of(reader)
    writer.write(FULL + b"2\r\nExpect: 100-continue\r\n\r\n")
    assert b"HTTP/1.1 100 " == (await reader.readuntil(b"\r\n\r\n"))[:13]
    writer.write(b"ab")
    assert (200, b"ab") == await answer_of(reader)


async def test_a_body_that_is_too_long_is_not_kept(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(FULL + b"%d\r\n\r\n" % (MOST + 1) + b"x" * (MOST + 1))
    assert (200, b"long") == await answer_of(reader)
    writer.write(GET)  # it was read, so that the connection goes on
    assert (200, b"ok") == await answer_of(reader)
    assert [b"", b""] == [one.body for one in site.asked]


async def test_a_body_without_an_end_is_not_read_to_it(dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(FULL + b"1000000000000\r\n\r\n" + b"x" * ((1 << 20) + 1))
    assert (200, b"long") == await answer_of(reader)


async def test_what_has_no_length_comes_in_chunks(site: Site, dial: Dial) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    site.pieces = pieces()
    reader, writer = await dial()
    writer.write(GET)
    assert b"transfer-encoding: chunked" in (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" == await reader.readuntil(b"0\r\n\r\n")
    assert site.ended.is_set()


async def test_an_answer_ends_when_nobody_reads_it_any_more(site: Site, dial: Dial) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"x" * 1000

    site.pieces = pieces()
    reader, writer = await dial()
    writer.write(GET)
    await reader.readline()
    writer.transport.abort()
    await site.ended.wait()


async def test_an_answer_that_nobody_waits_for_ends_too(site: Site, dial: Dial) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        site.asked.clear()
        yield b""

    site.pieces = pieces()
    reader, writer = await dial()
    writer.write(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await reader.readline()
    await site.ended.wait()
    assert site.asked


async def test_the_end_does_not_wait_for_who_asks_nothing(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(GET)
    await answer_of(reader)
    await site.server.close()
    assert b"" == await reader.read()


async def test_what_is_being_answered_may_end_and_the_connection_with_it(site: Site, dial: Dial) -> None:
    reader = await held_up(site, dial)
    closing = asyncio.ensure_future(site.server.close())
    await asyncio.sleep(0)
    site.held.set()
    assert (200, b"ok") == await answer_of(reader)
    assert b"" == await reader.read()
    await closing


async def test_what_does_not_end_is_cut_off(site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "GRACE", 0.05)
    reader = await held_up(site, dial)
    await site.server.close()
    assert b"" == await reader.read()


BULK = b"x" * (16 << 20)
"""More than the buffers of a connection take."""


async def test_who_does_not_fetch_the_answer_is_cut_off(
    site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "IDLE", 0.2)
    monkeypatch.setattr(http1, "GRACE", 0.05)
    site.body = BULK
    _, writer = await dial()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(GET)
    await site.ended.wait()


async def test_a_stream_may_be_fetched_slowly(site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.3)
        yield b"ab"

    monkeypatch.setattr(http1, "IDLE", 0.1)
    site.pieces = pieces()
    reader, writer = await dial()
    writer.write(GET)
    assert b"2\r\nab\r\n0\r\n\r\n" == (await reader.read())[-12:]


async def test_the_end_does_not_wait_for_who_fetches_nothing(
    site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "GRACE", 0.05)
    site.body = BULK
    _, writer = await dial()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(GET)
    await site.came.wait()
    async with asyncio.timeout(30):  # IDLE is more
        await site.server.close()
    assert site.ended.is_set()


async def test_a_crowd_makes_way_for_who_comes(site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "CROWD", 2)
    first, _ = await dial()
    reader, writer = await dial()
    for _ in range(2):
        writer.write(GET)
        assert (200, b"ok") == await answer_of(reader)
        await dial()
    assert b"" == await first.read()
    assert b"" == await reader.read()


async def test_who_is_being_answered_does_not_make_way(site: Site, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "CROWD", 1)
    reader = await held_up(site, dial)
    late, _ = await dial()
    assert b"" == await late.read()
    site.held.set()
    assert (200, b"ok") == await answer_of(reader)


async def test_others_have_their_turn_between_requests_that_come_at_once(site: Site, dial: Dial) -> None:
    turns: list[int] = []

    async def other() -> None:
        while len(site.asked) < 50:
            turns.append(len(site.asked))
            await asyncio.sleep(0)

    _, writer = await dial()
    writer.write(GET * 50)
    await other()
    assert 50 == len(set(turns))


async def test_what_a_handler_raises_is_logged_and_answered(site: Site, dial: Dial) -> None:
    site.fault = KeyError("x")
    reader, writer = await dial()
    with capture_logs() as logs:
        writer.write(GET)
        assert (500, b"a defect: the log says more\n") == await answer_of(reader)
    assert [("a request failed", "/a")] == [(line["event"], line["path"]) for line in logs]
    site.fault = None
    writer.write(GET)
    assert (200, b"ok") == await answer_of(reader)


async def test_what_breaks_off_a_stream_is_logged(site: Site, dial: Dial) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        raise KeyError("x")

    site.pieces = pieces()
    reader, writer = await dial()
    with capture_logs() as logs:
        writer.write(GET)
        assert b"2\r\nab\r\n" == (await reader.read())[-7:]
    assert ["an answer broke off"] == [line["event"] for line in logs]
    assert site.ended.is_set()


async def test_a_target_of_a_host_alone_is_its_root(site: Site, dial: Dial) -> None:
    reader, writer = await dial()
    writer.write(b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n")
    await answer_of(reader)
    assert "/" == site.asked[0].path


@pytest.mark.parametrize("end", [b"1.0\r\n\r\n", b"1.1\r\nHost: x\r\n\r\n"])
async def test_who_has_said_everything_is_answered(dial: Dial, end: bytes) -> None:
    reader, writer = await dial()
    writer.write(b"GET /a HTTP/" + end)
    writer.write_eof()
    assert (200, b"ok") == await answer_of(reader)
    assert b"" == await reader.read()
