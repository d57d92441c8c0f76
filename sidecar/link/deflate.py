"""Frames deflated one after the other as one stream, so that what they say again costs little (after RFC 7692, §7.2).

Each direction of a channel is a stream of its own; every frame ends at a byte, without the empty block that says so.
"""

import zlib
from typing import Final

from sidecar.errors import ProtocolViolation

LEVEL: Final = 1
"""Hashes, most of what is left, deflate no better at others, which take twice the time."""
_RAW: Final = -zlib.MAX_WBITS
_END: Final = b"\x00\x00\xff\xff"
"""Of what zlib flushes."""


class Deflater:
    """One direction, at the end that writes."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(LEVEL, zlib.DEFLATED, _RAW)

    def deflate(self, frame: bytes) -> bytes:
        """The frame in the stream: what `Inflater.inflate` is to be given next."""
        return (self._stream.compress(frame) + self._stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_END)


class Inflater:
    """One direction, at the end that reads.

    Args:
        limit: a longer frame is none of ours (bytes); no more than that is ever made of one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stream = zlib.decompressobj(_RAW)

    def inflate(self, deflated: bytes) -> bytes:
        """The frame that was deflated.

        Raises:
            ProtocolViolation: it is none, or too long; the stream is of no use any more.
        """
        try:
            frame = self._stream.decompress(deflated + _END, self._limit + 1)
        except zlib.error as error:
            raise ProtocolViolation(f"a frame that does not inflate: {error}") from error
        if len(frame) > self._limit:
            raise ProtocolViolation(f"a frame that inflates to more than {self._limit} bytes")
        if self._stream.eof:
            raise ProtocolViolation("a frame after which nothing more can inflate")
        return frame
