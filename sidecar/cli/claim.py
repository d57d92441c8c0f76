"""`sidecar assert`: this root wins everywhere, as after a backup was unpacked into it."""

import os

import click

from sidecar.cli import ask
from sidecar.cli.text import say
from sidecar.engine.orders import Claim, Claimed


@click.command("assert")
@ask.run_dir_option
@click.argument("path", type=click.Path(), default="")
def claim(run_dir: str, path: str) -> None:
    """Have what lies here, or PATH and what is beneath it, win in every region: for a deliberate restore.

    It is held first, and said what it means; `approve assert` does it, `reject assert` gives it up. Every path that is
    here is written over whatever the others have by then; what a scan found gone here is deleted there. What is
    replaced or deleted there lies in their trash.
    """
    from sidecar.cli.show import size  # noqa: PLC0415 - rich is for eyes alone

    raw = ask.post(run_dir, "/api/assert", Claim(os.fsencode(path)), ask.SLOW)
    held = ask.understood(run_dir, raw, Claimed)
    say(f"{held.here} paths ({size(held.size)}) are to win in every region as they are here")
    if held.gone:
        say(f"{held.gone} paths that are gone here are to be deleted there")
    say(f"held: `sidecar approve {held.id}` does it, `sidecar reject {held.id}` gives it up")
