"""A sender in miniature: it writes rows, fills an outbox with them and names what goes."""

from collections.abc import Container

from sidecar.core import offering, order
from sidecar.core.entry import Head, Row
from sidecar.core.frames import Answer, Lane, Outcome
from sidecar.core.item import Item, Plan
from sidecar.core.links import Resolver
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from tests.unit.core import facts

LARGE = 100
"""Bytes from which a file is large."""


class Sender:
    """Names are texts; rows get the seqs 1, 2, 3 … in the order in which they are written."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.box = Outbox(0, LARGE)
        self.rows: dict[RelPath, Row] = {}
        self.resolver = Resolver(self._link_at)
        if loaded:
            self.box.offers_loaded(0)

    def _link_at(self, path: RelPath) -> bytes | None:
        row = self.rows.get(path)
        return row.version.heads[0].target or None if row is not None else None

    def _row(self, name: str, head: Head) -> Row:
        row = facts.row(name, facts.version(head), max((row.seq for row in self.rows.values()), default=0) + 1)
        self.rows[row.path] = row
        return row

    # -- what happens here

    def file(self, name: str, size: int = 1, *, came_from: str = "", content: bool = True) -> None:
        old = facts.path(came_from) if came_from else None
        self.box.change(self._row(name, facts.file(1, size=size)), old, content)

    def dir(self, name: str) -> None:
        self.box.change(self._row(name, facts.directory(1)))

    def link(self, name: str, target: str) -> None:
        self.box.change(self._row(name, facts.symlink(1, target=target)))

    def delete(self, *names: str) -> None:
        for name in names:
            self.box.change(self._row(name, facts.deleted(1)))

    def offer(self, name: str, head: Head) -> None:
        self.box.offer(self._row(name, head))

    # -- what goes

    def plan(
        self, limit: int = 100, limit_bytes: int = 10_000, now: float = 0.0, largest: int | None = None
    ) -> Plan | None:
        return order.next_small(self.box, self.resolver, now, limit, limit_bytes, largest)

    def small(
        self, limit: int = 100, limit_bytes: int = 10_000, now: float = 0.0, largest: int | None = None
    ) -> list[str]:
        """The names in the next small batch; none if nothing may go."""
        return names(self.plan(limit, limit_bytes, now, largest))

    def with_content(self) -> list[str]:
        """What of the latest small batch brings its content."""
        flown = self.box.flight(Lane.SMALL, self.box.next_number(Lane.SMALL) - 1)
        return [item.path.decode() for item in flown if item.stage]

    def leaning(self) -> list[tuple[str, int]]:
        """The names in the next small batch, each with the number that it leans on."""
        return leaning(self.plan())

    def alone(self, now: float = 0.0, busy: Container[Lane] = ()) -> tuple[str, Lane] | None:
        """The next file that travels alone, and its lane."""
        plan = self.plan_alone(now, busy)
        return (names(plan)[0], plan.lane) if plan is not None else None

    def plan_alone(self, now: float = 0.0, busy: Container[Lane] = ()) -> Plan | None:
        return order.next_alone(self.box, now, busy)

    def offers(self, limit: int = 100) -> list[str]:
        """The names in the next batch of offers."""
        return names(offering.next_offer(self.box, self.resolver, limit))

    def offers_leaning(self, limit: int = 100) -> list[tuple[str, int]]:
        """The same, each with the number that it leans on."""
        return leaning(offering.next_offer(self.box, self.resolver, limit))

    # -- what is answered

    def settled(self, lane: Lane = Lane.SMALL, number: int = 0, rest: Outcome = Outcome.APPLIED) -> None:
        """The peer answers a batch, the latest of its lane unless `number` is given: all the same."""
        self.box.answered(lane, number or self.box.next_number(lane) - 1, rest, (), 0.0)

    def told(self, *answers: Answer, lane: Lane = Lane.SMALL, now: float = 0.0) -> list[Item]:
        """It answers the latest batch of a lane: these, and that the rest was applied."""
        return self.box.answered(lane, self.box.next_number(lane) - 1, Outcome.APPLIED, answers, now)


def names(plan: Plan | None) -> list[str]:
    return [planned.item.path.decode() for planned in plan.planned] if plan is not None else []


def leaning(plan: Plan | None) -> list[tuple[str, int]]:
    return [(planned.item.path.decode(), planned.leans) for planned in plan.planned] if plan is not None else []
