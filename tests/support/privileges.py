"""Root without its right to pass permissions by, so that a test that runs as root meets them as anybody does."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Final

_VERSION_3: Final = 0x20080522
_PASSES_BY: Final = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH"""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextlib.contextmanager
def held_to_permissions() -> Iterator[None]:
    """In the block this thread, and those that it starts, meet permissions."""
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _call(_libc.capget(ctypes.byref(header), sets))
    before = sets[0].effective
    sets[0].effective = before & ~_PASSES_BY
    _call(_libc.capset(ctypes.byref(header), sets))
    try:
        yield
    finally:
        sets[0].effective = before
        _call(_libc.capset(ctypes.byref(header), sets))


def _call(failed: int) -> None:
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
