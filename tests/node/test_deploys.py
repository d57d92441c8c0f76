"""Deploys faster than a turn of the absorber: a visitor of the other region follows `current`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node.sidecars import regions
from tests.support import releases

COUNT = 12
LOGGED = 100_000
"""Characters of each log that are shown beside what a visitor met: all of these deploys."""


@pytest.mark.parametrize("how", ["in-place", "moved", "linked"])
def test_a_visitor_of_deploys_meets_whole_releases_only(tmp_path: Path, how: str) -> None:
    def started(where: Path, *arguments: str) -> subprocess.Popen[str]:
        argv = (sys.executable, "-B", releases.__file__, *arguments)
        return subprocess.Popen(argv, cwd=where, stdout=subprocess.PIPE, text=True)

    with regions(tmp_path, "msk", "ams") as pair:
        msk, ams = pair.all
        pair.start()
        with started(ams.html, "visit", str(COUNT), "200") as visitor:
            with started(msk.html, "deploy", how, str(COUNT), "0.05", "") as author:
                assert 0 == author.wait()
            met = json.loads(visitor.communicate()[0])
        assert [] == met["wrong"], "\n".join((json.dumps(met, indent=1), *pair.how_it_is(LOGGED)))
        pair.wait_identical(120)
