"""What is about to be renamed into the root: committed first, so that a crash after the rename is no local change."""

import msgspec

from sidecar.core.entry import Version
from sidecar.core.paths import ROOT, RelPath


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """`path` is to get `version`; of a staged file the inode and the name in the inbox (batch directory and name), of a
    rename the path that it comes from."""

    path: RelPath
    version: Version
    ino: int = 0
    staged: bytes = b""
    came_from: RelPath = ROOT
