"""What a batch is about to rename into the root: written before the first rename, read after a crash."""

from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.core.intent import Intent
from sidecar.core.move import Move
from sidecar.core.paths import RelPath
from sidecar.index.database import Table
from sidecar.index.faults import IndexDamaged

_encode: Final = msgspec.msgpack.Encoder().encode
_intent: Final = msgspec.msgpack.Decoder(Intent).decode
_number: Final = msgspec.msgpack.Decoder(int).decode
_move: Final = msgspec.msgpack.Decoder(Move).decode


class PendingTable(Table):
    """The part of the index that knows what is being applied. A path has one intent, the last.

    Under the empty path, which is nobody's, lies the number of the last landing.
    """

    def intend(self, intents: Iterable[Intent]) -> None:
        """These are about to be applied: committed when this returns, or with the transaction around it."""
        rows = [(intent.path, _encode(intent)) for intent in intents]
        with self._db.transaction():
            self._db.run_many("INSERT OR REPLACE INTO pending (path, intent) VALUES (?, ?)", rows)

    def clear_intents(self, paths: Iterable[RelPath] | None = None) -> None:
        """These (None: all) were applied, or will not be: call it in the transaction that writes their rows."""
        if paths is None:
            self._db.run("DELETE FROM pending WHERE path <> x''")
            return
        with self._db.transaction():
            self._db.run_many("DELETE FROM pending WHERE path = ?", [(path,) for path in paths])

    def intents(self) -> list[Intent]:
        """What was being applied when the run before this one ended, by path.

        Raises:
            IndexDamaged: one does not decode.
        """
        try:
            return [
                _intent(raw) for (raw,) in self._db.all("SELECT intent FROM pending WHERE path <> x'' ORDER BY path")
            ]
        except msgspec.MsgspecError as error:
            raise IndexDamaged(f"an intent does not decode: {error}") from error

    def set_landing(self, number: int) -> None:
        """What is intended now is the landing of this number: call it in the transaction that says so."""
        self._db.run("INSERT OR REPLACE INTO pending (path, intent) VALUES (x'', ?)", (_encode(number),))

    def landing(self) -> int:
        """The number that was set last, 0 at first.

        Raises:
            IndexDamaged: there is none, or it does not decode.
        """
        found = self._db.one("SELECT intent FROM pending WHERE path = x''")
        try:
            return _number(found[0] if found is not None else b"")
        except msgspec.MsgspecError as error:
            raise IndexDamaged(f"the number of the last landing does not decode: {error}") from error

    def keep_move(self, move: Move) -> None:
        """This directory is being renamed, as it is known now: committed as `intend`."""
        self._db.run("INSERT OR REPLACE INTO moves (old, move) VALUES (?, ?)", (move.old, _encode(move)))

    def drop_move(self, move: Move) -> None:
        """Its rows are written: call it in the transaction that writes the last of them. Or it was not renamed."""
        self._db.run("DELETE FROM moves WHERE old = ?", (move.old,))

    def moves(self) -> list[Move]:
        """What was being renamed when the run before this one ended.

        Raises:
            IndexDamaged: one does not decode.
        """
        try:
            return [_move(raw) for (raw,) in self._db.all("SELECT move FROM moves ORDER BY old")]
        except msgspec.MsgspecError as error:
            raise IndexDamaged(f"a rename does not decode: {error}") from error
