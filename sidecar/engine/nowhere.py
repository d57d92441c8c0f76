"""Bytes of a losing version that no region has any more: they went with a volume before anybody else had them.

A region that is asked for bytes and has not got them says so, and passes on who has told it the same, each with its
peers. They are nowhere when every region that can be reached from peer to peer lacks them: in a star the hub may still
be waiting for those of another leaf.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from sidecar.core import version as versions
from sidecar.core.entry import Row
from sidecar.core.frames import MAX_REGIONS, Gone, Lack
from sidecar.core.paths import RelPath
from sidecar.engine.replica import Replica

log = structlog.get_logger(__name__)

FRESH: Final = 60.0
"""Seconds for which a region's word counts that it has not got them: it says so again every ten, from peer to peer."""
REMEMBERED: Final = 10_000
"""How many contents are remembered at a time, before those are forgotten that nobody speaks of."""


class Word(NamedTuple):
    """A region lacked the bytes at `at` (seconds of our clock); its peers then."""

    at: float
    peers: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Nowhere:
    """Hears from the peers what they have not got; what none has is listed no longer: it would be asked for for ever.

    Args:
        region: this node's own.
        peers: of this node.
        monotonic: seconds.
    """

    replica: Replica
    region: str
    peers: tuple[str, ...]
    monotonic: Callable[[], float] = time.monotonic
    _said: dict[tuple[RelPath, bytes], dict[str, Word]] = dataclasses.field(default_factory=dict)

    def gone(self, path: RelPath, digest: bytes) -> Gone:
        """What a peer is told that asked for bytes which are not here."""
        now = self.monotonic()
        words = {self.region: Word(now, self.peers)} | self._fresh(self._said.get((path, digest), {}), now)
        lacks = (Lack(region, max(0, round((now - word.at) * 1000)), word.peers) for region, word in words.items())
        return Gone(path, digest, tuple(lacks)[:MAX_REGIONS])

    def said(self, gone: Gone) -> bool:
        """A peer has not got bytes that this node lacks; True: nor has anybody, so the row is written without that
        head. For the caller's transaction."""
        path, digest = gone.path, gone.hash
        row = self.replica.row(path)
        if digest not in {head.hash for head in versions.losers(row.version)} or self._here(row, digest):
            self._said.pop((path, digest), None)
            return False
        now = self.monotonic()
        words = self._remembered((path, digest), now)
        for lack in gone.lacks:
            word = Word(now - lack.age_ms / 1000, lack.peers)
            if lack.region not in words or words[lack.region].at < word.at:
                words[lack.region] = word
        if not self._nobody(self._fresh(words, now)):
            return False
        del self._said[path, digest]
        log.warning("the bytes of a version that lost are nowhere any more", path=path)
        without = versions.without(row.version, digest)
        self.replica.commit(Row(path, without, row.stat, row.hash, row.seq, row.flags), local=False, content=False)
        return True

    def _nobody(self, words: dict[str, Word]) -> bool:
        """Do all lack them that can be reached from here, from peer to peer?"""
        reached, ahead = {self.region}, list(self.peers)
        while ahead:
            region = ahead.pop()
            if region in reached:
                continue
            if region not in words:
                return False
            reached.add(region)
            ahead += words[region].peers
        return True

    def _remembered(self, what: tuple[RelPath, bytes], now: float) -> dict[str, Word]:
        if what not in self._said and len(self._said) >= REMEMBERED:
            self._said = {each: words for each, words in self._said.items() if self._fresh(words, now)}
        return self._said.setdefault(what, {})

    def _fresh(self, words: dict[str, Word], now: float) -> dict[str, Word]:
        return {region: word for region, word in words.items() if now - word.at < FRESH and region != self.region}

    def _here(self, row: Row, digest: bytes) -> bool:
        return row.hash == digest or self.replica.disk.have(digest)
