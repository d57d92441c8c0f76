"""What one turn of one work gave. The side that works knows it too: nothing but the standard library is needed."""

import dataclasses
import json
from typing import Any, Self


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """How much work a work is."""

    singles: int = 100
    overwrites: int = 25
    files: int = 10_000
    mib: int = 256
    large: int = 2048
    """MiB of the very large file."""
    flood: int = 100_000
    """Files."""
    seconds: int = 20
    """Of the works that go on for a time: both sides writing, idling."""
    budget: float = 30.0
    """Seconds after which single changes end, however few there were: a slow tool need not do all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the witness saw."""

    seconds: float | None = None
    """From the change to both being the same; None: not within the limit, or not what this work measures."""
    samples: tuple[float, ...] = ()
    """Seconds from each change to its being visible."""
    across: tuple[float, ...] = ()
    """The same of changes on the side that the work itself does not write to."""
    never: int = 0
    """Changes that were not visible within the limit."""
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    timeline: tuple[tuple[float, int], ...] = ()
    """How many files were there how many seconds after the first write."""
    machine_cpu: float = 0.0
    """Seconds that all cores were not idle meanwhile, whoever used them."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, read: dict[str, Any]) -> Self:
        return cls(
            **read
            | {
                "samples": tuple(read["samples"]),
                "across": tuple(read.get("across", ())),
                "timeline": tuple((float(at), int(count)) for at, count in read["timeline"]),
            }
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """One turn of one work with one tool."""

    tool: str
    work: str
    turn: int
    outcome: Outcome | None
    """None: it did not end in time."""
    tool_cpu: float
    """CPU seconds of both nodes, until they were quiet again."""
    wire: int
    """Bytes that both nodes sent, packet headers and all, until they were quiet again."""
    elapsed: float
    """Seconds over which these two were counted."""
    memory: int | None = None
    """PSS of both nodes in bytes, afterwards or the most meanwhile; None: not looked at."""

    @property
    def seconds(self) -> float | None:
        """None: never."""
        return self.outcome.seconds if self.outcome else None

    @classmethod
    def from_dict(cls, read: dict[str, Any]) -> Self:
        return cls(**read | {"outcome": Outcome.from_dict(read["outcome"]) if read["outcome"] else None})
