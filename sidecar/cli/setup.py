"""The settings as the daemon takes them."""

from sidecar import VERSION
from sidecar.config import Settings
from sidecar.engine.options import Options, PeerOptions, Setup


def setup_of(settings: Settings) -> Setup:
    """The values of `settings`, without the model."""
    return Setup(
        options=_options_of(settings),
        layout=settings.layout,
        http_listen=settings.http_listen,
        http_port=settings.http_port,
        log_level=settings.log_level,
        log_format=settings.log_format,
        log_file=settings.log_file,
        status_file=settings.status_file,
        status_interval=settings.status_interval,
        shown=settings.redacted(),
    )


def _options_of(settings: Settings) -> Options:
    return Options(
        region=settings.region,
        node=settings.node,
        image=VERSION,
        root=settings.root,
        state=settings.state,
        inbox=settings.inbox,
        run_dir=settings.run_dir,
        keys_dir=settings.keys_dir,
        peers=tuple(
            PeerOptions(peer.region, peer.host, peer.port, peer.compress, peer.bwlimit) for peer in settings.targets
        ),
        ssh_listen=settings.ssh_listen,
        ssh_port=settings.ssh_port,
        exclude=settings.patterns,
        delay=settings.delay,
        large_file=settings.large_file,
        open_wait=settings.open_wait,
        scan_interval=settings.scan_interval,
        poll_interval=settings.poll_interval,
        compare_interval=settings.compare_interval,
        trash_keep=settings.trash_keep,
        trash_max=settings.trash_max,
        tombstone_keep=settings.tombstone_keep,
        forget_after=settings.forget_after,
        hold_deletions=settings.hold_deletions,
        hold_changes=settings.hold_changes,
        links_outside=settings.links == "all",
        served_at=settings.served_at,
        found_now=settings.found == "now",
        found_join=settings.found == "join",
        spares=settings.spares,
        drain=settings.drain,
    )
