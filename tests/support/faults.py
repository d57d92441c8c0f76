"""What breaks between two regions, or in them, for as long as a block lasts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.support.compose import Site


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """Both sidecars."""
    for region in site.project.regions:
        region.sidecar.kill("KILL")
    yield
    for region in site.project.regions:
        region.sidecar.start()


@contextmanager
def stopped(site: Site) -> Iterator[None]:
    """One region, web server and all; the other one's site stays up."""
    site.ams.region.stop()
    assert 0 == site.ams.region.exit_code()
    yield
    assert 200 == site.msk.fetch("kept").status
    site.ams.region.start()


@contextmanager
def restarting(site: Site) -> Iterator[None]:
    """All of it."""
    restart = threading.Thread(target=site.project.restart)
    restart.start()
    yield
    restart.join()


@contextmanager
def cut(site: Site) -> Iterator[None]:
    """The network between the regions."""
    site.project.cut(site.ams.region)
    yield
    assert [200, 200] == [corner.fetch("kept").status for corner in site.both]
    site.project.mend(site.ams.region)


@contextmanager
def paused(site: Site) -> Iterator[None]:
    """One sidecar: it accepts and never answers."""
    site.ams.region.sidecar.pause()
    yield
    site.ams.region.sidecar.unpause()


Fault = Callable[[Site], AbstractContextManager[None]]
