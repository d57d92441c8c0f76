"""`sidecar approve`: what is held goes on."""

import click

from sidecar.cli import ask
from sidecar.cli.text import plain, say
from sidecar.engine.orders import Approve


@click.command
@ask.run_dir_option
@click.argument("hold", metavar="ID")
def approve(run_dir: str, hold: str) -> None:
    """Let through what is held under ID, as `status` names it: scan, changes or trash."""
    ask.post(run_dir, "/api/approve", Approve(hold))
    say(f"approved: {plain(hold)}")
