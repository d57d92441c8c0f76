"""The model of all settings. The docstring under a field is what docs/settings.md says of it."""

import dataclasses
import os
import re
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from sidecar.config import units
from sidecar.config.sources import Given
from sidecar.config.units import Refused
from sidecar.core import ignore
from sidecar.errors import ConfigError

STATE: Final = ".sidecar"
"""At the top of a web root this name is never replicated nor served."""
_KEPT: Final = ("trash", "conflicts", "outbox", "index.db")
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_MIB: Final = 1 << 20
_SOCKET_PATH: Final = 107
_SOCKET_NAME: Final = len("/m.") + 17
"""ssh's control socket is m.<region>, made under a name that is 17 characters longer; no other name is longer."""
_RUN_DIR: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+@:-"

Name = Annotated[str, BeforeValidator(units.name)]
Path = Annotated[str, BeforeValidator(units.path)]
Address = Annotated[str, BeforeValidator(units.address)]
Port = Annotated[int, BeforeValidator(partial(units.whole, least=1, most=65535))]
Flag = Annotated[bool, BeforeValidator(units.flag)]
Size = Annotated[int, BeforeValidator(units.size)]
Rate = Annotated[int, BeforeValidator(units.rate)]


def _seconds(least: float, most: float) -> BeforeValidator:
    return BeforeValidator(partial(units.duration, least=least, most=most))


def _one_of(*allowed: str) -> BeforeValidator:
    return BeforeValidator(partial(units.choice, allowed=allowed))


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where this node pushes to, with what holds for that peer. `bwlimit` in KiB/s, 0 for none."""

    region: str
    host: str
    port: int
    compress: bool
    bwlimit: int


class Peer(BaseModel):
    """One peer as it is written: `host:port`, or these keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: Annotated[str, BeforeValidator(units.host)]
    """its name or address"""
    port: Port = 2222
    """where its sidecar's sshd is reached"""
    compress: Annotated[bool | None, BeforeValidator(units.flag)] = None
    """`compress` for this peer alone"""
    bwlimit: Annotated[int | None, BeforeValidator(units.rate)] = None
    """`bwlimit` for this peer alone"""

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        if isinstance(value, str):
            return units.host_port(value)
        if not isinstance(value, dict):
            raise Refused("is no peer", "write host:port, or the keys host, port, compress and bwlimit")
        return {key: one for key, one in value.items() if one not in ("", None) or key not in cls.model_fields}


