"""`sidecar verify`: are all regions identical?"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import click
import msgspec

from sidecar.cli import ask, exits
from sidecar.cli.text import counted, path_of, plain, say
from sidecar.engine.orders import Differing, RegionVerified, Verified, Verify, VerifyProgress, VerifySaid, What
from sidecar.errors import EnvironmentFault

SILENT: Final = 60.0
"""Seconds without a word after which the daemon is given up."""


@click.command
@ask.run_dir_option
@click.option("--checksum", is_flag=True, help="Hash every file first, here and there: finds what went bad on a disk.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.argument("regions", nargs=-1, metavar="[REGION]...")
def verify(run_dir: str, checksum: bool, as_json: bool, regions: tuple[str, ...]) -> int:
    """Tell whether every REGION (none named: every peer) shows what is shown here, and list the paths that differ.

    What is on its way is waited for. Exits 7 if something differs or is damaged, 6 if a region could not be asked.
    """
    with _bar() as moved:
        result = _result(run_dir, Verify(regions, checksum), moved)
    if as_json:
        say(json.dumps(_plain_names(msgspec.to_builtins(result, builtin_types=(bytes,)))))
    else:
        for line in _lines(result):
            say(plain(line))
    return _code(result)


def _result(run_dir: str, order: Verify, moved: Callable[[VerifyProgress], None]) -> Verified:
    for line in ask.lines(run_dir, "/api/verify", order, SILENT):
        said = ask.understood(run_dir, line, VerifySaid)
        for one in said.progress:
            moved(one)
        if said.failure is not None:
            raise ask.Refused(said.failure)
        if said.verified is not None:
            return said.verified
    raise EnvironmentFault("the sidecar here", "ended in the middle of its answer", "its log may say more")


def _code(result: Verified) -> int:
    wrong = result.damaged_count + sum(one.differing_count + one.damaged_count for one in result.regions)
    if wrong:
        return exits.DIFFERENT
    return exits.UNREACHED if any(one.problem for one in result.regions) else exits.DONE


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[VerifyProgress], None]]:
    """A progress bar where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - rich is for eyes alone
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def moved(one: VerifyProgress) -> None:
            if one.region not in tasks:
                tasks[one.region] = bar.add_task(plain(one.region) or "here")
            bar.update(tasks[one.region], completed=one.done, total=one.total)

        yield moved


def _lines(result: Verified) -> Iterator[str]:
    for path in result.damaged:
        yield f"here: damaged: {path_of(path)}"
    yield from _rest(result.damaged_count, len(result.damaged), "here", "damaged")
    for region in result.regions:
        yield from _region(region, result.files)


def _region(one: RegionVerified, files: int) -> Iterator[str]:
    if one.problem:
        yield f"{one.region}: could not be asked: {one.problem}"
        return
    if not one.differing_count and not one.damaged_count:
        yield f"{one.region}: identical, {counted(files, 'file')}"
    for differing in one.differing:
        why = f" ({differing.why})" if differing.why else ""
        yield f"{one.region}: {path_of(differing.path)}: {_difference(differing)}{why}"
    yield from _rest(one.differing_count, len(one.differing), one.region, "different")
    for path in one.damaged:
        yield f"{one.region}: damaged: {path_of(path)}"
    yield from _rest(one.damaged_count, len(one.damaged), one.region, "damaged")


def _rest(count: int, listed: int, where: str, what: str) -> Iterator[str]:
    if count > listed:
        yield f"{where}: {count - listed} more are {what}"


def _difference(of: Differing) -> str:
    here, there = of.here, of.there
    if here is None or there is None or here.kind != there.kind:
        return f"here {_what(here)}, there {_what(there)}"
    if (here.hash, here.target, here.size) != (there.hash, there.target, there.size):
        return f"other content: here {_content(here)}, there {_content(there)}"
    if here.mode != there.mode:
        return f"mode {here.mode:o} here, {there.mode:o} there"
    return "other mtime" if here.mtime != there.mtime else "the same, but what lies there is not what was written"


def _what(of: What | None) -> str:
    names = {"dir": "a directory", "file": "a file", "symlink": "a symlink"}
    return names.get(of.kind, of.kind) if of is not None else "nothing"


def _content(of: What) -> str:
    return f"-> {of.target}" if of.kind == "symlink" else f"{of.size} bytes {of.hash[:12]}"


def _plain_names(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Paths are bytes: as text from which Python's os.fsencode gives the bytes back."""
    if isinstance(value, bytes):
        return path_of(value)
    if isinstance(value, dict):
        return {key: _plain_names(one) for key, one in value.items()}
    return [_plain_names(one) for one in value] if isinstance(value, list | tuple) else value
