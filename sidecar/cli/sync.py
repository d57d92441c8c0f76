"""`sidecar sync --once`: for cron, instead of a daemon or beside it."""

from collections.abc import Iterator

import click

from sidecar.cli import ask, exits, given
from sidecar.cli.moment import Span
from sidecar.cli.text import path_of, plain, say
from sidecar.engine.orders import Pending, PendingOf, Sync, Synced


@click.command
@ask.run_dir_option
@click.option("--once", is_flag=True, help="Until both sides are settled, then end. Has to be given.")
@click.option("--dry-run", is_flag=True, help="Say what would go to each region, and do nothing.")
@click.option("--timeout", type=Span(), default="1h", show_default=True, help="How long it may take.")
def sync(run_dir: str, once: bool, dry_run: bool, timeout: float) -> int:
    """Scan, send and receive until this node and every region have everything of each other.

    Where a sidecar runs here, it is asked to; else one runs for as long as that takes, and logs warnings alone. A
    region that is away for 20 s is not waited for: exit 6 says so, and which. Exit 5: all that is missing is
    held, refused or cannot be read.

    A dry run lists what each region has not confirmed. Without a running sidecar it first takes up what has changed
    here in its index, and asks each region how far it is; nothing is sent, received, or changed in a web root.
    """
    if not once:
        raise click.UsageError("sync goes with --once; `sidecar run` is what keeps regions in sync")
    runs = ask.is_there(run_dir)
    if dry_run:
        return _listed(_asked_pending(run_dir) if runs else _own_pending(timeout))
    return _asked(run_dir, timeout) if runs else _own(timeout)


def _asked(run_dir: str, timeout: float) -> int:
    raw = ask.post(run_dir, "/api/sync", Sync(timeout), timeout + ask.LIMIT)
    return _told(ask.understood(run_dir, raw, Synced))


def _own(timeout: float) -> int:
    from sidecar import daemon  # noqa: PLC0415 - the other commands need none of it

    synced, code = daemon.sync_once(given.load(), timeout)
    return _told(synced) or code if synced is not None else exits.UNSENT


def _asked_pending(run_dir: str) -> Pending:
    return ask.understood(run_dir, ask.get(run_dir, "/api/pending"), Pending)


def _own_pending(timeout: float) -> Pending:
    from sidecar import daemon  # noqa: PLC0415 - see above

    return daemon.pending(given.load(), timeout)


def _told(synced: Synced) -> int:
    for one in synced.behind:
        say(plain(f"{'not reached' if one.unreached else 'not in sync'}: {one.region}: {one.why}"))
    if any(one.unreached for one in synced.behind):
        return exits.UNREACHED
    if any(not one.held for one in synced.behind):
        return exits.FAILED
    return exits.HELD if synced.behind else exits.DONE


def _listed(pending: Pending) -> int:
    for note in pending.notes:
        say(plain(f"note: {note}"))
    for one in pending.regions:
        for line in _lines(one):
            say(plain(line))
    return exits.UNREACHED if any(one.problem for one in pending.regions) else exits.DONE


def _lines(one: PendingOf) -> Iterator[str]:
    from sidecar.cli.show import size  # noqa: PLC0415 - rich is for eyes alone

    for what, paths, count in (("send", one.sent, one.send), ("delete", one.deleted, one.delete)):
        yield from (f"{one.region}: {what} {path_of(path)}" for path in paths)
        if count > len(paths):
            yield f"{one.region}: {what} {count - len(paths)} more"
    if one.problem:
        yield f"{one.region}: not reached: {one.problem}"
    yield f"{one.region}: {one.send} to send ({size(one.size)}), {one.delete} to delete"
