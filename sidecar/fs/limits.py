"""What the kernel allows of inotify: how many watches, and how many events wait to be read."""

from typing import Final, NamedTuple

_PROC: Final = "/proc/sys/"
_WATCHES: Final = ("fs.inotify.max_user_watches", "user.max_inotify_watches")
"""the user's on the machine, and in a user namespace: the smaller one holds"""
_QUEUE: Final = "fs.inotify.max_queued_events"
_INSTANCES: Final = "fs.inotify.max_user_instances"


class Limit(NamedTuple):
    """A limit of the kernel's: the sysctl that sets it, and its value; -1 where /proc does not say."""

    sysctl: str
    value: int

    @property
    def raised(self) -> str:
        """How to raise it, for people."""
        return f"raise {self.sysctl} above {self.value}" if self.value >= 0 else f"raise {self.sysctl}"


def watches() -> Limit:
    """How many directories all processes of this user may watch together. It may be raised while they run."""
    return min(map(_read, _WATCHES), key=lambda limit: limit.value if limit.value >= 0 else float("inf"))


def queue() -> Limit:
    """How many events may wait; an inotify instance takes the limit of the moment in which it was made."""
    return _read(_QUEUE)


def instances() -> Limit:
    """How many inotify instances this user may have."""
    return _read(_INSTANCES)


def _read(sysctl: str) -> Limit:
    try:
        with open(_PROC + sysctl.replace(".", "/"), encoding="ascii") as file:
            return Limit(sysctl, int(file.read()))
    except (OSError, ValueError):
        return Limit(sysctl, -1)
