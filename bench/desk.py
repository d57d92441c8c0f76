"""The witness's container, as the side that asks sees it: it stands beside both nodes, both trees before its eyes."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from docker.models.containers import Container

UID = 33
_TIMED_OUT = (124, 137)


def said(container: Container, argv: Sequence[str], user: str = "", privileged: bool = False) -> tuple[int, str]:
    """A command's exit code, and what it says."""
    done = container.exec_run(list(argv), user=user, privileged=privileged)
    assert isinstance(done.output, bytes)
    return done.exit_code or 0, done.output.decode("utf-8", "replace")


class Desk:
    """Runs commands in the witness, and writes the nodes' homes beneath /homes/<region>."""

    def __init__(self, container: Container, beside: Callable[[str, list[str]], None]) -> None:
        self._container = container
        self._beside = beside

    def run_in(self, image: str, *argv: str) -> None:
        """Run a command of another image with the same volumes, to its end."""
        self._beside(image, list(argv))

    def run(self, *argv: str) -> str:
        """What a command in it says; it must end well."""
        code, text = said(self._container, argv)
        if code:
            raise RuntimeError(f"{argv!r} ended with {code}: {text}")
        return text.strip()

    def write(self, path: str, text: str) -> None:
        """Make a file of the nodes' user there."""
        content, packed = text.encode(), io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo(Path(path).name)
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, UID, UID
            archive.addfile(entry, io.BytesIO(content))
        self._container.put_archive(str(Path(path).parent), packed.getvalue())

    def outcome(self, *argv: str) -> dict[str, Any] | None:
        """The JSON of a work's last line; None: it was not in time. What else it says is shown."""
        code, text = said(self._container, argv)
        *before, last = text.splitlines() or [""]
        if code in _TIMED_OUT or last == "late":
            return None
        if code:
            raise RuntimeError(f"{argv!r} ended with {code}: {text}")
        for line in before:
            print(line, flush=True)
        read: dict[str, Any] = json.loads(last)
        return read
