"""The control channel of a simulated link: frames in bytes, of which some overtake others and some come twice."""

from random import Random

from sidecar.core.frames import Batch, Frame, Renamed, Settle, decode, encode


class Channel:
    """Frames on their way, in bytes."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []

    def __len__(self) -> int:
        return len(self._frames)

    def say(self, frame: Frame) -> None:
        self._frames.append(encode(frame))

    def next(self, chance: Random | None) -> Frame:
        """The next frame; by chance a batch or an answer overtakes its like, or comes twice."""
        frames = [decode(raw) for raw in self._frames[:4]] if chance is not None else [decode(self._frames[0])]
        at = 0
        if chance is not None and isinstance(frames[0], Batch | Settle) and chance.random() < 0.3:
            at = chance.choice([i for i, frame in enumerate(frames) if isinstance(frame, type(frames[0]))])
        twice = chance is not None and isinstance(frames[at], Renamed | Batch | Settle) and chance.random() < 0.1
        if not twice:
            del self._frames[at]
        return frames[at]
