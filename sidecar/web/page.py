"""The page at `/`: how the node is in a few lines, and where else to look. Made by the server, without scripts."""

import html
from typing import Final

from sidecar.engine.status import PeerStatus, Status

_ROUTES: Final = (
    ("/api/status", "everything that the node knows about itself, as JSON"),
    ("/metrics", "the same in figures, with counters, for Prometheus"),
    ("/livez", "does the sidecar work?"),
    ("/readyz", "may the web root be served? Never depends on a peer"),
    ("/startupz", "is the first scan over?"),
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>{title}</h1>
<p>{summary}</p>
<h2>Peers</h2>
<ul>{peers}</ul>
<h2>Held</h2>
<ul>{holds}</ul>
<h2>To look at</h2>
<ul>{warnings}</ul>
<h2>More</h2>
<ul>{routes}</ul>
</html>
"""


def page(status: Status) -> str:
    """The whole page."""
    ready = "ready" if status.ready else "not ready"
    paused = ", paused until `sidecar resume`" if status.paused else ""
    summary = (
        f"{status.state.value}, {ready}{paused}. {status.root}: {status.store.files} files, "
        f"{status.pending_local} changes not looked at yet, {status.problem_count} paths with a problem, "
        f"{status.store.conflicts} conflicts."
    )
    return _PAGE.format(
        title=html.escape(f"georoot {status.region}/{status.node}"),
        summary=html.escape(summary),
        peers=_items([_peer(peer) for peer in status.peers]),
        holds=_items([f"{hold.why}; {hold.ways_out}" for hold in status.holds]),
        warnings=_items(list(status.warnings)),
        routes="".join(f'<li><a href="{path}">{path}</a>: {html.escape(about)}</li>' for path, about in _ROUTES),
    )


def _peer(peer: PeerStatus) -> str:
    pending = f", {peer.pending} paths not confirmed" if peer.pending >= 0 else ""
    problem = f"; {peer.problem}" if peer.problem else ""
    return f"{peer.region}: {peer.state}{pending}{problem}"


def _items(lines: list[str]) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines) or "<li>none</li>"
