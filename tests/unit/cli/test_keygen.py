"""`sidecar keygen`. What ssh-keygen itself does is seen in the tests that run where OpenSSH is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.errors import EnvironmentFault
from sidecar.link import keys
from tests.unit.cli.conftest import Sidecar

Files = Callable[[], dict[str, str]]


@pytest.fixture(autouse=True)
def _fake_keygen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are told apart by where they were made."""

    def make(path: str) -> None:
        where = Path(path)
        body = f"{where.parent.name}{where.name}".replace("_", "")
        where.write_text(f"private {body}\n")
        where.with_name(f"{where.name}.pub").write_text(f"ssh-ed25519 {body} georoot {where.name}\n")

    monkeypatch.setattr(keys, "_keygen", make)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What lies beneath the test's directory."""
    return lambda: {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_region_gets_its_keys_and_is_told_what_to_copy(
    tmp_path: Path, sidecar: Sidecar, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOROOT_REGION", "msk")
    ran = sidecar("keygen", str(tmp_path))
    assert (0, "") == (ran.code, ran.err)
    assert {"client_key", "client_key.pub", "host_key", "host_key.pub"} == set(files())
    lines = ran.out.splitlines()
    assert f"client_key made, host_key made in {tmp_path}" == lines[0]
    assert [
        f"  {tmp_path}/client_key.pub",
        "    as peers/msk/client.pub in its keys directory",
        f"  {tmp_path}/host_key.pub",
        "    as peers/msk/host.pub in its keys directory",
    ] == lines[3:7]
    public = files()
    assert [public["client_key.pub"].strip(), public["host_key.pub"].strip()] == lines[-2:]
    assert "private" not in ran.out


@pytest.mark.parametrize("variable", [True, False])
def test_without_a_directory_it_is_the_settings(
    tmp_path: Path, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    asked: list[str] = []

    def ask_only(directory: str) -> None:
        asked.append(directory)
        raise EnvironmentFault(directory, "cannot be made", "x")

    monkeypatch.setattr(keys, "make_region_keys", ask_only)
    if variable:
        monkeypatch.setenv("GEOROOT_KEYS_DIR", str(tmp_path))
    assert 3 == sidecar("keygen").code
    assert [str(tmp_path) if variable else "/etc/georoot/keys"] == asked


def test_keys_that_are_there_stay(tmp_path: Path, sidecar: Sidecar, files: Files) -> None:
    sidecar("keygen", str(tmp_path))
    before = files()
    (tmp_path / "host_key").unlink()
    ran = sidecar("keygen", str(tmp_path))
    assert f"client_key was there, host_key made in {tmp_path}" == ran.out.splitlines()[0]
    assert before == files()


def test_an_exchange_makes_what_is_missing_and_gives_each_the_others(
    tmp_path: Path, sidecar: Sidecar, files: Files
) -> None:
    regions = [str(tmp_path / region) for region in ("msk", "ams", "nyc")]
    ran = sidecar("keygen", "--exchange", *regions)
    assert (0, "") == (ran.code, ran.err)
    assert f"msk: client_key made, host_key made in {tmp_path}/msk" == ran.out.splitlines()[0]
    assert "msk, ams, nyc: each has the others' public keys in peers/" == ran.out.splitlines()[-1]
    made = files()
    assert "ssh-ed25519 mskclientkey\n" == made["ams/peers/msk/client.pub"] == made["nyc/peers/msk/client.pub"]
    assert "ssh-ed25519 nychostkey\n" == made["ams/peers/nyc/host.pub"]
    assert not any(name.startswith("msk/peers/msk") for name in made)


def test_an_exchange_again_changes_nothing(tmp_path: Path, sidecar: Sidecar, files: Files) -> None:
    regions = [f"{tmp_path / 'msk'}/", str(tmp_path / "ams")]
    sidecar("keygen", "--exchange", *regions)
    before = files()
    ran = sidecar("keygen", "--exchange", *regions)
    assert (0, before) == (ran.code, files())
    assert ran.out.startswith("msk: client_key was there, host_key was there in ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("a", "b"), "more than one DIRECTORY goes with --exchange only"),
        (("--exchange",), "--exchange takes two or more directories"),
        (("--exchange", "a"), "--exchange takes two or more directories"),
        (("--exchange", "x/a", "y/a"), "--exchange takes two or more directories"),
        (("--exchange", "a", "b c"), "'b c' is no region's name"),
        (("--exchange", "a", "."), "'.' is no region's name"),
    ],
)
def test_what_names_no_regions_is_refused(
    tmp_path: Path,
    sidecar: Sidecar,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = sidecar("keygen", *arguments)
    assert (2, "", {}) == (ran.code, ran.out, files())
    assert ran.err.startswith(f"sidecar: {problem}")


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path, sidecar: Sidecar) -> None:
    (tmp_path / "file").write_text("")
    ran = sidecar("keygen", str(tmp_path / "file" / "keys"))
    assert (3, "") == (ran.code, ran.out)
    assert f"sidecar: {tmp_path}/file/keys: cannot be made: Not a directory; make it writable\n" == ran.err
