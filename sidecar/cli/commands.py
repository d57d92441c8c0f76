"""What `sidecar` can do, and how a command line becomes an exit code."""

from typing import Final

import click

from sidecar import VERSION
from sidecar.cli import exits, healthcheck
from sidecar.cli.approve import approve, reject
from sidecar.cli.claim import claim
from sidecar.cli.conflicts import conflicts
from sidecar.cli.join import join
from sidecar.cli.keygen import keygen
from sidecar.cli.pause import pause, resume
from sidecar.cli.restore import restore
from sidecar.cli.run import run
from sidecar.cli.status import status
from sidecar.cli.sync import sync
from sidecar.cli.trash import trash
from sidecar.cli.verify import verify
from sidecar.cli.wait import wait

_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {about}" for code, about in exits.CODES.items())


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="sidecar", message="%(prog)s %(version)s")
def sidecar() -> None:
    """Keep the web roots of several regions identical, each change visible elsewhere within milliseconds."""


@sidecar.command("healthcheck")
def _healthcheck() -> int:
    """Is the sidecar on this machine alive and ready?"""
    return healthcheck.main([])


_HOLDS: Final = (approve, reject, claim, join)
_KEPT: Final = (conflicts, trash, restore)
for _command in (run, status, keygen, sync, wait, verify, pause, resume, *_HOLDS, *_KEPT):
    sidecar.add_command(_command)


def main(arguments: list[str]) -> int:
    """Do what `arguments` say; the exit code."""
    return exits.of(lambda: _invoke(arguments))


def _invoke(arguments: list[str]) -> object:
    """Not click's own main: it has an exit code of its own for everything."""
    with sidecar.make_context("sidecar", arguments) as context:
        return sidecar.invoke(context)
