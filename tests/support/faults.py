"""What breaks between two regions, or in them, for as long as a block lasts; it is mended in any case."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.support.compose import Site

Fault = Callable[[Site], AbstractContextManager[None]]


@contextmanager
def killed(site: Site) -> Iterator[None]:
    """Both sidecars."""
    for region in site.project.regions:
        region.sidecar.kill("KILL")
    try:
        yield
    finally:
        for region in site.project.regions:
            region.sidecar.start()


@contextmanager
def stopped(site: Site) -> Iterator[None]:
    """One region, web server and all; the other one's site stays up."""
    site.ams.region.stop()
    try:
        assert 0 == site.ams.region.exit_code()
        yield
        assert 200 == site.msk.region.fetch("/").status
    finally:
        site.ams.region.start()


@contextmanager
def restarting(site: Site) -> Iterator[None]:
    """All of it."""
    restart = threading.Thread(target=site.project.restart)
    restart.start()
    try:
        yield
    finally:
        restart.join()


@contextmanager
def cut(site: Site) -> Iterator[None]:
    """The network between the regions; both sites stay up."""
    site.project.cut(site.ams.region)
    try:
        yield
        assert [200, 200] == [region.fetch("/").status for region in site.project.regions]
    finally:
        site.project.mend(site.ams.region)


@contextmanager
def paused(site: Site) -> Iterator[None]:
    """One sidecar: it accepts and never answers."""
    site.ams.region.sidecar.pause()
    try:
        yield
    finally:
        site.ams.region.sidecar.unpause()
