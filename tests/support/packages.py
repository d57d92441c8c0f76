"""Real content: documentation of Debian's packages, downloaded once a session and unpacked into a web root."""

import os
from collections.abc import Sequence

from tests.support.compose import LABEL, WEB_UID, Corner, Project, said

BASE = os.environ.get("BASE", "debian:trixie-slim")
MANUALS = ("apache2-doc", "python3-doc")
OTHERS = ("debian-policy", "git-doc")
_DOWNLOAD = """
    apt-get -qq update
    for name in {names}; do
        mkdir "/debs/$name"
        cd "/debs/$name"
        theirs=$(apt-cache depends "$name" | awk '$1 == "Depends:" && /-doc$/ {{print $2}}')
        apt-get -qq -o APT::Sandbox::User=root download "$name" $theirs
    done
"""
"""Each with the documentation that it depends on: python3-doc is empty but for that."""


class Packages:
    """A container of the base image that has the packages, and both web roots."""

    def __init__(self, project: Project) -> None:
        debs = f"{project.name}_debs"
        project.client.volumes.create(debs, labels={LABEL: project.name})
        self._container = project.beside(BASE, {debs: "/debs"}, user="0", network_mode="bridge")
        names = " ".join((*MANUALS, *OTHERS))
        said(self._container, "sh", "-euc", _DOWNLOAD.format(names=names))

    def unpack(self, names: Sequence[str], corner: Corner, into: str) -> None:
        """All that they install, as files of the web server's user."""
        debs = " ".join(f"/debs/{name}/*.deb" for name in names)
        script = f"mkdir {into}; for deb in {debs}; do dpkg-deb --extract $deb {into}; done"
        where = f"/volumes/{corner.region.name}/html/{corner.name}"
        said(self._container, "sh", "-euc", script, user=WEB_UID, workdir=where)
