"""`sidecar trash`: what left the web root on behalf of other regions, or by `take` and `restore`."""

import json
import os
from collections.abc import Iterator

import click
import msgspec

from sidecar.cli import ask
from sidecar.cli.text import path_of, say
from sidecar.engine.orders import LISTED, Trash


@click.command
@ask.run_dir_option
@click.argument("path", type=click.Path(), default="")
@click.option("--limit", type=click.IntRange(1, LISTED), default=100, show_default=True, help="List so many.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def trash(run_dir: str, path: str, limit: int, as_json: bool) -> None:
    """List what was replaced or deleted, the youngest first; of PATH and beneath it alone, if it is given."""
    query = {"path": ask.named(os.fsencode(path)), "limit": str(limit)}
    raw = ask.get(run_dir, "/api/trash", query=query)
    found = ask.understood(run_dir, raw, Trash)
    if as_json:
        say(json.dumps([{**msgspec.structs.asdict(one), "path": path_of(one.path)} for one in found.items]))
    elif not found.items:
        say("nothing in the trash")
    else:
        from sidecar.cli import show  # noqa: PLC0415 - rich is for eyes alone

        say(show.listing(("left", "path", "kind", "size", "why", "for"), _rows(found)))


def _rows(found: Trash) -> Iterator[tuple[str, ...]]:
    from sidecar.cli.show import moment, size  # noqa: PLC0415 - see above

    for one in found.items:
        yield moment(one.left), path_of(one.path), one.kind, size(one.size), one.reason, one.peer or "-"
