"""Questions that one node asks another over a link that it opened: are our indexes the same, what do you show there, is
all that you hold undamaged?"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from sidecar.core.frames import Answered, Frame, Question
from sidecar.errors import ProtocolViolation, Retryable

A = TypeVar("A", bound=Answered)


class Asking:
    """The side that asks: one question at a time.

    Args:
        say: sends a frame.
    """

    def __init__(self, say: Callable[[Frame], None]) -> None:
        self._say = say
        self._turn = asyncio.Lock()
        self._number = 0
        self._answers: asyncio.Queue[Answered | None] = asyncio.Queue()
        self._ended = False

    def answered(self, frame: Answered) -> None:
        """The peer's answer; one to a question that nobody waits for any more is ignored."""
        if frame.number == self._number and self._turn.locked():
            self._answers.put_nowait(frame)

    def end(self) -> None:
        """The link was cut: nothing is answered any more."""
        self._ended = True
        self._answers.put_nowait(None)

    async def ask(self, question: Question, shape: type[A], ends: Callable[[A], bool] = lambda _: True) -> A:
        """The answer; where a question has several, `ends` hears each, and tells the last.

        Raises:
            Retryable: the link was cut. ProtocolViolation: it is no answer to that question.
        """
        async with self._turn:
            self._number += 1
            while not self._answers.empty():
                self._answers.get_nowait()
            if self._ended:
                raise Retryable("the link was cut")
            self._say(msgspec.structs.replace(question, number=self._number))
            while True:
                answer = await self._answers.get()
                if answer is None:
                    raise Retryable("the link was cut")
                if not isinstance(answer, shape):
                    raise ProtocolViolation(f"a {type(answer).__name__} where a {shape.__name__} was due")
                if ends(answer):
                    return answer
