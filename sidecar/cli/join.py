"""`sidecar join`: two web roots meet for the first time, and a person says which wins where they differ."""

import sys
from collections.abc import Iterator
from typing import Final

import click

from sidecar.cli import ask, exits
from sidecar.cli.moment import Span
from sidecar.cli.text import plain, say
from sidecar.engine.orders import Compared, Join, Joined

_TWICE: Final = 2
"""The node waits for the peers, then until it is done."""


@click.command
@ask.run_dir_option
@click.option("--prefer", required=True, metavar="REGION|local|newest", help="Whose version wins where both have one.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", type=Span(), default="60s", show_default=True, help="How long to wait for the regions.")
def join(run_dir: str, prefer: str, dry_run: bool, yes: bool, timeout: float) -> int:
    """Join the other regions with a web root that is not empty, after a start with the setting `found: join`.

    Where both sides have a path and differ, the version of REGION, of this node (local), or the later one (newest)
    wins; what loses is kept, in the trash or the conflicts. What only one side has stays, and comes to be in both.
    """
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("join: there is no terminal to ask on: add --yes, or --dry-run")
    compared = _asked(run_dir, Join(prefer, within=timeout)).compared
    for one in compared:
        say("\n".join(plain(line) for line in told(one, prefer)))
    if dry_run:
        return exits.FAILED if any(one.problem for one in compared) else exits.DONE
    if not yes and not click.confirm("join so?"):
        say("nothing was done")
        return exits.FAILED
    joined = _asked(run_dir, Join(prefer, act=True, within=timeout))
    if joined.done:
        say("joined")
        return exits.DONE
    say(plain(f"decided, and goes on: not all is said yet by {', '.join(joined.waits_for) or 'this node'}"))
    return exits.FAILED


def _asked(run_dir: str, order: Join) -> Joined:
    raw = ask.post(run_dir, "/api/join", order, _TWICE * order.within + ask.LIMIT)
    return ask.understood(run_dir, raw, Joined)


def told(one: Compared, prefer: str) -> Iterator[str]:
    """What is known of one region, a line each, and what becomes of it."""
    from sidecar.cli.show import size  # noqa: PLC0415 - rich is for eyes alone

    if one.problem:
        yield f"{one.region}: not compared in full: {one.problem}"
    yield f"{one.region}: {one.same} paths are the same, {one.later_here + one.later_there} differ"
    alone = f"only here: {one.here} ({size(one.here_bytes)}), only there: {one.there} ({size(one.there_bytes)})"
    yield f"  {alone}: they stay"
    here, there = _losing(one, prefer)
    if there[0]:
        where = "the conflicts" if prefer == "newest" else f"the trash of {one.region}"
        yield f"  here wins: {there[0]} paths; {size(there[1])} that are there go to {where}"
    if here[0]:
        yield f"  {one.region} wins: {here[0]} paths; {size(here[1])} that are here go to the trash here"
    if one.deleted:
        becomes = "they stay" if prefer == "local" else f"{size(one.deleted_bytes)} go to the trash here"
        yield f"  deleted there after they were written here: {one.deleted} paths; {becomes}"


def _losing(one: Compared, prefer: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many paths lose here and there, and the bytes that they have."""
    if prefer == "newest":
        return (one.later_there, one.later_there_bytes[0]), (one.later_here, one.later_here_bytes[1])
    count = one.later_here + one.later_there
    if prefer == "local":
        return (0, 0), (count, one.later_here_bytes[1] + one.later_there_bytes[1])
    return (count, one.later_here_bytes[0] + one.later_there_bytes[0]), (0, 0)
