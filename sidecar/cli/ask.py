"""Asking the daemon, over its socket in the run directory."""

import base64
import http.client
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar
from urllib.parse import urlencode

import click
import msgspec

from sidecar.engine.orders import Failure
from sidecar.errors import EnvironmentFault, GeorootError

SOCKET: Final = "admin.sock"
LIMIT: Final = 10.0
"""Seconds for each step of an answer: a daemon may be busy with a first scan."""
SLOW: Final = 3600.0
"""The same for what moves files."""
_OK: Final = 200
_PIECE: Final = 256 << 10

Shape = TypeVar("Shape")

run_dir_option: Final = click.option(
    "--run-dir",
    envvar="GEOROOT_RUN_DIR",
    default="/run/georoot",
    show_default=True,
    show_envvar=True,
    type=click.Path(),
    help="The daemon's run directory.",
)


class Refused(GeorootError):
    """The daemon did not do what it was asked, and said why; with the exit code that it named."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.error}; {failure.hint}")
        self.exit_code = failure.exit_code


def get(run_dir: str, route: str, limit: float = LIMIT, query: Mapping[str, str] | None = None) -> bytes:
    """What the daemon answers to GET `route`.

    Raises:
        EnvironmentFault: none answers, or not as one does. Refused: it says why not.
    """
    return b"".join(stream(run_dir, route, query, limit))


def is_there(run_dir: str) -> bool:
    """Does a daemon take orders there?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(LIMIT)
        try:
            asked.connect(os.path.join(run_dir, SOCKET))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True  # what is wrong with it, the order tells
        return True


def stream(run_dir: str, route: str, query: Mapping[str, str] | None, limit: float = LIMIT) -> Iterator[bytes]:
    """The same in pieces, for what may be large."""
    yield from _exchange(run_dir, "GET", f"{route}?{urlencode(query)}" if query else route, None, limit)


def post(run_dir: str, route: str, order: msgspec.Struct | None, limit: float = LIMIT) -> bytes:
    """What the daemon answers to an order. Raises as `get`."""
    body = msgspec.json.encode(order) if order is not None else b""
    return b"".join(_exchange(run_dir, "POST", route, body, limit))


def lines(run_dir: str, route: str, order: msgspec.Struct, limit: float = LIMIT) -> Iterator[bytes]:
    """The lines of the daemon's answer to an order, as they come. Raises as `get`."""
    rest = b""
    for piece in _exchange(run_dir, "POST", route, msgspec.json.encode(order), limit):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def understood(run_dir: str, raw: bytes, shape: type[Shape]) -> Shape:
    """An answer as what it is.

    Raises:
        EnvironmentFault: this version does not know it.
    """
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.DecodeError as error:
        raise _strange(os.path.join(run_dir, SOCKET), str(error)) from error


def named(path: bytes) -> str:
    """A path as a query carries it."""
    return base64.urlsafe_b64encode(path).decode("ascii")


def _exchange(run_dir: str, method: str, route: str, body: bytes | None, limit: float) -> Iterator[bytes]:
    where = os.path.join(run_dir, SOCKET)
    asked = _Connection(where, limit)
    try:
        asked.request(method, route, body)
        answer = asked.getresponse()
        if answer.status != _OK:
            raise _refused(where, answer)
        while piece := answer.read1(_PIECE):
            yield piece
    except PermissionError as error:
        hint = "run this as the user that it runs as"
        raise EnvironmentFault(f"the sidecar here may not be asked ({where})", str(error.strerror), hint) from error
    except TimeoutError as error:
        problem, hint = f"no answer within {limit:.0f} s", "its log says what it is busy with"
        raise EnvironmentFault(f"the sidecar here is silent ({where})", problem, hint) from error
    except OSError as error:
        hint = "`sidecar run` starts one; GEOROOT_RUN_DIR names its run directory"
        raise EnvironmentFault(f"no sidecar runs here ({where})", error.strerror or str(error), hint) from error
    except http.client.HTTPException as error:
        raise _strange(where, f"answered {error!r}") from error
    finally:
        asked.close()


def _refused(where: str, answer: http.client.HTTPResponse) -> GeorootError:
    try:
        return Refused(msgspec.json.decode(answer.read(), type=Failure))
    except msgspec.DecodeError:
        return _strange(where, f"answered {answer.status} {answer.reason}")


def _strange(where: str, problem: str) -> EnvironmentFault:
    hint = "are command and daemon of one version? Its log may say more"
    return EnvironmentFault(f"the sidecar here is not understood ({where})", problem, hint)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, where: str, limit: float) -> None:
        super().__init__("sidecar", timeout=limit)
        self._where = where

    def connect(self) -> None:
        """Connect to the socket; `close` closes it also when that failed."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._where)
