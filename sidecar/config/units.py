"""What people write for a time, a size, a name or a list, and what it means: the same text in file and variable.

Every function takes what was written and raises Refused where it means nothing.
"""

import ipaddress
import json
import math
import os
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

_NUMBER: Final = r"([0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15})"
_TIME: Final = re.compile(rf"{_NUMBER} ?(ms|s|m|h|d)?")
_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE: Final = re.compile(rf"{_NUMBER} ?(?:([kmgt])(ib|b)?|b)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
_MAX_SIZE: Final = 2**60
_MAX_RATE: Final = 999_999_999
"""KiB/s: as many digits as the gate lets through."""
_FLAGS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9._-]{1,253}")
_HOST_PORT: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:\[\]]*))?")
_UNPRINTED: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_JSON_LIST: Final = re.compile(r'\[\s*("|\]$)')


class Refused(ValueError):
    """A value is no good: `problem` says why without repeating it, `hint` what to write instead.

    Args:
        where: the setting, where it is not the one that is being read.
        value: the part of the value that a message may repeat, "" for none; None repeats all of it.
    """

    def __init__(self, problem: str, hint: str, *where: str, value: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.hint, self.where, self.value = problem, hint, where, value


def scalar(value: object) -> str:
    """One value as text, without the space around it."""
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise Refused("is not a single value", "write one word or number")
    text = str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("is not UTF-8", "write it in UTF-8") from error
    return text


def duration(value: object, least: float, most: float) -> float:
    """Seconds between `least` and `most`."""
    match = _TIME.fullmatch(scalar(value))
    if match is None:
        raise Refused("is no time", "write seconds, or a number with ms, s, m, h or d, such as 500ms or 7d")
    seconds = float(Fraction(match[1]) * _MS[match[2] or "s"] / 1000)
    if not least <= seconds <= most:
        raise Refused("is out of range", f"write a time from {_spoken(least)} to {_spoken(most)}")
    return seconds


def size(value: object) -> int:
    """Bytes, rounded down. As rsync has it: K and KiB are 1024, KB is 1000."""
    return math.floor(_bytes(value, "write bytes, or a number with K, M, G or T, such as 8M or 1.5GiB"))


def rate(value: object) -> int:
    """KiB/s, rounded up, for a trickle is not "no limit"; 0 is. As rsync has it: without a suffix it is KiB."""
    text = scalar(value)
    given = f"{text}K" if text[-1:].isdigit() else text
    limit = math.ceil(_bytes(given, "write KiB/s, or a number with K, M or G, such as 5m; 0 is no limit") / 1024)
    if limit > _MAX_RATE:
        raise Refused("is out of range", f"write at most {_MAX_RATE}, or 0 for no limit")
    return limit


def flag(value: object) -> bool:
    """Yes or no."""
    try:
        return _FLAGS[scalar(value).lower()]
    except KeyError as error:
        raise Refused("is neither true nor false", "write true or false") from error


def whole(value: object, least: int, most: int) -> int:
    """A whole number between `least` and `most`."""
    text = scalar(value)
    hint = f"write a whole number from {least} to {most}"
    if not _WHOLE.fullmatch(text):
        raise Refused("is no whole number", hint)
    if not least <= int(text) <= most:
        raise Refused("is out of range", hint)
    return int(text)


def choice(value: object, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    text = scalar(value).lower()
    if text not in allowed:
        raise Refused("is not offered", f"write {' or '.join(allowed)}")
    return text


def name(value: object) -> str:
    """What a region or node may be called: it is part of paths and of command lines."""
    text = scalar(value)
    if not _NAME.fullmatch(text):
        raise Refused("is no name", "write up to 64 letters, digits, `.`, `_` and `-`, a letter or digit first")
    return text


def path(value: object) -> str:
    """An absolute path without `..`, `.` and doubled slashes, that sshd's configuration can carry."""
    text = scalar(value)
    if not text.startswith("/"):
        raise Refused("is no absolute path", "begin it with /")
    if _UNPRINTED.search(text):
        raise Refused("has characters that sshd's files cannot carry", "use no quote, backslash or control character")
    clean = os.path.normpath("/" + text.lstrip("/"))
    if clean == "/":
        raise Refused("is the whole file system", "name a directory or file of its own")
    return clean


def address(value: object) -> str:
    """An IP address to listen on."""
    text = scalar(value).removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise Refused("is no IP address", "write one such as 0.0.0.0, :: or 127.0.0.1") from error


def host(value: object) -> str:
    """A host's name or address, without brackets."""
    text = scalar(value)
    if ":" in text:
        try:
            return str(ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]")))
        except ValueError as error:
            raise Refused("is no host", "write a name or an IP address; `port` stands by itself") from error
    if not _HOST_NAME.fullmatch(text):
        raise Refused("is no host", "write a name or an IP address")
    return text


def host_port(text: str) -> dict[str, str]:
    """`host`, `host:port` or `[IPv6]:port` as the keys of a peer."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise Refused("is no host and port", "write host:port, an IPv6 address in brackets")
    return {"host": match[1]} if match[2] is None else {"host": match[1], "port": match[2]}


def peers(value: object) -> object:
    """Peers as a mapping: what is written may also be `ams=host:port,fra=host`, or JSON."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise Refused("is no list of peers", "write `<region>: <host>:<port>` a line")
    text = scalar(value)
    if text.startswith("{"):
        return _json(text)  # of `{` it makes a mapping
    found: dict[str, object] = {}
    for part in _split(text):
        region, equals, where = part.partition("=")
        if not equals:
            raise Refused("is no list of peers", "write region=host:port, separated by commas, or JSON")
        if region.strip() in found:
            raise Refused("names a region twice", "a region has one address")
        found[region.strip()] = where.strip()
    return found


def patterns(value: object) -> tuple[str, ...]:
    """Exclude patterns: a list, or text separated by commas or newlines, or JSON."""
    if isinstance(value, str):
        text = value.strip()
        value = _json(text) if _JSON_LIST.match(text) else _split(text)
    if not isinstance(value, (list, tuple)):
        raise Refused("is no list", "write a list of patterns")
    return tuple(scalar(one) for one in value)


def _bytes(value: object, hint: str) -> Fraction:
    match = _SIZE.fullmatch(scalar(value))
    if match is None:
        raise Refused("is no size", hint)
    base = 1000 if (match[3] or "").lower() == "b" else 1024
    found = Fraction(match[1]) * Fraction(base ** _POWERS[(match[2] or "").lower()])
    if found > _MAX_SIZE:
        raise Refused("is out of range", hint)
    return found


def _spoken(seconds: float) -> str:
    unit = next((unit for unit in ("d", "h", "m") if seconds and not seconds * 1000 % _MS[unit]), "s")
    return f"{seconds * 1000 / _MS[unit]:g}{unit}"


def _split(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def _json(text: str) -> object:
    try:
        # numbers stay text, as everywhere else
        return json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Refused("is no JSON", "close every bracket and quote") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Refused("names a key twice", "write each key once")
    return made