class Settings(BaseModel):
    """All settings of a node. Times in seconds, sizes in bytes, paths absolute; what was not set has its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    region: Name
    """Name of this region: letters, digits, `.`, `_` and `-`"""
    node: Name = Field(default_factory=lambda data: data["region"])
    """Name of this node within its region; the region's own where it has one node, the Pod's in Kubernetes"""
    peers: Annotated[dict[Name, Peer], BeforeValidator(units.peers)] = {}
    """The other regions: `<region>: {host, port, compress, bwlimit}`, all but host optional, or `<region>: host:port`;
    as a variable `ams=host:2222,fra=[fd00::1]:2222`, or JSON. `targets` is another word for it"""

    volume: Path = "/srv/web"
    """The volume that web root and state share"""
    layout: Annotated[Literal["beside", "inside"], _one_of("beside", "inside")] = "beside"
    """`beside`: the volume holds html/ and .sidecar/; `inside`: the web root is the volume, .sidecar/ lies in it"""
    source: Path = Field(
        default_factory=lambda data: data["volume"] if data["layout"] == "inside" else f"{data['volume']}/html"
    )
    """The web root: html/ on the volume, or with `layout: inside` the volume"""
    state_dir: Path = Field(
        default_factory=lambda data: f"{data['source' if data['layout'] == 'inside' else 'volume']}/{STATE}"
    )
    """Index, trash and conflicts: .sidecar/ on the volume, or with `layout: inside` in the web root"""
    temp_dir: Path = Field(default_factory=lambda data: f"{data['state_dir']}/inbox")
    """Where files arrive before they are renamed into the web root: inbox/ in state_dir. A directory of its own, on the
    web root's file system; what else lies in it is removed"""
    run_dir: Path = "/run/georoot"
    """Sockets and copies of the keys: short, private to this user, a tmpfs at best"""
    keys_dir: Path = "/etc/georoot/keys"
    """The keys that `sidecar keygen` makes, and those of the peers"""

    ssh_listen: Address = "0.0.0.0"  # noqa: S104 - peers come from elsewhere
    """Address that peers connect to"""
    ssh_port: Port = 2222
    """Port that peers connect to"""
    http_listen: Address = "0.0.0.0"  # noqa: S104 - so do probes
    """Address of health checks, metrics and status"""
    http_port: Port = 8080
    """Port of health checks, metrics and status"""

    delay: Annotated[float, _seconds(0, _HOUR)] = 0.0
    """How long changes are collected before they are sent; 0 sends at once"""
    compress: Flag = False
    """Compress content on its way"""
    bwlimit: Rate = 0
    """Limit for content to each peer, in KiB/s or with a suffix as rsync takes it (`512K`, `5m`); 0 is none"""
    exclude: Annotated[tuple[str, ...], BeforeValidator(units.patterns)] = ()
    """What is not replicated, besides the defaults: patterns as rsync has them, as a list; as a variable separated by
    commas or newlines, or JSON"""
    default_excludes: Flag = True
    """Exclude what editors, file systems and rsync leave for a moment (`sidecar status` lists it)"""
    large_file: Size = 8 * _MIB
    """Files from this size on are sent as deltas, in a lane of their own"""
    open_wait: Annotated[float, _seconds(0, _HOUR)] = 30.0
    """How long a file that a writer has open is waited for"""
    scan_interval: Annotated[float, _seconds(1, 30 * _DAY)] = _HOUR
    """Time between two full comparisons of the web root with the index"""
    poll_interval: Annotated[float, _seconds(0.1, _DAY)] = 10.0
    """Time between two looks at what inotify does not tell: directories for which there was no watch, network file
    systems. Longer where a look takes more than a tenth of it"""
    compare_interval: Annotated[float, _seconds(0, _DAY)] = 60.0
    """Time between two comparisons of the index with each peer's, which find what a wrong cursor or a dead link left
    out; 0 never compares"""
    links: Annotated[Literal["inside", "all"], _one_of("inside", "all")] = "inside"
    """Symlinks that are applied: those that stay `inside` the web root, or `all`"""
    served_at: Annotated[str, BeforeValidator(units.path)] = ""
    """Path of the web root as the web server sees it: absolute symlinks beneath it count as inside"""
    found: Annotated[Literal["wait", "now", "join"], _one_of("wait", "now", "join")] = "wait"
    """When a new index sends what its first scan found: after every peer has answered (`wait`), `now`, or after
    `sidecar join` has said who wins (`join`)"""

    trash_keep: Annotated[float, _seconds(0, 3650 * _DAY)] = 7 * _DAY
    """How long replaced and deleted content is kept"""
    trash_max: Size = 10 << 30
    """Size of the trash above which the oldest goes first, but nothing younger than an hour"""
    tombstone_keep: Annotated[float, _seconds(1, 3650 * _DAY)] = 30 * _DAY
    """How long it is remembered at least that a path was deleted; longer until every region has been seen to know"""
    forget_after: Annotated[float, _seconds(1, 3650 * _DAY)] = 90 * _DAY
    """After so long without a word of it a node is not waited for any more: what it brings back may be held"""
    hold_deletions: Annotated[int, BeforeValidator(partial(units.whole, least=0, most=10**9))] = 25
    """Paths gone at a scan, if they are most of the tree too, above which none is deleted elsewhere until `approve`"""
    hold_changes: Annotated[int, BeforeValidator(partial(units.whole, least=0, most=10**9))] = 10_000
    """Deletions and replacements of a peer in a minute, if most of the tree too, that are held until `approve`"""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], _one_of("debug", "info", "warning", "error")] = (
        "info"
    )
    """Least severity that is logged: `debug`, `info`, `warning` or `error`; at most 60 lines of a kind a minute"""
    log_format: Annotated[Literal["text", "json"], _one_of("text", "json")] = "text"
    """Log lines for people (`text`) or for programs (`json`)"""
    log_file: Annotated[str | None, BeforeValidator(units.path)] = None
    """A file to log to besides stderr; SIGHUP opens it anew"""
    status_file: Annotated[str | None, BeforeValidator(units.path)] = None
    """A file that holds the status as JSON, written every status_interval"""
    status_interval: Annotated[float, _seconds(0.1, _DAY)] = 10.0
    """Time between two writes of status_file"""

    drain: Annotated[float, _seconds(0, _HOUR)] = 20.0
    """How long SIGTERM lets what is under way come to its end"""
    spares: Annotated[int, BeforeValidator(partial(units.whole, least=0, most=16))] = 3
    """rsyncs kept ready for each peer; one where none was taken for ten seconds. With 0 what is small travels in frames
    at rest too, unless `bwlimit` is set"""

    _hidden: frozenset[str] = PrivateAttr(frozenset())

    def model_post_init(self, context: Any) -> None:  # noqa: ANN401 - pydantic's own
        """Remember whose value nobody may see."""
        if isinstance(context, Given):
            self._hidden = context.hidden

    @field_validator("exclude")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                ignore.excluder((pattern,))
            except (ConfigError, re.error) as error:
                hint = error.hint if isinstance(error, ConfigError) else "write a name or path, as for rsync"
                raise Refused("is no pattern that excludes", hint, value=pattern) from error
        return patterns

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.region in self.peers:
            raise Refused("is this region itself", "name the other regions only", "peers", self.region, value="")
        self._check_volume()
        for name in ("run_dir", "keys_dir", "status_file", "log_file"):
            where = getattr(self, name)
            if where is not None and self._is_published(where):
                raise Refused("lies in the web root, where it would be served", "move it out of there", name)
        self._check_run_dir()
        return self

    def _check_volume(self) -> None:
        state, inbox = (self._blamed(name) for name in ("state_dir", "temp_dir"))
        hint = "lay them beside each other, or write `layout: inside`"
        if self._is_published(self.state_dir):
            raise Refused("puts the state into the web root", hint, state)
        if _within(self.source, self.state_dir):
            raise Refused("puts the web root into the state", hint, state)
        if self._is_published(self.temp_dir):
            raise Refused("puts the temporary directory into the web root", "let it be beside the web root", inbox)
        taken = (self.source, self.state_dir)
        kept = (os.path.join(self.state_dir, name) for name in _KEPT)
        if any(_within(path, self.temp_dir) for path in taken) or any(_within(self.temp_dir, path) for path in kept):
            hint = "let it be a directory of its own, for it is emptied"
            raise Refused("makes a temporary directory of what holds other things", hint, inbox)

    def _check_run_dir(self) -> None:
        if set(self.run_dir) - set(_RUN_DIR):
            raise Refused("has characters that ssh's files cannot carry", "use a plain path", "run_dir")
        longest = max(map(len, self.peers), default=0)
        room = _SOCKET_PATH - _SOCKET_NAME - longest
        if len(self.run_dir) > room:
            raise Refused("is too long for the names of sockets", f"use at most {room} characters", "run_dir")

    def _is_published(self, path: str) -> bool:
        """Is it in the web root, and not in what is never served?"""
        own = self.layout == "inside" and _within(path, os.path.join(self.source, STATE))
        return _within(path, self.source) and not own

    def _blamed(self, name: str) -> str:
        """The setting that puts a directory where it is: one that the user wrote, if there is one."""
        written = (one for one in (name, "state_dir", "source", "volume") if one in self.model_fields_set)
        return next(written, name)

    @property
    def root(self) -> str:
        """The web root, as the engine calls it."""
        return self.source

    @property
    def state(self) -> str:
        """The state's directory, as the engine calls it."""
        return self.state_dir

    @property
    def inbox(self) -> str:
        """Where content is staged, as the engine calls it."""
        return self.temp_dir

    @property
    def patterns(self) -> tuple[str, ...]:
        """Everything that is excluded: the defaults, unless they are switched off, and the user's own."""
        return (*ignore.DEFAULTS, *self.exclude) if self.default_excludes else self.exclude

    @property
    def targets(self) -> tuple[Target, ...]:
        """The peers, by name, each with its own or the common `compress` and `bwlimit`."""
        return tuple(
            Target(
                region,
                peer.host,
                peer.port,
                self.compress if peer.compress is None else peer.compress,
                self.bwlimit if peer.bwlimit is None else peer.bwlimit,
            )
            for region, peer in sorted(self.peers.items())
        )

    def redacted(self) -> dict[str, object]:
        """All settings as they hold, to be logged; what came from a GEOROOT_<NAME>_FILE is not shown."""
        shown = self.model_dump()
        shown["peers"] = {target.region: dataclasses.asdict(target) for target in self.targets}
        return shown | dict.fromkeys(self._hidden & shown.keys(), "(from a file)")


def _within(path: str, directory: str) -> bool:
    """Is it the directory or beneath it, also by way of symlinks?"""
    real, above = os.path.realpath(path), os.path.realpath(directory)
    return os.path.commonpath((real, above)) == above
