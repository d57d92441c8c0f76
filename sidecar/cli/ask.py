"""Asking the daemon, over its socket in the run directory."""

import http.client
import os
import socket
from typing import Final

import click

from sidecar.errors import EnvironmentFault

SOCKET: Final = "admin.sock"
LIMIT: Final = 10.0
"""Seconds for each step of an answer: a daemon may be busy with a first scan."""
_OK: Final = 200

run_dir_option: Final = click.option(
    "--run-dir",
    envvar="GEOROOT_RUN_DIR",
    default="/run/georoot",
    show_default=True,
    show_envvar=True,
    type=click.Path(),
    help="The daemon's run directory.",
)


def get(run_dir: str, path: str, limit: float = LIMIT) -> bytes:
    """What the daemon answers to GET `path`.

    Raises:
        EnvironmentFault: none answers, or not as one does.
    """
    where = os.path.join(run_dir, SOCKET)
    asked = _Connection(where, limit)
    try:
        asked.request("GET", path)
        answer = asked.getresponse()
        body = answer.read()
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
    if answer.status != _OK:
        raise _strange(where, f"answered {answer.status} {answer.reason}")
    return body


def strange(run_dir: str, problem: str) -> EnvironmentFault:
    """The daemon's answer is none that this version knows."""
    return _strange(os.path.join(run_dir, SOCKET), problem)


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
