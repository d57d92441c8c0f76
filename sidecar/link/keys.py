"""The keys of a region: made, exchanged between regions, and laid out the way OpenSSH accepts them.

In a keys directory: `client_key` (this region's identity), `host_key` (its sshd's), their `.pub` halves, and of each
peer `peers/<region>/client.pub` and `host.pub`.
"""

import dataclasses
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from typing import Final

from sidecar.errors import EnvironmentFault
from sidecar.link import identity

GATE: Final = "/usr/libexec/sidecar/gate"
CLIENT: Final = "client_key"
HOST: Final = "host_key"
_REGION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PUBLIC: Final = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,3})(?: .*)?")
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@:-]*")
_KEYGEN_TIME: Final = 30.0
_MAKE: Final = "`sidecar keygen` makes keys; GEOROOT_KEYS_DIR names their directory"


@dataclasses.dataclass(frozen=True, slots=True)
class InstalledKeys:
    """Where the copies lie that OpenSSH reads (paths)."""

    client_key: str
    host_key: str
    authorized_keys: str
    known_hosts: str


def is_region(name: str) -> bool:
    """May a region be called so? The name is part of paths, of ssh's configuration and of a command line."""
    return _REGION.fullmatch(name) is not None


def make_region_keys(directory: str) -> None:
    """Make the client's and the host's key where they are missing; keys that are there stay.

    Raises:
        EnvironmentFault: the directory cannot be written, or there is no ssh-keygen.
    """
    try:
        os.makedirs(os.path.join(directory, "peers"), mode=0o755, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(directory, f"cannot be made: {error.strerror}", "make it writable") from error
    for name in (CLIENT, HOST):
        if not os.path.exists(os.path.join(directory, name)):
            _keygen(os.path.join(directory, name))
        elif not os.path.exists(os.path.join(directory, f"{name}.pub")):
            _publish(os.path.join(directory, name))


def exchange(directories: Mapping[str, str]) -> None:
    """Put the public halves of each region's keys into the keys directories of all others.

    Args:
        directories: the keys directory of each region.

    Raises:
        EnvironmentFault: a public half is missing, or a directory cannot be written.
    """
    for region, source in directories.items():
        halves = {"client.pub": _public(source, f"{CLIENT}.pub"), "host.pub": _public(source, f"{HOST}.pub")}
        for other, directory in directories.items():
            if other != region:
                _give(os.path.join(directory, "peers", region), halves)


def install(keys_dir: str, run_dir: str, peers: Iterable[str], gate: str = GATE) -> InstalledKeys:
    """Copy the private keys to `run_dir`/keys as 0600 files and write authorized_keys and known_hosts beside them.

    Copies, because secrets and config maps arrive with owners and modes that ssh refuses.

    Raises:
        EnvironmentFault: a key is missing, unreadable or no key.
    """
    for path in (run_dir, gate):
        if not _PLAIN_PATH.fullmatch(path):
            raise EnvironmentFault(path, "has characters that sshd's files cannot carry", "use a plain absolute path")
    private = os.path.join(run_dir, "keys")
    try:
        os.makedirs(private, mode=0o700, exist_ok=True)
        os.chmod(private, 0o700)
    except OSError as error:
        raise EnvironmentFault(
            private, f"cannot be made: {error.strerror}", "let it be a tmpfs of this user"
        ) from error
    for name in (CLIENT, HOST):
        _write(os.path.join(private, name), _read(keys_dir, name), 0o600)
        _check_private(os.path.join(private, name), os.path.join(keys_dir, name))
    allowed, known = [], []
    for region in sorted(peers):
        if not is_region(region):
            raise EnvironmentFault(f"region {region!r}", "is no region's name", "letters, digits, `.`, `_` and `-`")
        where = os.path.join("peers", region)
        allowed += [f'restrict,command="{gate} {region}" {key}' for key in _public(keys_dir, where, "client.pub")]
        known += [f"{region} {key}" for key in _public(keys_dir, where, "host.pub")]
    made = InstalledKeys(*(os.path.join(private, name) for name in (CLIENT, HOST, "authorized_keys", "known_hosts")))
    _write(made.authorized_keys, "".join(f"{line}\n" for line in allowed).encode(), 0o600)
    _write(made.known_hosts, "".join(f"{line}\n" for line in known).encode(), 0o600)
    return made


def _check_private(copy: str, path: str) -> None:
    """Else ssh would say so later, once for every connection, and sshd that it has no keys."""
    try:
        _run("ssh-keygen", "-y", "-P", "", "-f", copy)
    except EnvironmentFault as error:
        if error.what != copy:
            raise
        raise EnvironmentFault(path, "is no private key that opens without a passphrase", _MAKE) from error


def _public(keys_dir: str, *where: str) -> list[str]:
    """The keys in a public file: kind and bytes alone. Options in it would otherwise become options of ours."""
    name = os.path.join(*where)
    lines = _read(keys_dir, name).decode("ascii", "replace").splitlines()
    found = [_PUBLIC.fullmatch(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    keys = [f"{match[1]} {match[2]}" for match in found if match is not None]
    if not keys or len(keys) != len(found):
        raise EnvironmentFault(
            os.path.join(keys_dir, name), "is no public key", f"it is one line of ssh-keygen; {_MAKE}"
        )
    return keys


def _read(keys_dir: str, name: str) -> bytes:
    path = os.path.join(keys_dir, name)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        hint = f"copy it from that region's {name.rpartition('/')[2]}" if name.startswith("peers/") else _MAKE
        raise EnvironmentFault(path, "is missing", hint) from error
    except OSError as error:
        raise EnvironmentFault(path, f"cannot be read: {error.strerror}", f"UID {os.getuid()} must read it") from error
    if not data.strip():
        raise EnvironmentFault(path, "is empty", _MAKE)
    return data


def _write(path: str, data: bytes, mode: int) -> None:
    """Replace `path`: a reader sees the old file or the new one, and nobody ever one that is too open."""
    fresh = f"{path}.new"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
        os.rename(fresh, path)
    except OSError as error:
        raise EnvironmentFault(path, f"cannot be written: {error.strerror}", "make its directory writable") from error


def _give(directory: str, halves: Mapping[str, list[str]]) -> None:
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(directory, f"cannot be made: {error.strerror}", "make it writable") from error
    for name, lines in halves.items():
        _write(os.path.join(directory, name), "".join(f"{line}\n" for line in lines).encode(), 0o644)


def _keygen(path: str) -> None:
    comment = f"georoot {os.path.basename(path)}"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)


def _publish(path: str) -> None:
    _write(f"{path}.pub", _run("ssh-keygen", "-y", "-P", "", "-f", path), 0o644)


def _run(*argv: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as home:
            env = identity.environment(home)
            done = subprocess.run(
                argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_KEYGEN_TIME, check=False
            )
    except OSError as error:
        raise EnvironmentFault(argv[0], f"cannot be run: {error.strerror}", "install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(argv[0], f"did not end in {_KEYGEN_TIME:.0f} s", "look at the machine's load") from error
    if done.returncode:
        problem = done.stderr.decode("utf-8", "replace").strip() or f"exit {done.returncode}"
        raise EnvironmentFault(argv[-1], problem, _MAKE)
    return done.stdout
