"""From file and environment to settings, and from whatever is wrong with them to one line."""

import difflib
import os
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.config import sources
from sidecar.config.settings import Peer, Settings
from sidecar.config.sources import Given
from sidecar.config.units import Refused
from sidecar.errors import ConfigError

_SHOWN: Final = 60
"""Characters of a value or name that a message repeats."""
_NEAR: Final = 0.75
"""How alike (0..1) two names are of which one may be meant by the other."""
_LOOK_UP: Final = "docs/settings.md lists what there is"
_UNKNOWN: Final = "extra_forbidden"
_MISSING: Final = "missing"
_FOLLOWS: Final = "default_factory_not_called"
"""pydantic's words for a key that is none, one that must be there, and a default that leans on a wrong value."""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that file and environment (the process's own, if None) give; a variable wins over the file.

    Raises:
        ConfigError: something is wrong with them; the message is one line.
    """
    environ = os.environ if environ is None else environ
    names = Settings.model_fields
    given = sources.from_environment(environ, names).over(sources.from_file(environ, names))
    try:
        return Settings.model_validate(given.values, context=given)
    except ValidationError as error:
        faults = [fault for fault in error.errors(include_url=False) if fault["type"] != _FOLLOWS]
    raise _refusal(faults, given)


def _refusal(faults: list[ErrorDetails], given: Given) -> ConfigError:
    """The first thing that is wrong, and the names of the others. A misspelled name may be why another is missing."""
    faults.sort(key=lambda fault: (fault["type"] != _UNKNOWN, fault["type"] == _MISSING))
    first, *others = (_said(fault, given) for fault in faults)
    if not others:
        return first
    more = ", ".join(dict.fromkeys(other.setting for other in others))
    return ConfigError(first.setting, first.problem, f"{first.hint} (and {len(others)} more: {more})")


def _said(fault: ErrorDetails, given: Given) -> ConfigError:
    reason = fault.get("ctx", {}).get("error")
    known = reason if isinstance(reason, Refused) else Refused("does not fit", _LOOK_UP)
    name, *inner = (str(part) for part in known.where or fault["loc"] if part != "[key]")
    setting, at = _setting(given.called.get(name, name), inner)
    if fault["type"] == _UNKNOWN:
        hint = _meant(inner[-1], Peer) if inner else _meant(name, Settings)
        return ConfigError(setting, f"{at}is no setting", hint)
    if fault["type"] == _MISSING:
        hint = "name the host" if inner else f"set {_variable(name)}, or `{name}` in the settings file"
        return ConfigError(setting, f"{at}is not set", hint)
    value = given.values.get(name) if known.where else fault["input"]
    value = value if known.value is None else known.value
    shown = f"{_quoted(value)} " if isinstance(value, str) and value and name not in given.hidden else ""
    return ConfigError(setting, f"{at}{shown}{known.problem}", known.hint)


def _setting(called: str, inner: list[str]) -> tuple[str, str]:
    """What the user calls it, and where in it: the file has keys in keys, a variable has not."""
    called, *parts = (_printed(part) for part in (called, *inner))
    if called.startswith(sources.PREFIX):
        return called, "".join(f"{part}: " for part in parts)
    return ".".join((called, *parts)), ""


def _meant(name: str, model: type[BaseModel]) -> str:
    """What may have been meant by a name that is none."""
    plain = name.lower().replace("-", "_").removeprefix(sources.PREFIX.lower())
    near = difflib.get_close_matches(plain, model.model_fields, 1, _NEAR)
    if not near:
        return _LOOK_UP
    is_variable = name.startswith(sources.PREFIX) and name != _variable(near[0])
    return f"did you mean {_variable(near[0]) if is_variable else near[0]}?"


def _variable(name: str) -> str:
    return f"{sources.PREFIX}{name.upper()}"


def _printed(name: str) -> str:
    return name if name and name.isprintable() and len(name) <= _SHOWN else _quoted(name)


def _quoted(value: str) -> str:
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"
