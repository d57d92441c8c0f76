"""The settings: what may be written, what it comes to, and how each refusal reads."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from sidecar.config import Peer, Settings, Target, load, sources, units
from sidecar.config.units import Refused
from sidecar.core import ignore
from sidecar.core.paths import RelPath
from sidecar.errors import ConfigError
from sidecar.link import keys, master

BROKEN = r"x\n"
DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _no_file_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", str(tmp_path / "absent.yaml"))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], str]:
    """Writes a settings file and says where it is."""

    def write(text: str | bytes) -> str:
        file = tmp_path / "config.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(file)

    return write


def settings(**env: str) -> Settings:
    """What variables give, by their names without GEOROOT_."""
    return load({f"GEOROOT_{name}": value for name, value in ({"REGION": "msk"} | env).items()})


def refusal(environ: dict[str, str]) -> str:
    """The line that is said."""
    with pytest.raises(ConfigError) as refused:
        load(environ)
    assert str(refused.value).isprintable()
    return str(refused.value)


def told(environ: dict[str, str]) -> str:
    """The same, "" if there is nothing to say."""
    try:
        load(environ)
    except ConfigError as error:
        return str(error)
    return ""


# -- where settings come from


def test_a_region_is_enough(tmp_path: Path) -> None:
    found = load({"GEOROOT_REGION": "msk"})
    assert ("msk", "msk", ()) == (found.region, found.node, found.targets)
    assert ("/srv/web/html", "/srv/web/.sidecar", "/srv/web/.sidecar/inbox") == (found.root, found.state, found.inbox)


def test_a_variable_wins_over_the_file_and_leaves_the_rest_of_it(written: Callable[[str], str]) -> None:
    file = written("region: msk\ndelay: 3\nspares: 5\npeers: {ams: a, fra: f}\n")
    found = load({"GEOROOT_CONFIG": file, "GEOROOT_DELAY": "1", "GEOROOT_PEERS": "nyc=n"})
    assert (1.0, 5, ["nyc"]) == (found.delay, found.spares, list(found.peers))


def test_the_default_file_is_read_where_there_is_one(
    written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", written("region: ams"))
    assert "ams" == load({}).region
    assert "ams" == load({"GEOROOT_CONFIG": ""}).region


def test_the_environment_of_the_process_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GEOROOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GEOROOT_REGION", "fra")
    assert "fra" == load().region


def test_variables_of_others_and_in_small_letters_are_not_ours() -> None:
    assert 0.0 == load({"GEOROOT_REGION": "msk", "georoot_delay": "9", "DELAY": "9", "GEOROOTX": "1"}).delay


@pytest.mark.parametrize("empty", ["", "~", "null"])
def test_what_is_empty_is_not_set(written: Callable[[str], str], empty: str) -> None:
    file = written(f"region: msk\nlog_file: {empty}\ndelay: 3\npeers:\n  ams: {{host: a, port: {empty}}}\n")
    found = load({"GEOROOT_CONFIG": file, "GEOROOT_DELAY": "", "GEOROOT_VOLUME": "", "GEOROOT_NODE_FILE": ""})
    assert (None, 3.0, "/srv/web", 2222) == (found.log_file, found.delay, found.volume, found.targets[0].port)


def test_words_that_yaml_takes_for_something_else_stay_words(written: Callable[[str], str]) -> None:
    found = load({"GEOROOT_CONFIG": written("region: no\nnode: 1e3\npeers: {on: 10}\n")})
    assert ("no", "1e3", "10") == (found.region, found.node, found.peers["on"].host)


def test_an_empty_file_and_one_with_a_byte_order_mark_are_read(written: Callable[[str | bytes], str]) -> None:
    assert "msk" == load({"GEOROOT_CONFIG": written("# nothing\n"), "GEOROOT_REGION": "msk"}).region
    assert "msk" == load({"GEOROOT_CONFIG": written(b"\xef\xbb\xbfregion: msk\r\n")}).region


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "region").write_text("msk\n")
    (tmp_path / "log").write_bytes(b"\xef\xbb\xbf/var/log/georoot.log\r\n")
    found = load({
        "GEOROOT_REGION_FILE": str(tmp_path / "region"),
        "GEOROOT_LOG_FILE_FILE": str(tmp_path / "log"),
        "GEOROOT_STATUS_FILE": "/var/lib/status",
    })  # fmt: skip
    assert ("msk", "/var/log/georoot.log", "/var/lib/status") == (found.region, found.log_file, found.status_file)


def test_a_value_from_a_file_wins_over_the_settings_file(written: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "delay").write_text("5s\n")
    file = written("region: msk\ndelay: 1\n")
    assert 5.0 == load({"GEOROOT_CONFIG": file, "GEOROOT_DELAY_FILE": str(tmp_path / "delay")}).delay


def test_lsyncds_targets_are_peers(written: Callable[[str], str]) -> None:
    found = load({"GEOROOT_CONFIG": written("region: msk\ntargets: {ams: {host: a}}")})
    assert ["ams"] == list(found.peers) == list(settings(TARGETS="ams=a").peers)
    assert ["fra"] == list(
        load({"GEOROOT_CONFIG": written("region: msk\ntargets: {ams: a}"), "GEOROOT_PEERS": "fra=f"}).peers
    )


SERVICE_LINKS = [
    ("GEOROOT_SERVICE_HOST", "10.96.0.7"),
    ("GEOROOT_SERVICE_HOST", "fd00:10::7"),
    ("GEOROOT_SERVICE_PORT", "2222"),
    ("GEOROOT_SERVICE_PORT_SSH", "2222"),
    ("GEOROOT_SERVICE_PORT_HTTP_STATUS", "8080"),
    ("GEOROOT_PORT", "tcp://10.96.0.7:2222"),
    ("GEOROOT_PORT", "tcp://[fd00:10::7]:2222"),
    ("GEOROOT_PORT_2222_TCP", "tcp://10.96.0.7:2222"),
    ("GEOROOT_PORT_2222_TCP_PROTO", "tcp"),
    ("GEOROOT_PORT_2222_TCP_PORT", "2222"),
    ("GEOROOT_PORT_2222_TCP_ADDR", "10.96.0.7"),
    ("GEOROOT_PORT_53_UDP", "udp://10.96.0.7:53"),
    ("GEOROOT_MSK_SERVICE_HOST", "10.96.0.7"),
    ("GEOROOT_MSK_PUBLIC_SERVICE_PORT_SSH", "2222"),
    ("GEOROOT_MSK_PORT_2222_TCP_ADDR", "10.96.0.7"),
    ("GEOROOT_SSH_PORT", "tcp://10.96.0.7:2222"),
    ("GEOROOT_HTTP_PORT", "tcp://10.96.0.7:8080"),
]


@pytest.mark.parametrize(("name", "value"), SERVICE_LINKS)
def test_what_kubernetes_sets_for_services_is_left_alone(name: str, value: str) -> None:
    assert load({"GEOROOT_REGION": "msk"}) == load({"GEOROOT_REGION": "msk", name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEOROOT_PORT", "2222"),
        ("GEOROOT_SERVICE_HOST", "georoot.example.net"),
        ("GEOROOT_MSK_PORT", "2222"),
        ("GEOROOT_PORT_2222", "tcp://10.96.0.7:2222"),
        ("GEOROOT_PORT_2222_TCP_ADDR", "somewhere"),
        ("GEOROOT_MSK", "tcp://10.96.0.7:2222"),
    ],
)
def test_what_only_looks_like_a_service_is_refused(name: str, value: str) -> None:
    assert refusal({"GEOROOT_REGION": "msk", name: value}).startswith(f"{name}: is no setting; ")


# -- files that are no good


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "nope.yaml")
    said = (
        f"GEOROOT_CONFIG: {missing!r} cannot be read: No such file or directory; name a YAML file that this user may "
    )
    assert f"{said}read" == refusal({"GEOROOT_CONFIG": missing})


def test_a_default_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", str(tmp_path))
    assert f"GEOROOT_CONFIG: {str(tmp_path)!r} cannot be read: Is a directory" in refusal({"GEOROOT_REGION": "msk"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"region: \xff\n", " is not UTF-8; name a YAML file in UTF-8"),
        (b"#" * (1 << 20), " is too large; name a YAML file in UTF-8"),
        ("- region", " does not hold settings; write a `name: value` a line"),
        ("region", " does not hold settings; write a `name: value` a line"),
        ("region: a\nregion: b", " line 2, column 1: 'region' stands twice; write each key once, as one word"),
        (
            "peers:\n  ams: {host: a, host: b}",
            " line 2, column 18: 'host' stands twice; write each key once, as one word",
        ),
        ("region: a\n? [b]\n: c", " line 2, column 3: a key is no word; write each key once, as one word"),
        ("peers: &p {ams: *p}", " found unconstructable recursive node; write each key once, as one word"),
        ("region: a: b", " mapping values are not allowed here; quote what holds `: ` or ` #`"),
        ("region: {", " line 1, column 10: expected the node content, but found '<stream end>'; quote what"),
        ("\tregion: a", " line 1, column 1: found character '\\t' that cannot start any token; quote what"),
        ("exclude: [*.log]", " expected alphabetic or numeric character, but found '.'; quote what"),
        ("region: a\n---\nregion: b", " line 2, column 1: but found another document; quote what"),
        ("region: \x00", " holds characters that are not allowed in YAML; quote what"),
        ("[" * 5000, " is nested too deep; write settings, and peers beneath `peers`"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(
    written: Callable[[str | bytes], str], text: str | bytes, said: str
) -> None:
    file = written(text)
    line = refusal({"GEOROOT_CONFIG": file})
    assert line.startswith(f"GEOROOT_CONFIG: {file!r}") and said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "cannot be read: No such file or directory; name a file that is there"),
        (".", "cannot be read: Is a directory; name a file that is there"),
        ("binary", "is not UTF-8; name a text file in UTF-8"),
    ],
)
def test_a_file_for_a_value_must_be_readable(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    where = str(tmp_path / name)
    assert f"GEOROOT_REGION_FILE: {where!r} {said}" == refusal({"GEOROOT_REGION_FILE": where})


def test_a_variable_and_its_file_are_not_set_both(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("ams")
    environ = {"GEOROOT_REGION": "msk", "GEOROOT_REGION_FILE": str(tmp_path / "f")}
    assert "GEOROOT_REGION_FILE: GEOROOT_REGION is set too; set one of them" == refusal(environ)
    environ = {"GEOROOT_PEERS": "ams=a", "GEOROOT_TARGETS_FILE": str(tmp_path / "f")}
    assert "GEOROOT_TARGETS_FILE: GEOROOT_PEERS is set too; set one of them" == refusal(environ)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CONFIG": "region: a\npeers: {b: c}\ntargets: {d: e}"}, "targets: is another word for peers"),
        ({"PEERS": "b=c", "TARGETS": "d=e"}, "GEOROOT_TARGETS: is another word for GEOROOT_PEERS"),
    ],
)
def test_peers_and_targets_are_not_set_both(written: Callable[[str], str], environ: dict[str, str], said: str) -> None:
    named = {f"GEOROOT_{name}": written(value) if name == "CONFIG" else value for name, value in environ.items()}
    assert f"{said}, which is set too; set one of them" == refusal(named)


# -- how a refusal reads


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regon: msk\nregion: msk", "regon: is no setting; did you mean region?"),
        ("region: msk\nssh-port: 1", "ssh-port: is no setting; did you mean ssh_port?"),
        ("region: msk\nGEOROOT_DELAY: 1", "GEOROOT_DELAY: is no setting; did you mean delay?"),
        ("region: msk\nsecret: hunter2", "secret: is no setting; docs/settings.md lists what there is"),
        ("region: msk\ndealy:", "dealy: is no setting; did you mean delay?"),
        ('region: msk\n? "a\\nb"\n: x', "'a\\nb': is no setting; docs/settings.md lists what there is"),
        ("region: msk\n<<: {delay: 1}", "<<: is no setting; docs/settings.md lists what there is"),
        ("peers: {ams: a}", "region: is not set; set GEOROOT_REGION, or `region` in the settings file"),
        ("region: msk\npeers: {ams: {host: a, prot: 1}}", "peers.ams.prot: is no setting; did you mean port?"),
        ("region: msk\npeers: {ams: {port: 1}}", "peers.ams.host: is not set; name the host"),
        ("region: msk\npeers: {ams: 'a:0'}", "peers.ams.port: '0' is out of range; write a whole number from 1 to"),
        ("region: msk\npeers: {ams: [a]}", "peers.ams: is no peer; write host:port, or the keys host, port,"),
        ("region: msk\npeers: {a b: c}", "peers.a b: 'a b' is no name; write up to 64 letters, digits, `.`, `_`"),
        ("region: msk\npeers: [ams]", "peers: is no list of peers; write `<region>: <host>:<port>` a line"),
        ("region: msk\npeers: {msk: a}", "peers.msk: is this region itself; name the other regions only"),
        ("region: [msk]", "region: is not a single value; write one word or number"),
        ("region: msk\nexclude: {a: b}", "exclude: is no list; write a list of patterns"),
        ("region: msk\nexclude: [a, [b]]", "exclude: is not a single value; write one word or number"),
        ("region: msk\nspares: 99", "spares: '99' is out of range; write a whole number from 0 to 16"),
        ("region: msk\ndelay: 2h", "delay: '2h' is out of range; write a time from 0s to 1h"),
        ("region: msk\nstatus_interval: 0", "status_interval: '0' is out of range; write a time from 0.1s to 1d"),
        ("region: msk\nlayout: within", "layout: 'within' is not offered; write beside or inside"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_by_its_key(written: Callable[[str], str], text: str, said: str) -> None:
    assert refusal({"GEOROOT_CONFIG": written(text)}).startswith(said)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DEALY": "1"}, "GEOROOT_DEALY: is no setting; did you mean GEOROOT_DELAY?"),
        ({"CONFIG_FILE": "x"}, "GEOROOT_CONFIG_FILE: is no setting; docs/settings.md lists what there is"),
        ({"": "x"}, "GEOROOT_: is no setting; docs/settings.md lists what there is"),
        ({"delay": "1"}, "GEOROOT_delay: is no setting; did you mean GEOROOT_DELAY?"),
        ({"DELAY": "soon"}, "GEOROOT_DELAY: 'soon' is no time; write seconds, or a number with ms, s, m, h or d,"),
        ({"DELAY": "x\n" * 60}, f"GEOROOT_DELAY: '{BROKEN * 30}'… is no time"),
        ({"REGION": "\udcff"}, "GEOROOT_REGION: '\\udcff' is not UTF-8; write it in UTF-8"),
        ({"PEERS": "ams=a:1,fra=f:0"}, "GEOROOT_PEERS: fra: port: '0' is out of range; write a whole number"),
        ({"PEERS": "ams=a,msk=m"}, "GEOROOT_PEERS: msk: is this region itself; name the other regions only"),
        ({"PEERS": "ams"}, "GEOROOT_PEERS: 'ams' is no list of peers; write region=host:port,"),
        ({"PEERS": "ams=a,ams=b"}, "GEOROOT_PEERS: 'ams=a,ams=b' names a region twice; a region has one address"),
        ({"PEERS": "ams=fd00::1"}, "GEOROOT_PEERS: ams: 'fd00::1' is no host and port; write host:port, an IPv6"),
        ({"PEERS": "ams="}, "GEOROOT_PEERS: ams: host: is no host; write a name or an IP address"),
        ({"PEERS": '{"ams": '}, "GEOROOT_PEERS: '{\"ams\": ' is no JSON; close every bracket and quote"),
        ({"PEERS": '{"a": 1, "a": 2}'}, "GEOROOT_PEERS: '{\"a\": 1, \"a\": 2}' names a key twice; write each key once"),
        ({"EXCLUDE": "*.log,!keep"}, "GEOROOT_EXCLUDE: '!keep' is no pattern that excludes; write a name or path"),
        ({"EXCLUDE": "[z-a]"}, "GEOROOT_EXCLUDE: '[z-a]' is no pattern that excludes; write a name or path"),
        ({"EXCLUDE": '["a"'}, "GEOROOT_EXCLUDE: '[\"a\"' is no JSON; close every bracket and quote"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_variable_is_named_by_the_variable(environ: dict[str, str], said: str) -> None:
    line = refusal({f"GEOROOT_{name}": value for name, value in ({"REGION": "msk"} | environ).items()})
    assert line.startswith(said) and len(line) < 200


def test_the_first_mistake_is_told_in_full_and_the_others_by_name() -> None:
    said = refusal({"GEOROOT_DELAY": "soon", "GEOROOT_SPARES": "x", "GEOROOT_SPRAES": "1"})
    more = "(and 3 more: GEOROOT_DELAY, GEOROOT_SPARES, region)"
    assert f"GEOROOT_SPRAES: is no setting; did you mean GEOROOT_SPARES? {more}" == said


def test_what_came_from_a_file_of_its_own_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter 2\n")
    secret = str(tmp_path / "secret")
    for name in Settings.model_fields:
        if name not in ("peers", "exclude"):
            environ = {"GEOROOT_REGION": "msk", f"GEOROOT_{name.upper()}_FILE": secret}
            environ.pop(f"GEOROOT_{name.upper()}", None)
            said = refusal(environ)
            assert said.startswith(f"GEOROOT_{name.upper()}_FILE: ") and "hunter" not in said
    found = settings(EXCLUDE_FILE=secret)
    assert ("hunter 2",) == found.exclude
    assert "(from a file)" == found.redacted()["exclude"] and "hunter" not in str(found.redacted())


def test_a_wrong_config_ends_with_code_2() -> None:
    with pytest.raises(ConfigError) as refused:
        load({})
    assert 2 == refused.value.exit_code


TEXTS = st.text(max_size=40) | st.from_regex(r"[0-9.]{1,5} ?[a-zA-Z]{0,3}", fullmatch=True)


@given(name=st.sampled_from(sorted(Settings.model_fields)), value=TEXTS)
@example(name="peers", value="[")
@example(name="peers", value='{"a": [{"b": NaN}]}')
@example(name="peers", value='{"a":' * 5000)
@example(name="exclude", value='["a",' + "[" * 5000)
def test_any_value_is_taken_or_refused_in_one_line_that_names_it(name: str, value: str) -> None:
    said = told({"GEOROOT_REGION": "msk", f"GEOROOT_{name.upper()}": value})
    assert said.isprintable() and said.startswith((f"GEOROOT_{name.upper()}: ", "region: ") if said else "")


@profile(deadline=None)  # the first file is read far slower on a busy machine
@given(
    data=st.binary(max_size=60)
    | TEXTS.map(lambda text: f"region: {text}\npeers: {{{text}: {text}}}".encode(errors="replace"))
)
def test_any_file_is_taken_or_refused_in_one_line(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    assert told({"GEOROOT_CONFIG": str(file)}).isprintable()


# -- what may be written


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("500ms", 0.5),
        ("3s", 3.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        (" 1 h ", 3600.0),
    ],
)
def test_a_time_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert seconds == settings(DELAY=text).delay


@given(
    number=st.integers(0, 10**9),
    unit=st.sampled_from([("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]),
)
def test_a_time_in_any_unit_is_exactly_so_many_milliseconds(number: int, unit: tuple[str, int]) -> None:
    assert number * unit[1] / 1000 == units.duration(f"{number}{unit[0]}", 0, float("inf"))


@given(micros=st.integers(0, 10**15))
def test_a_time_reads_back_as_it_was_written(micros: int) -> None:
    assert micros / 10**6 == units.duration(f"{micros // 10**6}.{micros % 10**6:06}", 0, float("inf"))


@given(
    number=st.integers(0, 2**20),
    power=st.integers(0, 4),
    shape=st.sampled_from([("", 1024), ("iB", 1024), ("B", 1000)]),
)
def test_a_size_in_any_unit_is_exactly_so_many_bytes(number: int, power: int, shape: tuple[str, int]) -> None:
    suffix, base = shape if power else ("", 1)
    letter = " kmgt"[power].strip()
    assert (
        number * base**power
        == units.size(f"{number}{letter}{suffix}")
        == units.size(f"{number} {letter.upper()}{suffix.lower()}")
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("100B", 100), ("8MiB", 8 << 20), ("8m", 8 << 20), ("1.5G", 3 << 29), ("8MB", 8_000_000), ("0.3K", 307)],
)
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert size == settings(LARGE_FILE=text).large_file


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", 0), ("500", 500), ("1.5", 2), ("512K", 512), ("5m", 5120), ("1G", 1 << 20), ("100B", 1), ("0K", 0)],
)
def test_a_limit_is_kib_a_second_and_only_zero_is_none(text: str, limit: int) -> None:
    assert limit == settings(BWLIMIT=text).bwlimit


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "1"])
def test_yes_has_many_names(text: str) -> None:
    assert settings(COMPRESS=text).compress and not settings(DEFAULT_EXCLUDES="off").default_excludes


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("ams=a", [("ams", "a", 2222)]),
        ("ams=a:1, fra=10.0.0.1:22,", [("ams", "a", 1), ("fra", "10.0.0.1", 22)]),
        ("ams=[fd00::1]:22\nfra=[fe80::1%eth0]", [("ams", "fd00::1", 22), ("fra", "fe80::1%eth0", 2222)]),
        ('{"ams": {"host": "a", "port": 22}, "fra": "f:1"}', [("ams", "a", 22), ("fra", "f", 1)]),
        ('{"ams": {"host": "[fd00::1]", "port": null}}', [("ams", "fd00::1", 2222)]),
        ('{"ams": 10}', [("ams", "10", 2222)]),
        ("{}", []),
    ],
)
def test_peers_are_a_list_of_addresses_or_json(text: str, hosts: list[tuple[str, str, int]]) -> None:
    assert hosts == [(target.region, target.host, target.port) for target in settings(PEERS=text).targets]


def test_a_peer_has_the_common_knobs_unless_it_has_its_own(written: Callable[[str], str]) -> None:
    text = "region: msk\ncompress: yes\nbwlimit: 100\npeers:\n  fra: f\n  ams: {host: a, compress: no, bwlimit: 1m}\n"
    expected = (Target("ams", "a", 2222, False, 1024), Target("fra", "f", 2222, True, 100))
    assert expected == load({"GEOROOT_CONFIG": written(text)}).targets


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*.log", ("*.log",)),
        ("*.log, /cache/\n\n a b \n", ("*.log", "/cache/", "a b")),
        ('["a,b", "c"]', ("a,b", "c")),
        ("[]", ()),
        ("[abc]*.tmp,x", ("[abc]*.tmp", "x")),
    ],
)
def test_patterns_are_a_list_of_words_or_json(text: str, patterns: tuple[str, ...]) -> None:
    assert patterns == settings(EXCLUDE=text).exclude


def test_the_defaults_are_excluded_besides_unless_switched_off(written: Callable[[str], str]) -> None:
    file = written('region: msk\nexclude: ["a, b", "*.log"]')
    found = load({"GEOROOT_CONFIG": file})
    assert (*ignore.DEFAULTS, "a, b", "*.log") == found.patterns
    assert ignore.excluder(found.patterns)(RelPath(b"a, b"), False)
    assert ("a, b", "*.log") == load({"GEOROOT_CONFIG": file, "GEOROOT_DEFAULT_EXCLUDES": "no"}).patterns


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("DELAY", value) for value in ("-1", "1x", "1e3", "1:30", "inf", "nan", "1h30m", "2h", "1" * 20, "\u0663")),
        ("SCAN_INTERVAL", "0"),
        ("SCAN_INTERVAL", "31d"),
        ("STATUS_INTERVAL", "0"),
        ("TRASH_KEEP", "11000d"),
        *(("LARGE_FILE", value) for value in ("big", "-1", "1X", "1iB", "8 Mega", "9" * 15 + "T")),
        *(("BWLIMIT", value) for value in ("fast", "1X", "1T")),
        *(("COMPRESS", value) for value in ("maybe", "2", "zstd")),
        *(("SPARES", value) for value in ("17", "-1", "1.5", "three", "9" * 5000)),
        *(("SSH_PORT", value) for value in ("0", "65536", "ssh")),
        *(("HTTP_PORT", value) for value in ("0", "65536", "http")),
        *(("REGION", value) for value in ("a b", "-a", ".a", "a/b", "ü", "a" * 65)),
        ("NODE", "a b"),
        ("LAYOUT", "within"),
        ("LINKS", "none"),
        ("FOUND", "later"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        *((name, "0.0.0.0:1") for name in ("SSH_LISTEN", "HTTP_LISTEN")),
        *((name, "localhost") for name in ("SSH_LISTEN", "HTTP_LISTEN")),
        *((f"{name}_DIR", "relative") for name in ("STATE", "TEMP", "RUN", "KEYS")),
        *((name, "./relative") for name in ("VOLUME", "SOURCE", "SERVED_AT", "LOG_FILE", "STATUS_FILE")),
        *((name, "/") for name in ("VOLUME", "SOURCE", "SERVED_AT")),
        *(("SOURCE", value) for value in ("//", "/a/..", '/a"b', "/a\\b", "/a\nb")),
        *(("PEERS", f"ams={value}") for value in ("-x", "a b", "a:b", "a:", "[fd00::g]:1", "[fd00::1", "a/b", ":1")),
        ("EXCLUDE", "/"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(name: str, value: str) -> None:
    said = refusal({"GEOROOT_REGION": "msk", f"GEOROOT_{name}": value})
    assert re.fullmatch(rf"GEOROOT_{name}: .+; .+", said)
    assert not re.search(r"does not fit|nput should|alue error", said)


@pytest.mark.parametrize(
    ("written_as", "read"), [("/a/./b//c/", "/a/b/c"), ("//a", "/a"), ("/a/x/../b", "/a/b"), ("/ä b", "/ä b")]
)
def test_a_path_is_taken_without_its_detours(written_as: str, read: str) -> None:
    assert read == settings(VOLUME=written_as).volume


def test_addresses_to_listen_on_are_plain() -> None:
    found = settings(SSH_LISTEN="[::]", HTTP_LISTEN="127.0.0.1")
    assert ("::", "127.0.0.1") == (found.ssh_listen, found.http_listen)


# -- what must fit together


@pytest.mark.parametrize(
    ("environ", "root", "state", "inbox"),
    [
        ({"VOLUME": "/v"}, "/v/html", "/v/.sidecar", "/v/.sidecar/inbox"),
        ({"VOLUME": "/v", "LAYOUT": "inside"}, "/v", "/v/.sidecar", "/v/.sidecar/inbox"),
        ({"SOURCE": "/s", "LAYOUT": "inside"}, "/s", "/s/.sidecar", "/s/.sidecar/inbox"),
        ({"VOLUME": "/v", "SOURCE": "/v/www"}, "/v/www", "/v/.sidecar", "/v/.sidecar/inbox"),
        ({"VOLUME": "/v", "STATE_DIR": "/v/state"}, "/v/html", "/v/state", "/v/state/inbox"),
        ({"VOLUME": "/v", "TEMP_DIR": "/v/html.tmp"}, "/v/html", "/v/.sidecar", "/v/html.tmp"),
        ({"SOURCE": "/s", "LAYOUT": "inside", "TEMP_DIR": "/s/.sidecar/tmp"}, "/s", "/s/.sidecar", "/s/.sidecar/tmp"),
        ({"SOURCE": "/s", "LAYOUT": "inside", "STATE_DIR": "/t"}, "/s", "/t", "/t/inbox"),
    ],
)
def test_paths_follow_volume_and_layout(environ: dict[str, str], root: str, state: str, inbox: str) -> None:
    found = settings(**environ)
    assert (root, state, inbox) == (found.root, found.state, found.inbox)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"STATE_DIR": "/srv/web/html/.sidecar"},
            "STATE_DIR: '/srv/web/html/.sidecar' puts the state into the web root",
        ),
        ({"SOURCE": "/srv"}, "SOURCE: '/srv' puts the state into the web root"),
        ({"SOURCE": "/srv/web"}, "SOURCE: '/srv/web' puts the state into the web root"),
        (
            {"LAYOUT": "inside", "STATE_DIR": "/srv/web/state"},
            "STATE_DIR: '/srv/web/state' puts the state into the web root",
        ),
        ({"LAYOUT": "inside", "STATE_DIR": "/srv/web"}, "STATE_DIR: '/srv/web' puts the state into the web root"),
        ({"STATE_DIR": "/srv/web"}, "STATE_DIR: '/srv/web' puts the web root into the state"),
        ({"SOURCE": "/srv/web/.sidecar/html"}, "SOURCE: '/srv/web/.sidecar/html' puts the web root into the state"),
        (
            {"TEMP_DIR": "/srv/web/html/tmp"},
            "TEMP_DIR: '/srv/web/html/tmp' puts the temporary directory into the web root",
        ),
        ({"TEMP_DIR": "/srv/web"}, "TEMP_DIR: '/srv/web' makes a temporary directory of what holds other things"),
        ({"TEMP_DIR": "/srv/web/.sidecar"}, "TEMP_DIR: '/srv/web/.sidecar' makes a temporary directory of what holds"),
        (
            {"TEMP_DIR": "/srv/web/.sidecar/trash/x"},
            "TEMP_DIR: '/srv/web/.sidecar/trash/x' makes a temporary directory of",
        ),
        ({"LAYOUT": "inside", "TEMP_DIR": "/srv"}, "TEMP_DIR: '/srv' makes a temporary directory of what holds"),
        (
            {"LOG_FILE": "/srv/web/html/log"},
            "LOG_FILE: '/srv/web/html/log' lies in the web root, where it would be served",
        ),
        (
            {"STATUS_FILE": "/srv/web/html/s"},
            "STATUS_FILE: '/srv/web/html/s' lies in the web root, where it would be served",
        ),
        ({"KEYS_DIR": "/srv/web/html"}, "KEYS_DIR: '/srv/web/html' lies in the web root, where it would be served"),
        (
            {"RUN_DIR": "/srv/web/html/run"},
            "RUN_DIR: '/srv/web/html/run' lies in the web root, where it would be served",
        ),
        (
            {"RUN_DIR": "/run/geo root"},
            "RUN_DIR: '/run/geo root' has characters that ssh's files cannot carry; use a plain path",
        ),
    ],
)
def test_directories_that_get_into_each_others_way_are_refused(environ: dict[str, str], said: str) -> None:
    line = refusal({f"GEOROOT_{name}": value for name, value in ({"REGION": "msk"} | environ).items()})
    assert line.startswith(f"GEOROOT_{said}") and "; " in line


def test_a_status_file_may_lie_in_the_state_of_the_inside_layout() -> None:
    assert settings(LAYOUT="inside", STATUS_FILE="/srv/web/.sidecar/status.json").status_file


def test_a_symlink_does_not_hide_that_the_state_is_served(tmp_path: Path) -> None:
    (tmp_path / "html" / "x").mkdir(parents=True)
    (tmp_path / "state").symlink_to("html/x")
    said = refusal(
        {"GEOROOT_REGION": "msk", "GEOROOT_VOLUME": str(tmp_path), "GEOROOT_STATE_DIR": str(tmp_path / "state")}
    )
    assert "puts the state into the web root" in said


@pytest.mark.parametrize("region", ["a", "a" * 64])
def test_the_run_directory_is_as_long_as_sockets_may_be(region: str) -> None:
    room = master._SOCKET_PATH - master._SUFFIX - len(f"/m.{region}")
    longest = "/" + "r" * (room - 1)
    assert longest == settings(PEERS=f"{region}=a", RUN_DIR=longest).run_dir
    master._check(master.Peer(region, "a", 22), os.path.join(longest, f"m.{region}"))
    said = refusal({"GEOROOT_REGION": "msk", "GEOROOT_PEERS": f"{region}=a", "GEOROOT_RUN_DIR": f"{longest}r"})
    assert f"is too long for the names of sockets; use at most {room} characters" in said


@given(name=st.text(max_size=5) | st.from_regex(r"[A-Za-z0-9._-]{1,66}", fullmatch=True))
def test_a_region_here_is_a_region_for_the_link(name: str) -> None:
    assert keys.is_region(name.strip()) == _taken(units.name, name)


@given(
    host=st.text(max_size=8) | st.ip_addresses().map(str) | st.from_regex(r"[A-Za-z0-9._:%\[\]-]{1,12}", fullmatch=True)
)
def test_a_host_here_is_a_host_for_the_link(host: str) -> None:
    if _taken(units.host, host):
        master._check(master.Peer("ams", units.host(host), 22), "/run/m.ams")


def _taken(read: Callable[[object], object], value: str) -> bool:
    try:
        read(value)
    except Refused:
        return False
    return True


# -- what is handed on


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().delay = 1.0  # type: ignore[misc]


def test_all_settings_can_be_logged_as_they_hold() -> None:
    shown = settings(PEERS="ams=a", COMPRESS="yes").redacted()
    assert set(Settings.model_fields) == set(shown)
    assert {"ams": {"region": "ams", "host": "a", "port": 2222, "compress": True, "bwlimit": 0}} == shown["peers"]
    assert ("/srv/web/html", 3600.0) == (shown["source"], shown["scan_interval"])
    json.dumps(shown)


# -- docs/settings.md


def table(heading: str) -> list[list[str]]:
    """The rows beneath a heading."""
    section = DOCS.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def meaning(model: type[Settings | Peer], name: str) -> str:
    return " ".join((model.model_fields[name].description or "").split())


def test_every_setting_is_documented_as_its_docstring_says() -> None:
    expected = [[f"`{name}`", f"`GEOROOT_{name.upper()}`", meaning(Settings, name)] for name in Settings.model_fields]
    assert expected == [[name, variable, said] for name, variable, _, said in table("All settings")]
    assert all(said for _, _, _, said in table("All settings"))


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "region"])
def test_the_documented_default_is_the_default(name: str) -> None:
    default = next(row[2] for row in table("All settings") if f"`{name}`" == row[0])
    shown = {"none": "", "the region": "msk"}.get(default, default.strip("`"))
    assert settings().redacted() == settings(**{name.upper(): shown}).redacted()
    assert (default == "none") == (settings().redacted()[name] in (None, "", (), {}))


def test_what_is_required_is_documented_so() -> None:
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert required == {row[0].strip("`") for row in table("All settings") if row[2] == "required"} == {"region"}


def test_every_key_of_a_peer_is_documented() -> None:
    defaults = ["required", "`2222`", "the common one", "the common one"]
    assert [
        [f"`{name}`", default, meaning(Peer, name)] for name, default in zip(Peer.model_fields, defaults, strict=True)
    ] == table("Keys of a peer")


def test_the_documented_example_is_good_and_the_documented_refusals_are_said(written: Callable[[str], str]) -> None:
    refusals, example_file = re.findall(r"```\w*\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert ["ams", "fra"] == [target.region for target in load({"GEOROOT_CONFIG": written(example_file)}).targets]
    lines = [
        refusal({"GEOROOT_REGION": "msk", "GEOROOT_CONFIG": written("ssh_prot: 1")}),
        refusal({"GEOROOT_REGION": "msk", "GEOROOT_DELAY": "soon"}),
    ]
    assert lines == refusals.splitlines()


@pytest.mark.parametrize("region", ["msk", "ams"])
def test_the_regions_of_the_compose_project_are_configured(region: str) -> None:
    found = load({"GEOROOT_CONFIG": str(DOCS.parents[1] / "compose" / f"{region}.yaml")})
    assert region == found.region and 1 == len(found.targets)
