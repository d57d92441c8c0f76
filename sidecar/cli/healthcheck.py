"""`sidecar healthcheck`: is the sidecar on this machine well?

Healthy means alive *and* ready (/livez and /readyz say 200): `docker compose up --wait` waits for it, and a region
counts as up when its web root may be served. Neither depends on a peer.

It runs every few seconds for as long as the node does, so it costs next to no CPU: the standard library alone, without
`socket` (7 ms of CPU, as much as all the rest) and `typing` (8 ms).
"""

import _socket
import os
import sys
import time

LIMIT = 4.0
"""Seconds for all of it: the container's own limit is 5."""
_HELP = """\
Usage: sidecar healthcheck

  Ask the sidecar on this machine whether it is alive and ready; exit 0 if it is, 1 with one line if not.
  It is asked where <GEOROOT_RUN_DIR>/http_port says, else at 127.0.0.1, port GEOROOT_HTTP_PORT, else 8080.
"""
_MOST = 65536


def main(arguments: list[str]) -> int:
    """Print why it is not healthy, if it is not; the exit code."""
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(_HELP)
        return 0
    if arguments:
        sys.stderr.write(f"sidecar: healthcheck takes no arguments, not {arguments[0]!r}\n")
        return 2
    why = unhealthy(LIMIT)
    if why:
        sys.stderr.write(f"sidecar: {why}\n")
    return 1 if why else 0


def unhealthy(limit: float) -> str:
    """Why it is not healthy, "" if it is; known within `limit` seconds."""
    until = time.monotonic() + limit
    try:
        host, port = _where()
    except ValueError as error:
        return f"no port to ask: {error}"
    for probe in ("/livez", "/readyz"):
        try:
            why = _ask(host, port, probe, until)
        except (OSError, OverflowError) as error:  # OverflowError: no port has that number
            why = getattr(error, "strerror", None) or str(error)
        if why:
            return f"http://{host}:{port}{probe}: {why}"
    return ""


def _where() -> tuple[str, int]:
    """The daemon says where it listens; what it was told to may be in a file that only it reads."""
    run_dir = os.environ.get("GEOROOT_RUN_DIR") or "/run/georoot"
    try:
        with open(os.path.join(run_dir, "http_port"), encoding="ascii") as file:
            host, _, port = file.read().strip().rpartition(" ")
    except OSError:
        host, port = "", os.environ.get("GEOROOT_HTTP_PORT") or "8080"
    return host or "127.0.0.1", int(port)


def _ask(host: str, port: int, probe: str, until: float) -> str:
    """What is wrong, "" if nothing is. HTTP/1.0: the answer ends with the connection."""
    asked = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
    try:
        asked.settimeout(_left(until))
        asked.connect((host, port))
        asked.sendall(f"GET {probe} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        said = b""
        while len(said) < _MOST:
            asked.settimeout(_left(until))
            more = asked.recv(_MOST)
            if not more:
                break
            said += more
    finally:
        asked.close()
    head, _, body = said.decode("utf-8", "replace").partition("\r\n\r\n")
    if head.startswith(("HTTP/1.0 200 ", "HTTP/1.1 200 ")):
        return ""
    return " ".join(body.split()) or head.partition("\r\n")[0] or "no answer"


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
