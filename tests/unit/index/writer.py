"""A process to be killed: transaction after transaction of `ROWS` rows, an intent and a cursor.

Usage: python -m tests.unit.index.writer INDEX STOP_AT. It says the number of each transaction when it is committed, and
"inside" in the middle of number STOP_AT, where it waits for ever.
"""

import itertools
import signal
import sys
from pathlib import Path

from sidecar.core.intent import Intent
from sidecar.core.paths import RelPath
from sidecar.index.store import Index
from tests.unit.index.conformance import row, version

ROWS = 200


def main(path: Path, stop_at: int) -> None:
    index = Index.open(path, lambda: 7)
    index._db.run("PRAGMA cache_size = 8")  # so that pages go to the log before the commit
    index.meet("ams", "ams", epoch=1, run=1, seq=0, now_us=0)
    for number in itertools.count(1):
        with index.transaction():
            for each in range(ROWS):
                index.put(row(b"d%d/%d" % (each % 7, each), number, ino=number * ROWS + each))
                if each == ROWS // 2 and number == stop_at:
                    say("inside")
                    signal.pause()
            index.intend([Intent(RelPath(b"x"), version(number))])
            index.set_cursor("ams", "ams", 1, number)
        say(str(number))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
