"""An administrator's, or an attacker's, ssh client: fabric, which shares nothing with the link's own OpenSSH."""

import contextlib
import io
from collections.abc import Iterator

import fabric
import paramiko


class Client:
    """One authenticated connection."""

    def __init__(self, connection: fabric.Connection) -> None:
        self._connection = connection

    @property
    def transport(self) -> paramiko.Transport:
        transport = self._connection.client.get_transport()
        assert isinstance(transport, paramiko.Transport)
        return transport

    def said(self, command: str) -> tuple[int, str]:
        """Ask for `command` with nothing on stdin: its exit status, and what it said on stderr."""
        done = self._connection.run(command, hide=True, warn=True, in_stream=io.StringIO(), timeout=10)
        return done.exited, done.stderr

    def session(self) -> paramiko.Channel:
        """A session in which nothing was asked for yet."""
        return self.transport.open_session(timeout=10)


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
