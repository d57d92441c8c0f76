"""A machine as the scripts see it: its files beneath a directory, its commands fakes that write down each call."""

import dataclasses
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
# What the scripts may use as it is; any other command is a fake, or missing.
TOOLS = (
    *("awk", "bash", "cat", "cp", "cut", "dirname", "env", "find", "grep", "id", "mkdir", "mktemp", "rm"),
    *("sed", "sleep", "tail", "tar", "timeout", "touch", "tr", "wc", "xargs"),
)
BOOKWORM = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended, what it said, and which fakes it called, in order."""

    code: int
    said: list[str]
    calls: list[str]

    def called(self, start: str) -> list[str]:
        """The calls that begin so."""
        return [call for call in self.calls if call.startswith(start)]


class Machine:
    """A Debian machine beneath `root`, with root's rights and no Docker engine, until a test says otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.log = root / "calls"
        self.bin.mkdir(parents=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)
        for folder in ("var/log", "var/tmp"):
            (root / folder).mkdir(parents=True)
        self.write("etc/os-release", BOOKWORM)
        self.fake("id", 'case "$1" in -un) echo root ;; *) echo 0 ;; esac')

    def write(self, path: str, text: str) -> Path:
        """A file of the machine."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(self, path: str) -> str:
        """What a file of the machine holds."""
        return (self.root / path).read_text()

    def has(self, path: str) -> bool:
        """Is there such a file or directory?"""
        return (self.root / path).exists()

    def files(self) -> dict[str, str]:
        """Every file that scripts may write, with its content."""
        ours = (self.bin, self.root / "project/scripts")
        kept = (path for path in self.root.rglob("*") if path.is_file() and not path.is_relative_to(ours[0]))
        kept = (path for path in kept if path != self.log and not path.is_relative_to(ours[1]))
        return {str(path.relative_to(self.root)): path.read_text() for path in kept}

    def unpacked(self, archive: str) -> Path:
        """The tree in a tar archive of the machine."""
        tree = self.root / f"{archive}.d"
        tree.mkdir()
        with tarfile.open(self.root / archive) as tar:
            tar.extractall(tree, filter="data")
        return tree

    def fake(self, name: str, body: str = "") -> None:
        """A command that writes down its arguments, then does `body` (sh; $ROOT is the machine)."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\nROOT={self.root}\necho "{name} $*" >>{self.log}\n{body}\n')
        path.chmod(0o755)

    def user(self, name: str, uid: int) -> None:
        """Who runs the script."""
        self.fake("id", f'case "$1" in -un) echo {name} ;; *) echo {uid} ;; esac')

    def run(self, script: str, *args: str, env: Mapping[str, str] | None = None, said: str = "") -> Ran:
        """Run a script of the project here, in a copy of it, and answer it with `said`."""
        copy = self.root / "project/scripts"
        if not copy.exists():
            shutil.copytree(SCRIPTS, copy)
        self.log.write_text("")
        done = subprocess.run(
            (str(self.bin / "bash"), str(copy / script), *args),
            env={
                "PATH": str(self.bin),
                "SYSROOT": str(self.root),
                "TMPDIR": str(self.root / "var/tmp"),
                "SECONDS_TO_START": "5",
                **(env or {}),
            },
            input=said,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        calls = [call for call in self.log.read_text().splitlines() if not call.startswith("id ")]
        return Ran(done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()], calls)
