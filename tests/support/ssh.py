"""An administrator's, or an attacker's, ssh client: fabric, which shares nothing with the link's own OpenSSH."""

import contextlib
import dataclasses
from collections.abc import Iterator

import fabric
import paramiko


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    stdout: str
    stderr: str


class Client:
    """One authenticated connection."""

    def __init__(self, connection: fabric.Connection) -> None:
        self._connection = connection

    @property
    def transport(self) -> paramiko.Transport:
        transport = self._connection.client.get_transport()
        assert isinstance(transport, paramiko.Transport)
        return transport

    def run(self, command: str) -> Said:
        """Ask for `command`; stdin is empty."""
        done = self._connection.run(command, hide=True, warn=True, in_stream=False, timeout=10)
        return Said(done.exited, done.stdout, done.stderr)


@contextlib.contextmanager
def client(port: int, key_file: str, user: str = "georoot") -> Iterator[Client]:
    """Connect to an sshd on loopback with one private key.

    Raises:
        paramiko.AuthenticationException: the key does not open the door.
    """
    connect = {"key_filename": key_file, "allow_agent": False, "look_for_keys": False}
    with fabric.Connection("127.0.0.1", user=user, port=port, connect_timeout=10, connect_kwargs=connect) as connection:
        connection.open()
        yield Client(connection)
