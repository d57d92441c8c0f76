"""`sidecar keygen`: the keys of a region, or of several that can be reached from one place."""

import os
from collections.abc import Sequence

import click

from sidecar.cli.text import plain, say
from sidecar.errors import EnvironmentFault
from sidecar.link import keys


@click.command
@click.argument("directories", nargs=-1, type=click.Path())
@click.option("--exchange", is_flag=True, help="Give each region, named as its DIRECTORY, the others' public keys.")
def keygen(directories: tuple[str, ...], exchange: bool) -> None:
    """Make the keys of this region in DIRECTORY (GEOROOT_KEYS_DIR, or /etc/georoot/keys). What is there stays."""
    if exchange:
        _exchange(directories)
    elif len(directories) > 1:
        raise click.UsageError("more than one DIRECTORY goes with --exchange only")
    else:
        _make_own(directories[0] if directories else os.environ.get("GEOROOT_KEYS_DIR") or "/etc/georoot/keys")


def _make_own(directory: str) -> None:
    say(_made(directory))
    region = os.environ.get("GEOROOT_REGION") or "REGION"
    lines = ["", "Copy the public halves to every other region:"]
    for name, given in ((keys.CLIENT, "client.pub"), (keys.HOST, "host.pub")):
        lines += [
            f"  {plain(os.path.join(directory, name))}.pub",
            f"    as peers/{region}/{given} in its keys directory",
        ]
    lines += ["", *(_public(directory, name) for name in (keys.CLIENT, keys.HOST))]
    say("\n".join(lines))


def _exchange(directories: Sequence[str]) -> None:
    regions = {os.path.basename(os.path.normpath(directory)): directory for directory in directories}
    for region in regions:
        if not keys.is_region(region):
            raise click.UsageError(f"{region!r} is no region's name: letters, digits, `.`, `_` and `-`")
    if not len(regions) == len(directories) > 1:
        raise click.UsageError("--exchange takes two or more directories, each named as its region")
    for region, directory in regions.items():
        say(f"{region}: {_made(directory)}")
    keys.exchange(regions)
    say(f"{', '.join(regions)}: each has the others' public keys in peers/")


def _made(directory: str) -> str:
    names = (keys.CLIENT, keys.HOST)
    there = [name for name in names if os.path.exists(os.path.join(directory, name))]
    keys.make_region_keys(directory)
    said = [f"{name} {'was there' if name in there else 'made'}" for name in names]
    return f"{', '.join(said)} in {plain(directory)}"


def _public(directory: str, name: str) -> str:
    path = os.path.join(directory, f"{name}.pub")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return plain(file.read().strip())
    except OSError as error:
        hint = f"UID {os.getuid()} must read it"
        raise EnvironmentFault(path, f"cannot be read: {error.strerror}", hint) from error
