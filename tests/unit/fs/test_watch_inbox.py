"""The batches in the inbox: watched while they are there."""

import os
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
from inotify_simple import Event

from sidecar.fs.events import OVERFLOW
from sidecar.fs.watch import Watcher
from tests.unit.fs.conftest import Site


@pytest.mark.parametrize("heard", [0.0, 0.5])
def test_a_batch_that_left_while_events_were_lost_is_not_taken_to_be_there(site: Site, heard: float) -> None:
    """It counted as watched directories for ever, and was looked for at every read."""
    watcher = Watcher(site.root, lambda path, is_dir: False)
    try:
        watcher.watch_inbox()
        site.deliver("ams/ams.0/page")
        watcher.read()
        before = len(watcher)
        for number in range(20):
            site.deliver(f"ams/ams.1/dir/{number}/page")
        watcher.read()
        assert before + 22 == len(watcher)
        shutil.rmtree(os.path.join(site.state, "inbox", "ams", "ams.1"))
        inotify = watcher._inotify
        told = inotify.read(timeout=0)
        left: list[Any] = [*told[: int(len(told) * heard)], Event(-1, OVERFLOW, 0, "")]
        lossy: Any = SimpleNamespace(read=lambda timeout: left, add_watch=inotify.add_watch, rm_watch=inotify.rm_watch)
        watcher._inotify = lossy
        assert watcher.read().overflow
        watcher._inotify = inotify
        watcher.read()
        assert (before, set()) == (len(watcher), watcher._inbox.strays)
    finally:
        watcher.close()
