"""Deploys at msk and a visitor at ams, both in the witness: what the visitor met."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support import releases
from tests.support.compose import DOCUMENTS, Site, said

SOURCE = Path(releases.__file__).read_text("utf-8")
WAYS = ("in-place", "moved", "absolute", "linked")
SERVED_AT = {"GEOROOT_SERVED_AT": DOCUMENTS}


def deployed(site: Site, how: str, count: int, pause: float, within: float) -> dict[str, Any]:
    """So many deploys in msk, one every `pause` seconds, while a visitor of ams follows `current`; what it said."""
    witness = site.project.witness
    links = f"mkdir -p {Path(DOCUMENTS).parent}; ln -sfn /volumes/ams/html {DOCUMENTS}"
    said(witness, "sh", "-euc", links, user="0")  # the visitor of ams sees the web root as its web server does

    def run(region: str, *arguments: str) -> str:
        argv = ("/usr/bin/python3", "-Bc", SOURCE, *arguments)
        return said(witness, *argv, workdir=f"/volumes/{region}/html/{site.name}")

    with ThreadPoolExecutor() as both:
        visitor = both.submit(run, "ams", "visit", str(count), str(within))
        both.submit(run, "msk", "deploy", how, str(count), str(pause), f"{DOCUMENTS}/{site.name}").result()
        met: dict[str, Any] = json.loads(visitor.result())
    return met
