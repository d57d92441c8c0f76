"""The login name. sshd and ssh look their own UID up in passwd, and a container may run under any UID."""

import glob
import os
import pwd
from typing import Final

from sidecar.errors import EnvironmentFault

LOGIN: Final = "georoot"
"""The user that peers log in as, whatever the UID."""
SHELL: Final = "/bin/sh"
_WRAPPERS: Final = ("/usr/lib/*/libnss_wrapper.so*", "/usr/lib/libnss_wrapper.so*", "/usr/lib64/libnss_wrapper.so*")


def environment(run_dir: str, uid: int | None = None) -> dict[str, str]:
    """The environment of every ssh, sshd and rsync: nothing of ours but what they need to know who they are.

    Where passwd has no such line as they need, one is written into `run_dir` and nss_wrapper shows it to them.

    Raises:
        EnvironmentFault: it has none and there is no nss_wrapper.
    """
    uid = os.getuid() if uid is None else uid
    plain = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": run_dir, "SHELL": SHELL, "LC_ALL": "C"}
    return plain if _known(uid) else plain | _wrapped(run_dir, uid)


def _known(uid: int) -> bool:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return False
    return entry.pw_name == LOGIN and entry.pw_shell == SHELL and os.path.isdir(entry.pw_dir)


def _wrapped(run_dir: str, uid: int) -> dict[str, str]:
    library = next((path for pattern in _WRAPPERS for path in sorted(glob.glob(pattern))), None)
    if library is None:
        hint = "run as UID 33 in the image, or install libnss-wrapper"
        raise EnvironmentFault(f"UID {uid}", f"is not {LOGIN}'s in /etc/passwd and there is no nss_wrapper", hint)
    gid = os.getgid()
    passwd, group = os.path.join(run_dir, "passwd"), os.path.join(run_dir, "group")
    _write(passwd, f"{LOGIN}:x:{uid}:{gid}:{LOGIN}:{run_dir}:{SHELL}\n")
    _write(group, f"{LOGIN}:x:{gid}:\n")
    return {"LD_PRELOAD": library, "NSS_WRAPPER_PASSWD": passwd, "NSS_WRAPPER_GROUP": group}


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
