"""What the system answers about a path, by name: a quota is as a full disk is, and neither is the path's own fault."""

import errno

import pytest

from sidecar.fs import faults


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, faults.NoSpace),
        (errno.EDQUOT, faults.NoSpace),
        (errno.EROFS, faults.ReadOnly),
        (errno.EACCES, faults.Denied),
    ],
)
def test_what_cannot_be_written_is_told_apart(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^page: .*; "), faults.about(b"page"):
        raise OSError(number, "refused")
