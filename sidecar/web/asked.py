"""What a request of the admin socket asks, decoded and checked."""

import base64
import binascii
from typing import Final, TypeVar

import msgspec

from sidecar.engine.orders import LISTED
from sidecar.errors import GeorootError
from sidecar.web.http1 import Request

_PATH: Final = 4096
_ID: Final = 64
WRONG: Final = 2
"""Exit code, as `sidecar.cli.exits` has it."""

Asked = TypeVar("Asked", bound=msgspec.Struct)


class Misasked(GeorootError):
    """The request is not one that this version knows."""

    exit_code = WRONG


def body_of(request: Request, shape: type[Asked]) -> Asked:
    """Its body. Raises Misasked, as the others here."""
    try:
        return msgspec.json.decode(request.body, type=shape)
    except msgspec.MsgspecError as error:
        raise Misasked(str(error)) from error


def path_of(request: Request) -> bytes:
    """The path that it names, "" for none."""
    try:
        named = base64.b64decode(request.query.get("path", ""), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misasked(f"path: {error}") from error
    if len(named) > _PATH:
        raise Misasked("path: it is too long")
    return named


def ident_of(request: Request) -> str:
    """The version that it names, "" for none."""
    named = request.query.get("id", "")
    if len(named) > _ID:
        raise Misasked("id: it is too long")
    return named


def limit_of(request: Request) -> int:
    """How many it wants listed."""
    text = request.query.get("limit", str(LISTED))
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= LISTED:
        raise Misasked(f"limit: it is not from 1 to {LISTED}")
    return int(text)
