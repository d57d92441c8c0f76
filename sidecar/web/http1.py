"""HTTP/1.1 over a stream: requests that are bounded in size and in time, one answer each, h11 for the syntax.

A request is read whole before it is answered; what is longer, slower or no HTTP ends its connection, and no other.
"""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
import structlog

log = structlog.get_logger(__name__)

MOST: Final = 64 << 10
"""Bytes that the body of a request may have; its line and headers may have 16 KiB, h11's limit."""
IDLE: Final = 75.0
"""Seconds for which a connection waits for the rest of a request, or the next: more than the probes' and the scrapes'
usual interval. For so long, too, it may take to fetch an answer that is no stream."""
CROWD: Final = 256
"""Connections of a server: strangers on the port must not take the descriptors that rsync and ssh need."""
GRACE: Final = 1.0
"""Seconds in which an answer that was begun may end, and then once more for what was sent to be fetched."""
_READ: Final = 64 << 10
_DRAINED: Final = 1 << 20
"""Bytes of a body that is too long which are read, so that who sends it hears why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What is asked; the names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    too_long: bool = False
    """its body is longer than `MOST`, and nothing of it is here"""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: `body`, or `pieces`, which are `length` bytes, -1: nobody knows yet.

    `done` is called when it was sent, or cannot be.
    """

    body: bytes = b""
    status: int = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pieces: AsyncIterator[bytes] | None = None
    length: int = -1
    done: Callable[[], object] = lambda: None


Handler = Callable[[Request], Awaitable[Answer]]
"""What it raises is logged, and answered by 500."""


def plain(text: str, status: int = HTTPStatus.OK, **headers: str) -> Answer:
    """An answer of one text."""
    return Answer(text.encode(), status, headers=headers)


class Server:
    """Answers all connections of one listening socket by `handler`.

    Args:
        headers: of every answer.
    """

    def __init__(self, handler: Handler, headers: Mapping[str, str]) -> None:
        self._handler = handler
        self._headers = headers
        self._listening: asyncio.Server | None = None
        self._busy: dict[asyncio.Task[None], bool] = {}
        """the connections, the oldest first; whether each is about to answer, or to end"""
        self._closed = False

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen on this address; which it became. Raises OSError."""
        self._listening = await asyncio.start_server(self._connected, host, port)
        name: tuple[str, int] = self._listening.sockets[0].getsockname()[:2]
        return name

    async def listen_on(self, made: socket.socket) -> None:
        """Listen on a unix socket that has its name. Raises OSError."""
        self._listening = await asyncio.start_unix_server(self._connected, sock=made)

    async def close(self) -> None:
        """Take no more; what is being answered may end within `GRACE`."""
        self._closed = True
        if self._listening is not None:
            self._listening.close()
        for task, busy in self._busy.items():
            if not busy:
                task.cancel()
        if self._busy:
            _, late = await asyncio.wait(list(self._busy), timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy[task], patience = False, IDLE
        if len(self._busy) > CROWD:
            self._make_room()
        try:
            connection = _Connection(reader, writer, self._headers)
            while not self._closed and (request := await connection.request()) is not None:
                self._busy[task] = True
                await connection.answer(request, await self._answer(request))
                self._busy[task] = False
                await asyncio.sleep(0)  # however much it asks at once, the others have their turn
        except (TimeoutError, asyncio.CancelledError):
            patience = GRACE
        except (OSError, h11.ProtocolError):
            pass  # it is gone, or no HTTP: nobody else is concerned
        except Exception:
            log.exception("an answer broke off")
        finally:
            writer.close()
            try:
                async with asyncio.timeout(patience):
                    await writer.wait_closed()
            except (OSError, TimeoutError):
                pass
            finally:
                writer.transport.abort()
                del self._busy[task]

    def _make_room(self) -> None:
        """The oldest connection that is not being answered ends: the newest, if all others are."""
        oldest = next(task for task, busy in self._busy.items() if not busy)
        self._busy[oldest] = True
        oldest.cancel()

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("a request failed", path=request.path)
            return plain("a defect: the log says more\n", HTTPStatus.INTERNAL_SERVER_ERROR)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self._writer = writer
        self._headers = headers
        self._http = h11.Connection(h11.SERVER)

    async def request(self) -> Request | None:
        """The next one, None: there is none.

        Raises:
            OSError, TimeoutError: it is gone or too slow. RemoteProtocolError: it is no HTTP, and was told so.
        """
        try:
            async with asyncio.timeout(IDLE):
                return await self._request()
        except h11.RemoteProtocolError as error:
            if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                await self._send(plain(f"{error}\n", error.error_status_hint), head=False)
            raise

    async def _request(self) -> Request | None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        elif self._http.our_state is not h11.IDLE:
            return None
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[]))
        body, size = [], 0
        while isinstance(event := await self._event(), h11.Data):
            size += len(event.data)
            if size > _DRAINED:
                break
            if size <= MOST:
                body.append(bytes(event.data))
        return _request(head, b"" if size > MOST else b"".join(body), too_long=size > MOST)

    async def _event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_READ))
        assert not isinstance(event, type)
        return event

    async def answer(self, request: Request, answer: Answer) -> None:
        """Send it. Raises OSError, TimeoutError: whoever asked is gone, or does not fetch it."""
        await self._send(answer, head=request.method == "HEAD")

    async def _send(self, answer: Answer, *, head: bool) -> None:
        length = len(answer.body) if answer.pieces is None else answer.length
        headers = {"Date": formatdate(usegmt=True), "Content-Type": answer.content_type, **answer.headers}
        if length >= 0:
            headers["Content-Length"] = str(length)
        reason = HTTPStatus(answer.status).phrase
        named = list((headers | dict(self._headers)).items())
        try:
            async with asyncio.timeout(IDLE if answer.pieces is None else None):
                await self._write(h11.Response(status_code=answer.status, headers=named, reason=reason))
                if not head:
                    await self._write(h11.Data(data=answer.body))
                    if answer.pieces is not None:
                        async for piece in answer.pieces:
                            await self._write(h11.Data(data=piece))
                await self._write(h11.EndOfMessage())
        finally:
            answer.done()

    async def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


def _request(head: h11.Request, body: bytes, *, too_long: bool) -> Request:
    target = head.target.decode("ascii")
    if not target.startswith("/"):  # as whoever asks through a proxy may say it
        try:
            target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        except ValueError as error:
            raise h11.RemoteProtocolError(str(error)) from error
    path, _, query = target.partition("?")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
    asked = dict(parse_qsl(query, keep_blank_values=True))
    return Request(head.method.decode("ascii"), unquote(path) or "/", asked, headers, body, too_long)
