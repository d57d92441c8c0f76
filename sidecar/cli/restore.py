"""`sidecar restore`: what was replaced or deleted comes back, in every region."""

import os

import click

from sidecar.cli import ask, exits
from sidecar.cli.moment import Moment
from sidecar.cli.text import path_of, plain, say
from sidecar.engine.orders import Restore, Restored


@click.command
@ask.run_dir_option
@click.argument("path", type=click.Path(), default="")
@click.option("--at", type=Moment(), help="As it was then; else as it was before it left last.")
@click.option("--since", type=Moment(), help="Instead of one PATH: everything that left since then.")
@click.option("--peer", default="", help="With --since: only what left on behalf of this region.")
def restore(run_dir: str, path: str, at: float | None, since: float | None, peer: str) -> int:
    """Put PATH back, with what lay beneath it, or with --since everything; what is there now goes to the trash.

    A time is ISO 8601 (2026-03-01T12:00, in local time unless it names a zone), how long ago (90s, 10m, 2h, 7d), or
    unix seconds.
    """
    if bool(path) == (since is not None):
        raise click.UsageError("give a PATH, or --since")
    if peer and since is None:
        raise click.UsageError("--peer goes with --since")
    if at is not None and since is not None:
        raise click.UsageError("--at goes with a PATH")
    raw = ask.post(run_dir, "/api/restore", Restore(os.fsencode(path), at, since, peer), ask.SLOW)
    return _told(ask.understood(run_dir, raw, Restored))


def _told(done: Restored) -> int:
    for path in done.paths:
        say(f"restored: {plain(path_of(path))}")
    if done.count > len(done.paths):
        say(f"and {done.count - len(done.paths)} more")
    for problem in done.problems:
        say(f"not restored: {plain(problem)}")
    if done.failed > len(done.problems):
        say(f"and {done.failed - len(done.problems)} more are not")
    if not done.count and not done.failed:
        say("nothing left since then")
    return exits.FAILED if done.failed else exits.DONE
