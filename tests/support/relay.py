"""A TCP relay between two nodes on loopback, which can be cut: connections that are open end, new ones are refused."""

import contextlib
import socket
import threading
from typing import Final

_STEP: Final = 1 << 16


class Relay:
    """Listens on a port of its own and passes on to `target` on 127.0.0.1, until `close`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._whole = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End what goes through it; nothing more comes through."""
        with self._lock:
            self._whole = False
            ended, self._open = self._open, set()
        for one in ended:
            _end(one)

    def mend(self) -> None:
        """Let through again."""
        with self._lock:
            self._whole = True

    def close(self) -> None:
        """End it."""
        self.cut()
        _end(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                came, _ = self._listener.accept()
                self._join(came)

    def _join(self, came: socket.socket) -> None:
        try:
            goes = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _end(came)
            return
        with self._lock:
            if self._whole:
                self._open |= {came, goes}
                for one, other in ((came, goes), (goes, came)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()
                return
        _end(came)
        _end(goes)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(_STEP):
            other.sendall(data)
    _end(one)
    _end(other)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
