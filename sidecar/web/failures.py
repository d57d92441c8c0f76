"""What went wrong with an order becomes an answer, in one place: a `Failure` with the exit code of the command."""

from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.engine.orders import Failure
from sidecar.errors import GeorootError, NeedsHelp, Retryable
from sidecar.web.app import answered
from sidecar.web.asked import WRONG, Misasked

log = structlog.get_logger(__name__)

_DEFECT: Final = 70
"""Exit code, as `sidecar.cli.exits` has it."""


@web.middleware
async def failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever the routes behind it raise is answered."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return answered(Failure(error.reason, "are command and daemon of one version?", WRONG), error.status)
    except GeorootError as error:
        return answered(told(error), _status(error))
    except Exception as error:
        log.exception("a command failed", path=request.path)
        return answered(defect(error), web.HTTPInternalServerError.status_code)


def defect(error: BaseException) -> Failure:
    """What no part of the node expected."""
    return Failure(f"a defect: {type(error).__name__}: {error}", "please report it; the log says more", _DEFECT)


def told(error: GeorootError) -> Failure:
    """What a part of the node says went wrong, and what to do."""
    if isinstance(error, NeedsHelp):
        return Failure(error.problem, error.hint, error.exit_code)
    hint = "try again" if isinstance(error, Retryable) else "are command and daemon of one version?"
    return Failure(str(error), hint, error.exit_code)


def _status(error: GeorootError) -> int:
    if isinstance(error, Misasked):
        return web.HTTPBadRequest.status_code
    busy = isinstance(error, Retryable)
    return web.HTTPServiceUnavailable.status_code if busy else web.HTTPConflict.status_code
