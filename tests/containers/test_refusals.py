"""What is wrong before a sidecar can run: one line that names it, the documented exit code, no traceback."""

import dataclasses
from typing import Any

import docker
import pytest

from tests.support.compose import IMAGE, LABEL, new_project

SETTING, ENVIRONMENT = 2, 3
_KEYS = "sidecar keygen --exchange /tmp/k/msk /tmp/k/ams >/dev/null"
"""In /tmp, which is the container's own: what a test spoils goes with it."""
_CLIENT, _HOST = "/tmp/k/msk/client_key", "/tmp/k/msk/host_key"
_LOCK = f"ssh-keygen -q -p -P '' -N secret -f {_CLIENT} >/dev/null"
_MAKE = "`sidecar keygen` makes keys"


@dataclasses.dataclass(frozen=True)
class Wrong:
    """What is done before `sidecar run`, what is set, and what comes of it."""

    what: str
    code: int
    says: tuple[str, ...]
    """words of the line: what it is, and what to do"""
    before: str = ""
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


def setting(what: str, *says: str, **variables: str) -> Wrong:
    return Wrong(what, SETTING, says, variables={f"GEOROOT_{name}": value for name, value in variables.items()})


def written(what: str, *says: str, text: str) -> Wrong:
    return Wrong(what, SETTING, says, f"printf '{text}' >/tmp/c.yaml", {"GEOROOT_CONFIG": "/tmp/c.yaml"})


def environment(what: str, before: str, *says: str, options: dict[str, Any] | None = None, **variables: str) -> Wrong:
    named = {f"GEOROOT_{name}": value for name, value in variables.items()}
    return Wrong(what, ENVIRONMENT, says, before, named, options or {})


CASES = (
    setting("no region", "region", "GEOROOT_REGION", REGION=""),
    setting("a value that is none", "GEOROOT_DELAY", "'soon'", "write seconds", DELAY="soon"),
    setting("a port that is none", "GEOROOT_SSH_PORT", "'0'", SSH_PORT="0"),
    setting("an unknown variable", "GEOROOT_SSH_PROT", "did you mean GEOROOT_SSH_PORT?", SSH_PROT="1"),
    setting("a peer that is the region itself", "GEOROOT_PEERS", "itself", PEERS="msk=elsewhere"),
    setting("a peer without a host", "GEOROOT_PEERS", PEERS="ams="),
    setting("a temporary directory in the web root", "GEOROOT_TEMP_DIR", "web root", TEMP_DIR="/srv/web/html/tmp"),
    setting("a secret's file that is not there", "GEOROOT_PEERS_FILE", "/nowhere", PEERS_FILE="/nowhere"),
    written("an unknown key", "ssh_prot", "did you mean ssh_port?", text="region: msk\\nssh_prot: 1\\n"),
    written("a file that is no YAML", "/tmp/c.yaml", text="region: [\\n"),
    setting("a settings file that is not there", "/nowhere", CONFIG="/nowhere"),
    environment("no key", "", _CLIENT, "is missing", _MAKE),
    environment("no key of the host", f"{_KEYS}; rm {_HOST}", _HOST, "is missing", _MAKE),
    environment("an unreadable key", f"{_KEYS}; chmod 0 {_CLIENT}", _CLIENT, "cannot be read", "UID 33 must read it"),
    environment("an empty key", f"{_KEYS}; : >{_CLIENT}", _CLIENT, "is empty", _MAKE),
    environment("a key that is none", f"{_KEYS}; echo x >/tmp/k/msk/host_key", "/tmp/k/msk/host_key", "sidecar keygen"),
    environment(
        "a peer whose keys are not there",
        _KEYS,
        "/tmp/k/msk/peers/fra/client.pub",
        "copy it from that region's client.pub",
        PEERS="fra=fra.example.net",
    ),
    environment(
        "a peer's key that is none",
        f"{_KEYS}; echo x >/tmp/k/msk/peers/ams/host.pub",
        "/tmp/k/msk/peers/ams/host.pub",
        "is no public key",
    ),
    environment("no web root", _KEYS, "/nowhere/html", "mount the volume there", VOLUME="/nowhere"),
    environment(
        "a web root that may not be written",
        f"{_KEYS}; chmod 555 html",
        "/srv/web/html",
        "is not writable",
        "give UID 33 write access",
    ),
    environment(
        "a volume that is mounted read-only",
        _KEYS,
        "/srv/web/html",
        "read-only",
        "mount the volume read-write",
        options={"mode": "ro"},
    ),
    environment(
        "a state on another file system than the web root",
        _KEYS,
        "/srv/web/.sidecar",
        "file system",
        "one mount",
        options={"tmpfs": {"/srv/web/.sidecar": "uid=33,gid=33"}},
    ),
    environment("a temporary directory on another file system", _KEYS, "/tmp/in", "file system", TEMP_DIR="/tmp/in"),
    environment(
        "a port that is taken",
        f"{_KEYS}; nc -l 127.0.0.1 8080 >/dev/null 2>&1 </dev/null & sleep 0.3",
        "http_port",
        "127.0.0.1:8080 is taken",
        HTTP_LISTEN="127.0.0.1",
    ),
    environment(
        "a run directory that may not be written",
        f"{_KEYS}; mkdir -m 555 /tmp/run",
        "/tmp/run/keys",
        "cannot be made",
        RUN_DIR="/tmp/run",
    ),
)


@pytest.mark.parametrize("wrong", CASES, ids=lambda wrong: wrong.what)
def test_a_sidecar_refuses_to_run_with(engine: docker.DockerClient, wrong: Wrong) -> None:
    name = new_project()
    volume = engine.volumes.create(name, labels={LABEL: name})
    usual = {"GEOROOT_REGION": "msk", "GEOROOT_PEERS": "ams=ams-sidecar", "GEOROOT_KEYS_DIR": "/tmp/k/msk"}
    options = dict(wrong.options)
    container = engine.containers.run(
        IMAGE,
        ["-euc", f"{wrong.before or ':'}\nexec sidecar run"],
        entrypoint=["/bin/sh"],
        detach=True,
        network_mode="none",
        labels={LABEL: name},
        volumes={name: {"bind": "/srv/web", "mode": options.pop("mode", "rw")}},
        environment={**usual, **wrong.variables, "GEOROOT_LOG_LEVEL": "error"},
        **options,
    )
    try:
        code = container.wait(timeout=30)["StatusCode"]
        out = container.logs(stdout=True, stderr=False).decode()
        err = container.logs(stdout=False, stderr=True).decode()
    finally:
        container.remove(force=True, v=True)
        volume.remove()
    assert 1 == len(err.splitlines()), err
    assert "" == out
    assert err.startswith("sidecar: ")
    assert [] == [words for words in wrong.says if words not in err], err
    assert wrong.code == code
