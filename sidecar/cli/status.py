"""`sidecar status`: how the node here is."""

import click

from sidecar.cli import ask, exits
from sidecar.cli.text import say
from sidecar.engine.status import Status


@click.command
@ask.run_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print what /api/status says, as it is.")
@click.option(
    "--check", is_flag=True, help="Exit 1 if it is not ready, a link is down, or a path is held or a problem."
)
def status(run_dir: str, as_json: bool, check: bool) -> int:
    """Show how the sidecar here is: what it watches, its peers, what needs a look."""
    raw = ask.get(run_dir, "/api/status")
    node = ask.understood(run_dir, raw, Status)
    if as_json:
        say(raw.decode("utf-8", "backslashreplace"))
    else:
        from sidecar.cli import show  # noqa: PLC0415 - rich is for eyes alone: a script, and the daemon, go without

        say(show.page(node))
    return exits.FAILED if check and needs_a_look(node) else exits.DONE


def needs_a_look(node: Status) -> bool:
    """Is there anything for a person to do?"""
    linked = all(peer.state == "up" for peer in node.peers)
    return not (node.alive and node.ready and linked) or bool(node.holds) or node.problem_count > 0
