"""An SSH connection between the two nodes as georoot's is: the same OpenSSH, the same cipher, on the same port."""

from bench.desk import Desk
from bench.tools.base import HOME, REGIONS, other

PORT = 2222
SSH = f"ssh -F {HOME}/ssh/config"
STARTED = f"/usr/sbin/sshd -f {HOME}/ssh/sshd_config && until {SSH} peer true; do sleep 0.1; done"
"""Shell: sshd runs here, and there too."""


def sshd_config() -> str:
    """Of both."""
    return f"""\
Port {PORT}
HostKey {HOME}/ssh/key
AuthorizedKeysFile {HOME}/ssh/key.pub
UsePAM no
PidFile none
StrictModes no
Ciphers aes128-gcm@openssh.com
"""


def ssh_config(region: str, *, kept: bool) -> str:
    """A region's way to its peer; `kept`: one connection stays open, and carries all."""
    lines = [
        "Host peer",
        f"HostName {other(region)}",
        f"Port {PORT}",
        f"IdentityFile {HOME}/ssh/key",
        "StrictHostKeyChecking no",
        "UserKnownHostsFile /dev/null",
        "LogLevel ERROR",
        "Ciphers aes128-gcm@openssh.com",
        "Compression no",
    ]
    if kept:
        lines += ["ControlMaster auto", f"ControlPath {HOME}/ssh/master", "ControlPersist yes"]
    return "\n  ".join(lines) + "\n"


def prepare(desk: Desk, *, kept: bool = False) -> None:
    """One pair of keys for all: host and user of both sides."""
    desk.run("rm", "-rf", *(f"/homes/{region}/ssh" for region in REGIONS))
    desk.run("mkdir", "-m", "700", *(f"/homes/{region}/ssh" for region in REGIONS))
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/homes/msk/ssh/key")
    desk.run("cp", "-p", "/homes/msk/ssh/key", "/homes/msk/ssh/key.pub", "/homes/ams/ssh")
    for region in REGIONS:
        desk.write(f"/homes/{region}/ssh/sshd_config", sshd_config())
        desk.write(f"/homes/{region}/ssh/config", ssh_config(region, kept=kept))
