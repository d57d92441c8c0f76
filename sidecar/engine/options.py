"""The plain values that the daemon has and hands down: neither it nor the engine knows a settings file or the
environment."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class PeerOptions:
    """One peer region. `bwlimit` in KiB/s, 0 for none."""

    region: str
    host: str
    port: int
    compress: bool
    bwlimit: int


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How one node runs. Times in seconds, sizes in bytes."""

    region: str
    node: str
    image: str
    root: str
    state: str
    inbox: str
    run_dir: str
    keys_dir: str
    peers: tuple[PeerOptions, ...]
    ssh_listen: str
    ssh_port: int
    exclude: tuple[str, ...]
    delay: float
    large_file: int
    open_wait: float
    scan_interval: float
    poll_interval: float
    compare_interval: float
    trash_keep: float
    trash_max: int
    tombstone_keep: float
    forget_after: float
    hold_deletions: int
    hold_changes: int
    links_outside: bool
    served_at: str
    found_now: bool
    found_join: bool
    spares: int
    drain: float


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """What the daemon runs on: its node's options, and what it needs beside them."""

    options: Options
    layout: str
    http_listen: str
    http_port: int
    log_level: str
    log_format: str
    log_file: str | None
    status_file: str | None
    status_interval: float
    shown: dict[str, object]
    """the settings as they hold, to be logged"""
