"""The plain values that the daemon hands down: the engine knows no settings file and no environment."""

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
