"""The status file, for those who had lsyncd's: the JSON of /api/status, indented, renewed at an interval."""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from sidecar.engine.status import Status
from sidecar.errors import GeorootError
from sidecar.fs import durable

log = structlog.get_logger(__name__)


async def write_status(path: str, interval: float, status: Callable[[], Status]) -> None:
    """Publish the status at `path` every `interval` seconds until cancelled; a reader never meets half of it.

    What prevents it is logged once and tried again: a full disk must not end a node.
    """
    said = ""
    while True:
        data = msgspec.json.format(msgspec.json.encode(status()), indent=2) + b"\n"
        problem = await asyncio.to_thread(_publish, path, data)
        if problem and problem != said:
            log.warning("the status file is not written", file=path, problem=problem)
        elif said and not problem:
            log.info("the status file is written again", file=path)
        said = problem
        await asyncio.sleep(interval)


def _publish(path: str, data: bytes) -> str:
    try:
        durable.publish(path, data, 0o644)
    except GeorootError as error:
        return str(error)
    return ""
