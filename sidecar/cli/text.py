"""What commands print. What a peer said, and names of any bytes, pass through `plain`: they move no cursor."""

import contextlib
import errno
import io
import sys
from collections.abc import Iterable, Iterator

from sidecar.errors import GeorootError


def plain(text: str) -> str:
    """`text` in one line, with everything escaped that is not printed as it is."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def say(text: str) -> None:
    """Write lines to stdout.

    Raises:
        BrokenPipeError: nobody reads them.
        GeorootError: they cannot be written.
    """
    with _spoken():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def pour(pieces: Iterable[bytes]) -> None:
    """Write bytes to stdout as they are. Raises as `say`."""
    for piece in pieces:
        with _spoken():
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something, in words: `many` where it is not `one` and an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def path_of(path: bytes) -> str:
    """A path of any bytes, for people and for JSON: Python's os.fsencode gives the bytes back."""
    return path.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise GeorootError(f"stdout cannot be written: {error.strerror}") from error
