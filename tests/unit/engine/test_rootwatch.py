"""Is the web root still the one that was opened: where that is looked at."""

import asyncio
import threading
from typing import Any

import pytest

from sidecar.engine.patience import Patience
from sidecar.engine.rootwatch import RootWatch
from sidecar.errors import EnvironmentFault


class Root:
    """Goes at the third look."""

    def __init__(self) -> None:
        self.looked: list[threading.Thread] = []

    def is_replaced(self) -> bool:
        self.looked.append(threading.current_thread())
        return len(self.looked) > 2

    def lost(self) -> EnvironmentFault:
        return EnvironmentFault("web root", "is another one", "mount it")


@pytest.mark.parametrize("network", [False, True])
async def test_only_what_another_machine_has_is_looked_at_by_a_thread(
    network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.engine.rootwatch.LOOK", 0.001)
    root: Any = Root()
    with pytest.raises(EnvironmentFault, match="is another one"):
        async with asyncio.timeout(30):
            await RootWatch(root, Patience("the look"), network=network).run()
    assert [network] * 3 == [one is not threading.main_thread() for one in root.looked]
