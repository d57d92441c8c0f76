"""From whatever schema lies there to ours: numbered files, each a step, `PRAGMA user_version` the last one taken."""

import re
import sqlite3
from importlib import resources
from pathlib import Path
from typing import Final

import structlog

from sidecar.errors import EnvironmentFault
from sidecar.index import files
from sidecar.index.faults import FOREIGN, IndexDamaged, translated

log = structlog.get_logger(__name__)

APPLICATION_ID: Final = 0x67656F72
"""Written into the file, so that another program's database is not taken for an index."""
_FILE: Final = re.compile(r"(\d{3})_\w+\.sql")


def steps() -> dict[int, str]:
    """The SQL of each version, in order; the last one is ours."""
    folder = resources.files("sidecar.index") / "schema"
    found = ((_FILE.fullmatch(file.name), file) for file in folder.iterdir())
    return {
        int(m[1]): file.read_text("utf-8") for m, file in sorted(((m, f) for m, f in found if m), key=lambda p: p[0][1])
    }


def bring_up(connection: sqlite3.Connection, path: Path, wanted: dict[int, str]) -> None:
    """Take every step that the index at `path` lacks, all in one transaction.

    An index with rows of an older schema is first copied to `<path>.v<its version>`.

    Raises:
        EnvironmentFault: it was written by a newer release. IndexDamaged: it is no index.
    """
    try:
        _bring_up(connection, path, wanted)
    except FOREIGN as error:
        raise translated(error) from error


def _bring_up(connection: sqlite3.Connection, path: Path, wanted: dict[int, str]) -> None:
    have, ours = _pragma(connection, "user_version"), max(wanted)
    empty = have == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    if not empty and _pragma(connection, "application_id") != APPLICATION_ID:
        raise IndexDamaged("it is the database of another program")
    if have > ours:
        raise EnvironmentFault(
            "state",
            f"its index has schema {have}, this release knows {ours}",
            f"run the newer release, or move {path.name}.v{ours} back in its place",
        )
    if have == ours:
        return
    if not empty:
        log.info("the index is brought to the new schema", before=have, after=ours)
        files.keep_copy(connection, path, have)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version, sql in wanted.items():
            if version > have:
                for statement in _statements(sql):
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {ours}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    # executescript() would commit before it begins
    found, at = [], ""
    for line in sql.splitlines(keepends=True):
        at += line
        if sqlite3.complete_statement(at):
            found.append(at)
            at = ""
    return found


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
