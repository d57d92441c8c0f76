"""What the probes are told: for each the reason why not, "" if all is well.

None of them looks at a peer: a cut between two regions must not take both out of service.
"""

from typing import Final

from sidecar.engine.status import NodeState, Status

_STARTING: Final = (NodeState.STARTING, NodeState.SCANNING)


def not_alive(status: Status) -> str:
    """Why the node should be restarted."""
    return "" if status.alive else _because("a part of the sidecar has stopped", status)


def not_started(status: Status) -> str:
    """Why a web server that starts after the sidecar has to wait."""
    return _because(f"{status.state.value}: the first scan is not over", status) if status.state in _STARTING else ""


def not_ready(status: Status) -> str:
    """Why the web root should not be served."""
    if status.ready:
        return ""
    return not_started(status) or _because(f"not ready ({status.state.value})", status)


def _because(what: str, status: Status) -> str:
    return f"{what}: {status.warnings[0]}" if status.warnings else what
