"""`sidecar wait`: for deploy scripts, until everything written here is in the other regions."""

import click

from sidecar.cli import ask, exits
from sidecar.cli.moment import Span
from sidecar.cli.text import plain, say
from sidecar.engine.orders import Wait, Waited


@click.command
@ask.run_dir_option
@click.option("--timeout", type=Span(), default="60s", show_default=True, help="How long to wait, such as 90s or 5m.")
@click.argument("regions", nargs=-1, metavar="[REGION]...")
def wait(run_dir: str, timeout: float, regions: tuple[str, ...]) -> int:
    """Return when everything that was written before is in every REGION (none named: in all), or exit 1.

    Exit 5: everything is there but for paths that are held or refused, here or there, or cannot be read here; it says
    which and how to go on. What was refused before a restart of the sidecar is known after the next comparison.
    It counts as being there when it is durable there. A file that is still open for writing is not written yet.
    """
    raw = ask.post(run_dir, "/api/wait", Wait(regions, timeout), timeout + ask.LIMIT)
    behind = ask.understood(run_dir, raw, Waited).behind
    for one in behind:
        say(plain(f"not there yet: {one.region}: {one.why}"))
    if not behind:
        return exits.DONE
    return exits.HELD if all(one.held for one in behind) else exits.FAILED
