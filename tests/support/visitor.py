"""A visitor who reads one page of a site in a loop, and the author who rewrites it."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

SIZE = 50_000
"""Bytes of a version of the page: the same letter again and again."""
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def version(number: int) -> bytes:
    """The page as its author wrote it."""
    return _LETTERS[number % len(_LETTERS)].to_bytes(1, "big") * SIZE


def author(page: str, versions: int, pause: float) -> str:
    """The source of a program that rewrites `page` in place, as an editor without a temporary file does."""
    return f"""
import time
for number in range({versions}):
    with open({page!r}, "wb") as file:
        file.write({_LETTERS!r}[number % {len(_LETTERS)}].to_bytes(1, "big") * {SIZE})
    time.sleep({pause})
"""


def slow_author(page: str, number: int, seconds: float) -> str:
    """The source of a program that writes one version in place, piece by piece, in so many seconds."""
    return f"""
import time
with open({page!r}, "wb", buffering=0) as file:
    for _ in range(50):
        file.write({version(number)[: SIZE // 50]!r})
        time.sleep({seconds / 50})
"""


def restoring_author(page: str, versions: int, pause: float) -> str:
    """The source of a program that rewrites `page` in place again and again, and restores its mtime each time."""
    return f"""
import os, time
before = os.stat({page!r})
for number in range({versions}):
    with open({page!r}, "r+b", buffering=0) as file:
        for _ in range(50):
            file.write({_LETTERS!r}[number % {len(_LETTERS)}].to_bytes(1, "big") * {SIZE // 50})
    os.utime({page!r}, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep({pause})
"""


@dataclass
class Visit:
    """What a visitor saw."""

    answers: int = 0
    letters: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def saw(self, status: int, body: bytes) -> None:
        """One answer: is it one whole version?"""
        self.answers += 1
        if status == http.HTTPStatus.OK and len(body) == SIZE == body.count(body[:1]):
            self.letters.add(body[0])
        else:
            self.wrong.append(f"answer {self.answers}: {status}, {len(body)} bytes: {body[:20]!r}…{body[-20:]!r}")


@contextlib.contextmanager
def visiting(port: int, path: str) -> Iterator[Visit]:
    """A visitor who reads `path` again and again, over one connection, until the block ends."""
    visit, done = Visit(), threading.Event()

    def read() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            while not done.is_set():
                try:
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    visit.saw(answer.status, answer.read())
                except (OSError, http.client.HTTPException) as error:
                    connection.close()
                    visit.wrong.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield visit
    finally:
        done.set()
        reader.join()
