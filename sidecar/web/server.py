"""Where a node answers: its HTTP port, and a unix socket in its run directory by which the CLI reaches it."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from sidecar.errors import EnvironmentFault, NeedsHelp
from sidecar.fs import durable
from sidecar.web.admin import Orders, admin, starting
from sidecar.web.app import HEADERS, Reported, application
from sidecar.web.http1 import Server

ADMIN: Final = "admin.sock"
"""In the run directory: whoever may open it is the sidecar's own user."""
HTTP_PORT: Final = "http_port"
"""In the run directory, for the health check: `host port`, as this machine reaches them."""
_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to ask where it listens on every address


@asynccontextmanager
async def serve(node: Reported, orders: Orders | None, *, listen: str, port: int, run_dir: str) -> AsyncIterator[int]:
    """Answer for `node` until the block ends, and take `orders` for it on the socket alone, None: it takes none yet;
    yields the port, which the system chooses if it is 0.

    Raises:
        EnvironmentFault: the address is taken or not ours, or nothing can be made in the run directory.
    """
    public = Server(application(node), HEADERS)
    own = Server(starting(node) if orders is None else admin(node, orders), HEADERS)
    made: list[str] = []
    try:
        host, bound = await _listen(public, listen, port)
        made.append(await _admin(own, os.path.join(run_dir, ADMIN)))
        made.append(_announce(os.path.join(run_dir, HTTP_PORT), host, bound))
        yield bound
    finally:
        await asyncio.gather(public.close(), own.close())
        for path in made:
            with suppress(OSError):
                os.unlink(path)


async def _listen(server: Server, listen: str, port: int) -> tuple[str, int]:
    try:
        host, bound = await server.listen(listen, port)
    except OSError as error:
        where = f"[{listen}]:{port}" if ":" in listen else f"{listen}:{port}"
        raise EnvironmentFault("http_port", f"{where} {_why(error)}", "set http_listen and http_port") from error
    return _HERE.get(host, host), bound


async def _admin(server: Server, path: str) -> str:
    """Nobody else's from its first moment on: a socket that has its mode before it has a name needs no umask."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.fchmod(made.fileno(), 0o600)
        made.bind(path)
        await server.listen_on(made)
    except OSError as error:
        made.close()
        hint = "give it a short, writable run_dir"
        raise EnvironmentFault(path, f"cannot be listened on: {error}", hint) from error
    return path


def _announce(path: str, host: str, port: int) -> str:
    try:
        durable.publish(path, f"{host} {port}\n".encode(), 0o644)
    except NeedsHelp as error:
        raise EnvironmentFault("run_dir", error.problem, error.hint) from error
    return path


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is taken"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine"
    if error.errno == errno.EACCES:
        return "needs privileges: ports below 1024 do"
    return f"cannot be listened on: {error.strerror or error}"
