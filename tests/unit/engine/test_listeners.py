"""Whoever listens hears of each row, and on whose behalf it changed."""

from collections.abc import Callable

from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.engine.listeners import Listeners
from sidecar.engine.replica import Changed


def test_all_who_listen_hear_who_sent_a_row() -> None:
    listeners, heard = Listeners(), list[tuple[str, str, str]]()

    def hears(name: str) -> Callable[[Changed, str], None]:
        return lambda changed, source: heard.append((name, changed.row.path.decode(), source))

    listeners.on_changed(hears("first"))
    listeners.on_changed(hears("second"))
    listeners.changed(Changed(Row(RelPath(b"here")), local=True))
    listeners.source = "ams"
    listeners.changed(Changed(Row(RelPath(b"there")), local=False))
    expected = [("first", "here", ""), ("second", "here", ""), ("first", "there", "ams"), ("second", "there", "ams")]
    assert expected == heard
