"""What happens while a sidecar cannot look, in more events than the kernel keeps."""

from tests.support.asking import wait_for
from tests.support.compose import Site
from tests.support.faults import paused

MANY = 7000
"""Files whose events, three of each, are more than fs.inotify.max_queued_events."""


def test_events_that_the_kernel_dropped_are_found(site: Site) -> None:
    region = site.ams.region
    before = region.asked.metric("georoot_inotify_overflows_total")
    site.ams.sh("mkdir there; echo old >there/page; echo old >there/gone")
    site.wait_identical()
    with paused(site):
        site.ams.python(f"for n in range({MANY}): open(f'{{n}}', 'w').write(f'{{n}}')")
        site.ams.sh("echo edited >there/page; rm there/gone; mv there moved")
    wait_for(lambda: region.asked.metric("georoot_inotify_overflows_total") > before, "the overflow is counted")
    tree = site.wait_identical(within=120)
    assert MANY + 2 == len(tree)
    assert "edited\n" == site.msk.read("moved/page")
