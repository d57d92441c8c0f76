"""`sidecar pause` and `resume`: nothing is sent or received for a while."""

import click

from sidecar.cli import ask
from sidecar.cli.text import say


@click.command
@ask.run_dir_option
def pause(run_dir: str) -> None:
    """Neither send nor receive until `resume`, also after a restart. What changes here meanwhile goes then."""
    ask.post(run_dir, "/api/pause", None)
    say("paused: `sidecar resume` goes on")


@click.command
@ask.run_dir_option
def resume(run_dir: str) -> None:
    """Send and receive again."""
    ask.post(run_dir, "/api/resume", None)
    say("resumed")
