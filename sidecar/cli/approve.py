"""`sidecar approve` and `reject`: what is held goes on, or is not done."""

import click

from sidecar.cli import ask
from sidecar.cli.text import counted, plain, say
from sidecar.engine.orders import Approve, Reject, Rejected, Way


@click.command
@ask.run_dir_option
@click.argument("hold", metavar="ID")
@click.option("--trash", is_flag=True, help="Of `forgotten`: delete it everywhere, into the trash.")
@click.option("--offer", is_flag=True, help="Of `forgotten`: send it everywhere as new.")
def approve(run_dir: str, hold: str, trash: bool, offer: bool) -> None:
    """Let through what is held under ID, as `status` names it: scan, changes, trash or assert. Or decide on
    `forgotten`, what is here and may have been deleted elsewhere, so long ago that nobody knows any more."""
    if trash and offer:
        raise click.UsageError("--trash or --offer, not both")
    way = Way.TRASH if trash else Way.OFFER if offer else None
    ask.post(run_dir, "/api/approve", Approve(hold, way), ask.SLOW)
    say(f"approved: {plain(hold)}")


@click.command
@ask.run_dir_option
@click.argument("hold", metavar="ID")
def reject(run_dir: str, hold: str) -> None:
    """Keep what is held under ID from being done: what is missing here (scan) comes back from the other regions; what a
    region deleted or replaced (changes, trash) comes back there, as it is here. An assertion (assert) is given up."""
    raw = ask.post(run_dir, "/api/reject", Reject(hold), ask.SLOW)
    count = ask.understood(run_dir, raw, Rejected).count
    say(f"rejected: {plain(hold)}" + (f": {counted(count, 'path')} to come back" if count else ""))
