"""Where settings are written: a YAML file and GEOROOT_* variables. Nothing here knows what a value means."""

import dataclasses
import re
from collections.abc import Collection, Hashable, Mapping
from typing import Final

import yaml

from sidecar.errors import ConfigError

DEFAULT_FILE: Final = "/etc/georoot/config.yaml"
FILE: Final = "GEOROOT_CONFIG"
PREFIX: Final = "GEOROOT_"
_SUFFIX: Final = "_FILE"
ALIASES: Final = {"targets": "peers"}
"""lsyncd's words for what is called otherwise here."""
_NULLS: Final = ("~", "null", "Null", "NULL")
_TOO_LARGE: Final = 1 << 20
"""Characters: no settings file is as large, a file that was named by mistake may be."""

_SHOWN: Final = 60

_IP: Final = r"[0-9A-Fa-f.:]+"
_LINKS: Final = tuple(
    (re.compile(rf"GEOROOT_(?:[A-Z0-9_]+_)?{name}"), re.compile(value))
    for name, value in (
        ("SERVICE_HOST", _IP),
        ("SERVICE_PORT(?:_[A-Z0-9_]+)?", r"[0-9]{1,5}"),
        ("PORT(?:_[0-9]+_(?:TCP|UDP|SCTP))?", r"(?:tcp|udp|sctp)://\S+:[0-9]{1,5}"),
        ("PORT_[0-9]+_(?:TCP|UDP|SCTP)_PROTO", "tcp|udp|sctp"),
        ("PORT_[0-9]+_(?:TCP|UDP|SCTP)_PORT", r"[0-9]{1,5}"),
        ("PORT_[0-9]+_(?:TCP|UDP|SCTP)_ADDR", _IP),
    )
)
"""What Kubernetes sets for every service called georoot or georoot-<x>, by name and value: GEOROOT_SSH_PORT is also a
setting, but no setting is `tcp://10.0.0.1:2222`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What was set: the value of each setting, what the user called it, and those whose value nobody may see.

    Names that are no settings are among the values, under what the user called them.
    """

    values: dict[str, object]
    called: dict[str, str]
    hidden: frozenset[str] = frozenset()

    def over(self, other: "Given") -> "Given":
        """These, and those of the other that are not set here."""
        hidden = self.hidden | (other.hidden - self.values.keys())
        return Given(other.values | self.values, other.called | self.called, hidden)


def from_file(environ: Mapping[str, str], names: Collection[str]) -> Given:
    """The settings file: the one that GEOROOT_CONFIG names, or the default one, which need not be there.

    Raises:
        ConfigError: it cannot be read, is no YAML, or does not hold keys and values.
    """
    named = environ.get(FILE, "")
    where = named or DEFAULT_FILE
    try:
        text = _read(where)
    except OSError as error:
        if not named and isinstance(error, FileNotFoundError):
            return Given({}, {})
        problem = f"{where!r} cannot be read: {error.strerror}"
        raise ConfigError(FILE, problem, "name a YAML file that this user may read") from error
    except ValueError as error:
        raise ConfigError(FILE, f"{where!r} {error}", "name a YAML file in UTF-8") from error
    loaded = _load(text, where)
    if not isinstance(loaded, dict):
        raise ConfigError(FILE, f"{where!r} does not hold settings", "write a `name: value` a line")
    return _given(loaded, {name: name for name in names} | ALIASES)


def from_environment(environ: Mapping[str, str], names: Collection[str]) -> Given:
    """GEOROOT_<NAME>, and GEOROOT_<NAME>_FILE whose value is what the file holds. An empty variable is not set.

    Raises:
        ConfigError: both are set, or the file cannot be read.
    """
    known = {f"{PREFIX}{name.upper()}": name for name in names}
    known |= {f"{PREFIX}{alias.upper()}": name for alias, name in ALIASES.items()}
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX) and name != FILE}
    plain = {name: value for name, value in ours.items() if not _is_service_link(name, value)}
    files = {name for name in plain if name not in known and name.removesuffix(_SUFFIX) in known}
    held = {name: _held(name, plain[name]) for name in files if plain[name]}
    given = _given({name: value for name, value in plain.items() if name not in files}, known)
    whole = _given(held, {name + _SUFFIX: setting for name, setting in known.items()})
    for setting in whole.values.keys() & given.values.keys():
        raise ConfigError(whole.called[setting], f"{given.called[setting]} is set too", "set one of them")
    return Given(given.values | whole.values, given.called | whole.called, frozenset(whole.values))


def _given(written: Mapping[str, object], known: Mapping[str, str]) -> Given:
    values: dict[str, object] = {}
    called: dict[str, str] = {}
    for name, value in written.items():
        setting = known.get(name, name)
        if name in known and value == "":
            continue
        if setting in values:
            raise ConfigError(name, f"is another word for {called[setting]}, which is set too", "set one of them")
        values[setting], called[setting] = value, name
    return Given(values, called)


def _is_service_link(name: str, value: str) -> bool:
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _LINKS)


def _held(name: str, where: str) -> str:
    """What the file named by the variable holds."""
    try:
        return _read(where)
    except OSError as error:
        raise ConfigError(name, f"{where!r} cannot be read: {error.strerror}", "name a file that is there") from error
    except ValueError as error:
        raise ConfigError(name, f"{where!r} {error}", "name a text file in UTF-8") from error


def _read(where: str) -> str:
    try:
        with open(where, encoding="utf-8-sig") as file:
            text = file.read(_TOO_LARGE)
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
    if len(text) == _TOO_LARGE:
        raise ValueError("is too large")
    return text


class _Loader(yaml.BaseLoader):
    """Leaves every value the text that it is (`no` is Norway), null the empty text; a key written twice is refused."""

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        is_null = node.style is None and node.value in _NULLS
        return "" if is_null else str(super().construct_scalar(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        made: dict[Hashable, object] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key is no word", key_node.start_mark)
            if key in made:
                problem = f"{key[:_SHOWN]!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            made[key] = self.construct_object(value_node, deep=deep)
        return made


def _load(text: str, where: str) -> object:
    """What the YAML holds: text, lists and mappings."""
    hint = "quote what holds `: ` or ` #` or begins with * & ! % @ ` { [ or a quote"
    try:
        # the loader makes text, lists and mappings and nothing else
        return yaml.load(text, _Loader) or {}  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        if isinstance(error, yaml.constructor.ConstructorError):
            hint = "write each key once, as one word"
        at = f" line {mark.line + 1}, column {mark.column + 1}:" if mark is not None else ""
        raise ConfigError(FILE, f"{where!r}{at} {error.problem}", hint) from error
    except yaml.YAMLError as error:
        raise ConfigError(FILE, f"{where!r} holds characters that are not allowed in YAML", hint) from error
    except RecursionError as error:
        raise ConfigError(FILE, f"{where!r} is nested too deep", "write settings, and peers beneath `peers`") from error
