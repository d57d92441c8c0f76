"""`python3 -m bench.pusher SOCKET COMMAND…`: runs the command for whoever connects, and answers with its exit code."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path


def main(path: str, *command: str) -> None:
    Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            asked, _ = listening.accept()
            with asked, contextlib.suppress(OSError):
                asked.sendall(str(subprocess.run(command, check=False).returncode).encode())


main(*sys.argv[1:])
