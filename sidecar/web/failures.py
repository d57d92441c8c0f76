"""What went wrong with an order becomes an answer, in one place: a `Failure` with the exit code of the command."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog

from sidecar.engine.orders import Failure
from sidecar.errors import GeorootError, NeedsHelp, Retryable
from sidecar.web.app import answered
from sidecar.web.asked import WRONG, Misasked
from sidecar.web.http1 import Answer, Handler, Request

log = structlog.get_logger(__name__)

_DEFECT: Final = 70
"""Exit code, as `sidecar.cli.exits` has it."""


def failing(find: Callable[[Request], Handler | HTTPStatus]) -> Handler:
    """What answers by the route that `find` names, or says why there is none, and what the route raises."""

    async def answer(request: Request) -> Answer:
        route = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if request.too_long else find(request)
        if isinstance(route, HTTPStatus):
            return answered(Failure(route.phrase, "are command and daemon of one version?", WRONG), route)
        try:
            return await route(request)
        except GeorootError as error:
            return answered(told(error), _status(error))
        except Exception as error:
            log.exception("a command failed", path=request.path)
            return answered(defect(error), HTTPStatus.INTERNAL_SERVER_ERROR)

    return answer


def defect(error: BaseException) -> Failure:
    """What no part of the node expected."""
    return Failure(f"a defect: {type(error).__name__}: {error}", "please report it; the log says more", _DEFECT)


def told(error: GeorootError) -> Failure:
    """What a part of the node says went wrong, and what to do."""
    if isinstance(error, NeedsHelp):
        return Failure(error.problem, error.hint, error.exit_code)
    hint = "try again" if isinstance(error, Retryable) else "are command and daemon of one version?"
    return Failure(str(error), hint, error.exit_code)


def _status(error: GeorootError) -> HTTPStatus:
    if isinstance(error, Misasked):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, Retryable) else HTTPStatus.CONFLICT
