"""What ssh and rsync print does not matter, however much it is: nothing waits for it, and it is not kept."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.compose import Project, Site, said, two_regions
from tests.support.memory import megabytes, watched

PRINTED = 10_000_000
PROGRAMS = ("ssh", "rsync")
HEADROOM = 40.0
"""Megabytes beside what a sidecar has at first: four times what one of a dozen programs prints."""
_NOISY = f"""#!/bin/sh
yes 'a line that nobody needs' | head -c {PRINTED} >&2
echo x >>/tmp/called
exec /usr/bin/%s "$@"
"""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two regions whose programs print 10 MB each on stderr before they do their work, on both ends of a link."""
    where = tmp_path_factory.mktemp("noisy")
    where.chmod(0o755)
    for program in PROGRAMS:
        (where / program).write_text(_NOISY % program, "utf-8")
        (where / program).chmod(0o755)
    mounts = "".join(f"\n      - {where}/{program}:/usr/local/bin/{program}:ro" for program in PROGRAMS)
    service = "  {}-sidecar:\n    volumes:" + mounts + "\n"
    otherwise = where / "noisy.yaml"
    otherwise.write_text("services:\n" + service.format("msk") + service.format("ams"), "utf-8")
    with two_regions(otherwise=Path(otherwise)) as made:
        yield made


def test_ten_megabytes_on_stderr_hold_up_nothing_and_are_not_kept(
    noisy: Project, record_property: Callable[[str, object], None]
) -> None:
    site = Site(noisy, "noise")
    site.make()
    before = {region.name: megabytes(region) for region in noisy.regions}
    with watched(noisy) as most:
        for corner in site.both:
            corner.python(f"for n in range(100): open(f'{corner.region.name}-{{n}}', 'w').write(f'{{n}}' * 1000)")
        site.msk.sh("head -c 20000000 /dev/urandom >large")
        assert 201 == len(site.wait_identical(120.0))
    for region in noisy.regions:
        called = said(region.sidecar, "sh", "-c", "wc -l </tmp/called")
        record_property(f"noise in {region.name}", f"10 MB {called.strip()} times; {most[region.name]:.0f} MB at most")
        assert int(called) >= 8
        assert most[region.name] < before[region.name] + HEADROOM
        assert "nobody needs" not in str(region.asked.status())
