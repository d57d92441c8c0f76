"""`sidecar run`: the daemon, in the foreground."""

import click


@click.command
def run() -> int:
    """Run the sidecar in the foreground until it is told to stop (SIGTERM, SIGINT)."""
    from sidecar import config, daemon  # noqa: PLC0415 - the other commands need none of it

    return daemon.run(config.load())
