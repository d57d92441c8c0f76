"""Has anyone a file open, or mapped, for writing? A read lease tells."""

import errno
import fcntl
import signal


def ignore_break_signal() -> None:
    """Ignore SIGIO, by which the kernel says that a lease stands in a writer's way and whose default kills.

    To be called from the main thread before the first lease.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def open_for_writing(fd: int) -> bool | None:
    """Is the file behind `fd` (opened read-only) open for writing anywhere? `None`: this system does not tell.

    It does not tell of another owner's file (EACCES) and on file systems without leases. Between the two calls a
    local open(2) for writing waits, or fails with EWOULDBLOCK if it asked for O_NONBLOCK: a few µs, at worst 45 s
    (/proc/sys/fs/lease-break-time) if this process is stopped just there.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
