"""A status as a page for people: coloured and wrapped on a terminal; elsewhere a line is a line."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.cli.text import counted, plain
from sidecar.engine.status import PathProblem, PeerStatus, Status, StoreStatus

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_KIBI: Final = 1024
_UNBOUNDED: Final = 100_000
"""Columns where the output is no terminal."""
_UNKNOWN: Final = -1.0
_GOOD, _BAD, _QUIET = "green", "red", "dim"


def page(node: Status, console: Console | None = None) -> str:
    """All of it, as it looks on `console`; without one, on stdout."""
    console = console or Console()
    if not console.is_terminal:
        console.width = _UNBOUNDED
    with console.capture() as captured:
        console.print(_heading(node), soft_wrap=True)
        console.print(_grid(_facts(node)))
        if node.peers:
            console.print()
            console.print(_peers(node.peers))
        for lines in (_links(node.peers), _holds(node), _warnings(node), _problems(node)):
            for line in lines:
                console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def duration(seconds: float) -> str:
    """`340 ms`, `41 s`, `12 min`, `3 h`, `4 d`; `-` where it is negative, i.e. unknown."""
    if seconds < 0:
        return "-"
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def moment(seconds: float) -> str:
    """A unix time in UTC, to the second; `-` where it is unknown."""
    if seconds <= 0:
        return "-"
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listing(names: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    """A table, as it looks on stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = _UNBOUNDED
    table = Table(box=None, pad_edge=False, header_style=_QUIET, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def size(count: float) -> str:
    """`512 B`, `4.2 MiB`."""
    if count < _KIBI:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= _KIBI
        if count < _KIBI:
            return f"{count:.1f} {unit}"
    return f"{count / _KIBI:.1f} TiB"


def _heading(node: Status) -> Text:
    heading = Text()
    heading.append(plain(f"{node.region}/{node.node}"), style="bold")
    heading.append(f"  {node.state.value}, ")
    heading.append("ready" if node.ready else "not ready", style=_GOOD if node.ready else _BAD)
    if not node.alive:
        heading.append(", not alive", style=_BAD)
    if node.paused:
        heading.append(", paused until `sidecar resume`", style=_BAD)
    heading.append(plain(f"  up {duration(node.uptime)}, image {node.image}, protocol {node.protocol}"), style=_QUIET)
    return heading


def _facts(node: Status) -> Iterator[tuple[str, str]]:
    store, watch, scan = node.store, node.watch, node.scan
    yield "web root", f"{node.root} ({node.layout}), {_free(store)} free on its volume"
    directories = counted(store.directories, "directory", "directories")
    yield "holds", f"{counted(store.files, 'file')}, {directories}, {counted(store.symlinks, 'symlink')}"
    yield "watches", _watching(node)
    yield "scanned", _scanned(node)
    yield "waiting", f"{node.pending_local} paths changed and not looked at yet"
    yield "kept", f"{store.trash} in the trash ({size(store.trash_bytes)}), {counted(store.conflicts, 'conflict')}"
    dropped = f", all of what was deleted since {moment(store.complete_since)}" if store.complete_since else ""
    yield "index", f"row {store.seq}, {store.tombstones} tombstones{dropped}"
    if node.waits_for:
        yield "waits for", f"{', '.join(node.waits_for)}: what was found here is not sent before they have answered"
    if scan.special:
        yield "skips", f"{scan.special} FIFOs, sockets and devices"
    if watch.polling:
        yield "polls", f"all of it: {watch.polling} does not tell what other machines write"
    yield "excludes", " ".join(node.exclude) or "nothing"


def _free(store: StoreStatus) -> str:
    return size(store.free_bytes) if store.free_bytes >= 0 else "unknown space"


def _watching(node: Status) -> str:
    limit = f" of {node.watch.limit} allowed" if node.watch.limit >= 0 else ""
    polled = f", {node.watch.unwatched} polled" if node.watch.unwatched else ""
    lost = f", events lost {node.watch.overflows} times" if node.watch.overflows else ""
    return f"{node.watch.directories} directories{limit}{polled}{lost}"


def _scanned(node: Status) -> str:
    last = node.scan
    now = ", one runs now" if last.running else ""
    if last.age < 0:
        return f"never{now}"
    took = f"{duration(last.took)} for {last.paths} paths, {last.differing} of them differed"
    return f"{duration(last.age)} ago, {took}{now}"


def _grid(rows: Iterator[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(style=_QUIET, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(f"  {name}", Text(plain(value)))
    return grid


def _peers(peers: Sequence[PeerStatus]) -> Table:
    table = Table(box=None, pad_edge=False, header_style=_QUIET, padding=(0, 2, 0, 0))
    for name in ("peer", "link", "receives", "pending", "in flight", "lag", "heard", "clock", "node", "address"):
        table.add_column(name, overflow="fold")
    for peer in peers:
        table.add_row(
            Text(plain(peer.region), style="bold"),
            Text(plain(peer.state), style=_GOOD if peer.state == "up" else _BAD),
            Text("yes" if peer.receiving else "no", style="" if peer.receiving else _BAD),
            str(peer.pending) if peer.pending >= 0 else "-",
            str(peer.in_flight),
            duration(peer.lag),
            _ago(peer.last_contact),
            _offset(peer.clock_off),
            Text(plain(peer.node) or "-"),
            Text(plain(peer.address)),
        )
    return table


def _ago(seconds: float) -> str:
    return "never" if seconds < 0 else f"{duration(seconds)} ago"


def _offset(seconds: float) -> str:
    if seconds == _UNKNOWN:
        return "-"
    sign = "+" if seconds > 0 else "-" if seconds < 0 else ""
    return f"{sign}{duration(abs(seconds))}"


def _links(peers: Sequence[PeerStatus]) -> Iterator[Text]:
    for peer in peers:
        if peer.problem:
            yield Text(plain(f"  {peer.region}: {peer.problem}"), style=_BAD)


def _holds(node: Status) -> Iterator[Text]:
    if node.holds:
        yield Text("\nheld until somebody approves it", style="bold")
    for hold in node.holds:
        yield Text(plain(f"  {hold.why} ({duration(hold.age)} ago)"), style=_BAD)
        yield Text(plain(f"    {hold.ways_out}"))


def _warnings(node: Status) -> Iterator[Text]:
    if node.warnings:
        yield Text("\nto look at", style="bold")
    for warning in node.warnings:
        yield Text(plain(f"  {warning}"))


def _problems(node: Status) -> Iterator[Text]:
    if node.problem_count:
        shown = len(node.problems)
        most = f", {shown} of them here" if shown < node.problem_count else ""
        yield Text(f"\npaths with a problem: {node.problem_count}{most}", style="bold")
    for problem in node.problems:
        yield Text(plain(f"  {_problem(problem)}"))


def _problem(problem: PathProblem) -> str:
    where = f" (at {problem.peer})" if problem.peer else ""
    hint = f"; {problem.hint}" if problem.hint else ""
    return f"{problem.path}: {problem.why}{where}{hint}"
