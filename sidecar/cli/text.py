"""What commands print. What a peer said, and names of any bytes, pass through `plain`: they move no cursor."""

import errno
import io
import sys

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
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise GeorootError(f"stdout cannot be written: {error.strerror}") from error
