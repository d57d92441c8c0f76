"""Where log lines go: stderr, and a file if there is one; as text for people or as JSON for programs.

A record is one line, whatever a peer or a file name puts into it; a traceback follows its line, indented. A line that
cannot be written is lost: logging never raises and never waits for space on a disk.
"""

import datetime as dt
import enum
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from sidecar.errors import ConfigError

MOST: Final = 60
"""Lines of one kind in one `PERIOD`: what a peer does again and again, or a disk for each path, fills no disk."""
PERIOD: Final = 60.0
"""Seconds."""
_FOREIGN: Final = logging.WARNING
"""What others' libraries say below this is of use only to who debugs."""
_MODE: Final = 0o640
_NAME_OF: Final = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


class _File:
    """The log file: a descriptor that stays the same when the file behind it is another."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = _open(path)

    def write(self, line: str) -> None:
        data = memoryview(line.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self.fd, data) :]

    def reopen(self) -> None:
        fresh = _open(self.path)
        os.dup2(fresh, self.fd, inheritable=False)
        os.close(fresh)

    def close(self) -> None:
        os.close(self.fd)


class _Output:
    """All places that lines go to; the one thing here that changes."""

    def __init__(self) -> None:
        self.file: _File | None = None

    def write(self, line: str) -> None:
        # a full disk, a closed pipe, an interpreter that is ending: there is nobody left to tell
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError, RuntimeError):
            pass
        try:
            if self.file is not None:
                self.file.write(f"{line}\n")
        except OSError:
            pass


class _Limit:
    """Leaves out what is more than `MOST` lines of a kind: the same event, of the same peer."""

    def __init__(self) -> None:
        self._began = 0.0
        self._counts: dict[tuple[str, str, str], int] = {}
        self._left_out: dict[tuple[str, str, str], int] = {}

    def __call__(self, logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event["level"] == "debug":
            return event
        now = time.monotonic()
        if now - self._began > PERIOD:
            self._left_out = {kind: count - MOST for kind, count in self._counts.items() if count > MOST}
            self._began, self._counts = now, {}
        # what libraries say is one kind: they put into the event what it is about
        said = str(event["event"]) if logger.name.startswith("sidecar") else ""
        kind = (logger.name, said, str(event.get("peer", "")))
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count > MOST:
            raise structlog.DropEvent
        before = self._left_out.pop(kind, 0)
        if before:
            event["left_out_before"] = before
        if count == MOST:
            event["more"] = f"left out for up to {PERIOD:.0f} s"
        return event


class _Logger:
    """What structlog hands a finished line to."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        _output.write(line)

    debug = info = warning = error = critical = msg


class _Foreign(logging.Handler):
    """Takes what libraries say through `logging` the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            said = str(record.msg)
        structlog.get_logger(record.name).log(level, said, exc_info=record.exc_info)


_output: Final = _Output()
_foreign: Final = _Foreign()


def configure(level: str, fmt: str, file: str | None) -> None:
    """Log what is at least `level` (debug, info, warning, error) as `fmt` (text, json) to stderr and `file`.

    Raises:
        ConfigError: the file cannot be opened.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    opened = _log_file(file) if file is not None else None
    before, _output.file = _output.file, opened
    if before is not None:
        before.close()
    structlog.configure(
        processors=[
            _named,
            structlog.processors.add_log_level,
            _Limit(),
            structlog.processors.format_exc_info,
            _json if fmt == "json" else _text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=_Logger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.addHandler(_foreign)
    root.setLevel(least if least <= logging.DEBUG else max(least, _FOREIGN))


def reopen() -> None:
    """Open the log file anew, after it was moved away; if that fails the old one stays."""
    if _output.file is None:
        return
    try:
        _output.file.reopen()
    except OSError as error:
        structlog.get_logger(__name__).warning("the log file is not opened anew", why=error.strerror)


def _log_file(path: str) -> _File:
    try:
        return _File(path)
    except OSError as error:
        hint = f"let it be a file in a directory that UID {os.geteuid()} may write"
        raise ConfigError("log_file", f"{path!r} cannot be opened: {error.strerror}", hint) from error


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, _MODE)


def _named(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    level, said, name = event.pop("level"), event.pop("event"), event.pop("logger")
    line = {"time": _now(), "level": level, "event": said, "logger": name, **event}
    return _dumped(_plain(line))


def _text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    level, said, name = event.pop("level"), _plain(event.pop("event")), event.pop("logger")
    trace = str(_plain(event.pop("exception", "")))
    if not name.startswith("sidecar"):
        event["logger"] = name
    pairs = (f"{key}={_word(_plain(value))}" for key, value in event.items())
    line = " ".join((_now(), f"{level:7}", _clean(str(said)), *pairs))
    return "\n".join((line, *(f"    {_clean(row)}" for row in trace.splitlines())))


def _now() -> str:
    """UTC, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever somebody logs
    r"""What JSON knows; bytes are paths, and what is no UTF-8 in them is written as \xff."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    match value:
        case None | bool() | int() | float():
            return value
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Mapping():
            return {str(_plain(key)): _plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
        case _:
            return str(value).encode("utf-8", "backslashreplace").decode()


def _dumped(value: object) -> str:
    """JSON, with escapes for what a terminal would not print."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _word(value: object) -> str:
    """A value as one word: quoted where it would be taken for something else."""
    bare = isinstance(value, str) and value.isprintable() and value and not set(value) & set(" \"'=")
    return str(value) if bare else _dumped(value)


def _clean(text: str) -> str:
    """Without what moves a terminal's cursor or begins another line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
