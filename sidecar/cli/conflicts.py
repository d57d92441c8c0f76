"""`sidecar conflicts`: what lost against a write of another region, and how to have it after all."""

import json
import os
from collections.abc import Iterator
from typing import Final

import click
import msgspec

from sidecar.cli import ask
from sidecar.cli.text import path_of, plain, pour, say
from sidecar.engine.orders import ConflictItem, Conflicts, Take

_SHORT: Final = 12
"""Digits of an id that a table shows; any prefix that is one version's alone will do."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")


@click.group(invoke_without_command=True)
@ask.run_dir_option
@_json_option
@click.pass_context
def conflicts(context: click.Context, run_dir: str, as_json: bool) -> None:
    """Versions that lost against a concurrent write: list them, show one, take it instead of what is shown."""
    context.obj = run_dir
    if context.invoked_subcommand is None:
        _list(run_dir, as_json)


@conflicts.command("list")
@_json_option
@click.pass_obj
def _listed(run_dir: str, as_json: bool) -> None:
    """List them, by path; the same as without a command."""
    _list(run_dir, as_json)


@conflicts.command
@click.argument("path", type=click.Path())
@click.argument("ident", metavar="ID", default="")
@click.pass_obj
def show(run_dir: str, path: str, ident: str) -> None:
    """Write the bytes of the version ID of PATH to stdout. ID may be cut short, or left out where there is one."""
    pour(ask.stream(run_dir, "/api/conflict", {"path": ask.named(os.fsencode(path)), "id": ident}))


@conflicts.command
@click.argument("path", type=click.Path())
@click.argument("ident", metavar="ID", default="")
@click.pass_obj
def take(run_dir: str, path: str, ident: str) -> None:
    """Make the version ID of PATH the current one, in every region; what is shown now goes to the trash."""
    ask.post(run_dir, "/api/take", Take(os.fsencode(path), ident), ask.SLOW)
    say(f"taken: {plain(path)}")


def _list(run_dir: str, as_json: bool) -> None:
    found = ask.understood(run_dir, ask.get(run_dir, "/api/conflicts"), Conflicts)
    if as_json:
        items = [{**msgspec.structs.asdict(one), "path": path_of(one.path)} for one in found.conflicts]
        say(json.dumps({"conflicts": items, "total": found.total}))
    elif not found.conflicts:
        say("no conflicts")
    else:
        from sidecar.cli import show as shown  # noqa: PLC0415 - rich is for eyes alone

        say(shown.listing(("path", "id", "size", "written", "shown", "written"), _rows(found)))
        if found.total > len(found.conflicts):
            say(f"{found.total - len(found.conflicts)} more are not listed")


def _rows(found: Conflicts) -> Iterator[tuple[str, ...]]:
    from sidecar.cli.show import moment, size  # noqa: PLC0415 - see above

    def row(one: ConflictItem) -> tuple[str, ...]:
        shown = size(one.shown_size), moment(one.shown_written)
        return path_of(one.path), one.id[:_SHORT], size(one.size), moment(one.written), *shown

    return (row(one) for one in found.conflicts)
