"""k8s/: what the manifests say of the sidecar is what it says of itself, and no container may more than it must."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from sidecar.config import Settings, load, sources
from sidecar.link import keys
from sidecar.web.app import reads
from tests.unit.k8s.kustomized import Manifest, built, containers
from tests.unit.web.fakes import WELL, FakeNode

HERE: Final = Path(__file__).parents[3]
K8S: Final = HERE / "k8s"
HTTPD_CONF: Final = HERE / "compose" / "web" / "httpd.conf"
DOCS: Final = (HERE / "docs" / "kubernetes.md").read_text()
REGIONS: Final = sorted(path.name for path in (K8S / "overlays").iterdir())
PLAIN: Final = K8S / "components" / "before-1.29"
MONITORING: Final = K8S / "components" / "monitoring"
ALLOWED_VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
APACHE_ENDS: Final = 20
"""Seconds: its GracefulShutdownTimeout of 10, and as much until it has ended what is left."""


class Region:
    """An overlay, built."""

    def __init__(self, name: str, *components: Path) -> None:
        self.name: Final = name
        self.manifests: Final[list[Manifest]] = built(K8S / "overlays" / name, *components)
        self.set: Final[Manifest] = self.one("StatefulSet", "georoot")
        self.pod: Final[Manifest] = self.set["spec"]["template"]["spec"]

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        (found,) = (manifest for manifest in self.all(kind) if manifest["metadata"]["name"] == name)
        return found

    def container(self, name: str) -> Manifest:
        (found,) = (container for container in containers(self.pod) if container["name"] == name)
        return found

    def volume(self, name: str) -> Manifest:
        volumes: list[Manifest] = self.pod["volumes"]
        (found,) = (volume for volume in volumes if volume["name"] == name)
        return found

    def mounts(self, container: str) -> dict[str, Manifest]:
        """What is mounted, by where."""
        return {mount["mountPath"]: mount for mount in self.container(container)["volumeMounts"]}

    def target_ports(self, service: str) -> dict[str, Any]:
        return {port["name"]: port["targetPort"] for port in self.one("Service", service)["spec"]["ports"]}

    def environment(self, container: str) -> dict[str, str]:
        """The variables as the kubelet sets them in the first Pod."""
        return {
            one["name"]: one.get("value") or self._value(one["valueFrom"]) for one in self.container(container)["env"]
        }

    def _value(self, source: Manifest) -> str:
        if "configMapKeyRef" in source:
            wanted = source["configMapKeyRef"]
            return str(self.one("ConfigMap", wanted["name"])["data"][wanted["key"]])
        assert source == {"fieldRef": {"fieldPath": "metadata.name"}}
        return f"{self.set['metadata']['name']}-0"


Loader = Callable[..., Settings]


@pytest.fixture(params=REGIONS)
def region(request: pytest.FixtureRequest) -> Region:
    return Region(request.param)


@pytest.fixture(params=[(name, form) for name in REGIONS for form in ("native", "plain")], ids="-".join)
def either(request: pytest.FixtureRequest) -> Region:
    """A region with the sidecar as init container or as plain one."""
    name, form = request.param
    return Region(name, *([PLAIN] if form == "plain" else []))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """The settings that a region's sidecar comes to; further variables may be given."""

    def read(region: Region, **more: str) -> Settings:
        mount = region.mounts("sidecar")[sources.DEFAULT_FILE]
        volume = region.volume(mount["name"])
        text = region.one("ConfigMap", volume["configMap"]["name"])["data"][mount["subPath"]]
        (tmp_path / "config.yaml").write_text(text)
        with monkeypatch.context() as here:
            here.setattr(sources, "DEFAULT_FILE", str(tmp_path / "config.yaml"))
            return load(region.environment("sidecar") | more)

    return read


def test_each_region_knows_itself_and_all_others(region: Region, settings: Loader) -> None:
    found = settings(region)
    assert (region.name, "georoot-0") == (found.region, found.node)
    assert set(REGIONS) - {region.name} == set(found.peers)
    assert region.name == region.environment("web")["REGION"]


def test_what_kubernetes_says_of_the_services_changes_no_setting(region: Region, settings: Loader) -> None:
    links: dict[str, str] = {}
    for service in region.all("Service"):
        name = service["metadata"]["name"].upper().replace("-", "_")
        for port in service["spec"]["ports"]:
            number = str(port["port"])
            links |= {f"{name}_SERVICE_HOST": "10.0.0.1", f"{name}_SERVICE_PORT": number}
            links |= {f"{name}_SERVICE_PORT_{port['name'].upper()}": number, f"{name}_PORT": f"tcp://10.0.0.1:{number}"}
            links |= {f"{name}_PORT_{number}_TCP": f"tcp://10.0.0.1:{number}", f"{name}_PORT_{number}_TCP_PORT": number}
            links |= {f"{name}_PORT_{number}_TCP_PROTO": "tcp", f"{name}_PORT_{number}_TCP_ADDR": "10.0.0.1"}
    assert settings(region) == settings(region, **links)


def test_every_container_is_restricted(either: Region) -> None:
    pod = either.pod["securityContext"]
    assert (True, {"type": "RuntimeDefault"}) == (pod["runAsNonRoot"], pod["seccompProfile"])
    for container in containers(either.pod):
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert not [port for port in container.get("ports", []) if "hostPort" in port]
    assert not either.pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert {kind for volume in either.pod["volumes"] for kind in volume.keys() - {"name"}} <= ALLOWED_VOLUMES
    assert (
        "restricted" == either.one("Namespace", "georoot")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    )


def test_all_run_as_the_user_of_the_image(region: Region) -> None:
    (user,) = set(re.findall(r"^USER (\d+):\1$", (HERE / "Dockerfile").read_text(), re.MULTILINE))
    context = region.pod["securityContext"]
    assert {int(user)} == {context["runAsUser"], context["runAsGroup"], context["fsGroup"]}
    assert "OnRootMismatch" == context["fsGroupChangePolicy"]


def test_every_container_has_limits_of_memory_and_none_of_cpu(region: Region) -> None:
    for container in containers(region.pod):
        assert ({"cpu", "memory"}, {"memory"}) == tuple(
            set(container["resources"][of]) for of in ("requests", "limits")
        )


def test_the_web_root_is_made_before_anything_mounts_a_part_of_the_volume(either: Region, settings: Loader) -> None:
    source = Path(settings(either).source)
    first, *others = containers(either.pod)
    assert ["mkdir", "-p", "-m", "00755", str(source)] == first["command"]
    whole = [{"name": "site", "mountPath": settings(either).volume}]
    assert whole == first["volumeMounts"]
    assert whole == [mount for mount in either.container("sidecar")["volumeMounts"] if mount["name"] == "site"]
    (served,) = (mount for mount in either.container("web")["volumeMounts"] if mount["name"] == "site")
    assert source == Path(settings(either).volume) / served["subPath"]
    assert f'DocumentRoot "{served["mountPath"]}"' in HTTPD_CONF.read_text()
    assert {"sidecar", "web"} == {container["name"] for container in others}


def test_what_is_written_besides_goes_to_memory(region: Region, settings: Loader) -> None:
    for name, paths in (("sidecar", (settings(region).run_dir, "/tmp")), ("web", ("/tmp",))):
        volumes = [region.volume(region.mounts(name)[path]["name"]) for path in paths]
        assert ["Memory"] * len(paths) == [volume["emptyDir"]["medium"] for volume in volumes]
        assert len(paths) == len({volume["name"] for volume in volumes})


def test_probes_ask_for_what_the_sidecar_answers_where_it_answers(either: Region, settings: Loader) -> None:
    sidecar, port = either.container("sidecar"), settings(either).http_port
    asked = {name: sidecar[name]["httpGet"] for name in sidecar if name.endswith("Probe")}
    assert {
        "startupProbe": {"path": "/startupz", "port": port},
        "readinessProbe": {"path": "/readyz", "port": port},
        "livenessProbe": {"path": "/livez", "port": port},
    } == asked
    routes = {path for _, path in reads(FakeNode(WELL))}
    assert {probe["path"] for probe in asked.values()} <= routes


def test_no_probe_opens_a_port_and_says_nothing(either: Region) -> None:
    probes = [one[name] for one in containers(either.pod) for name in one if name.endswith("Probe")]
    assert probes
    assert not [probe for probe in probes if "tcpSocket" in probe]


def test_services_lead_to_the_ports_that_are_listened_on(region: Region, settings: Loader) -> None:
    found = settings(region)
    (apache,) = (int(port) for port in re.findall(r"^Listen (\d+)$", HTTPD_CONF.read_text(), re.MULTILINE))
    assert {"http": apache} == region.target_ports("georoot")
    assert {"ssh": found.ssh_port} == region.target_ports("georoot-ssh")
    assert {"ssh": found.ssh_port, "status": found.http_port} == region.target_ports("georoot-pods")
    assert 3 == len({apache, found.ssh_port, found.http_port}), "a Pod has one set of ports"
    for name, ports in (("web", {apache}), ("sidecar", {found.ssh_port, found.http_port})):
        assert ports == {port["containerPort"] for port in region.container(name)["ports"]}
        assert not [port for port in region.container(name)["ports"] if len(port["name"]) > 15]


def test_peers_reach_a_region_whose_site_is_not_ready(region: Region) -> None:
    spec = region.one("Service", "georoot-ssh")["spec"]
    assert ("LoadBalancer", "Local") == (spec["type"], spec["externalTrafficPolicy"])
    assert spec["publishNotReadyAddresses"]
    default = {peer.port for peer in Settings(region="x", peers={"y": "z"}).targets}
    assert default == {port["port"] for port in spec["ports"]}


def test_the_network_policy_lets_in_what_the_services_lead_to(region: Region, settings: Loader) -> None:
    spec = region.one("NetworkPolicy", "georoot")["spec"]
    into = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
    assert {port for name in ("georoot", "georoot-pods") for port in region.target_ports(name).values()} == into
    out = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
    assert {53} | {peer.port for peer in settings(region).targets} == out


def test_everything_selects_the_pod(region: Region) -> None:
    labels = region.set["spec"]["template"]["metadata"]["labels"].items()
    selectors = [service["spec"]["selector"] for service in region.all("Service")]
    selectors += [region.one("PodDisruptionBudget", "georoot")["spec"]["selector"]["matchLabels"]]
    selectors += [region.one("NetworkPolicy", "georoot")["spec"]["podSelector"]["matchLabels"]]
    selectors += [region.set["spec"]["selector"]["matchLabels"]]
    assert all(selector and selector.items() <= labels for selector in selectors)
    governing = region.one("Service", region.set["spec"]["serviceName"])
    assert "None" == governing["spec"]["clusterIP"]


def test_all_of_a_region_is_in_one_namespace(region: Region) -> None:
    (namespace,) = region.all("Namespace")
    others = [manifest["metadata"]["namespace"] for manifest in region.manifests if manifest is not namespace]
    assert {namespace["metadata"]["name"]} == set(others)


def test_metrics_are_found() -> None:
    region = Region(REGIONS[0], MONITORING)
    spec = region.one("ServiceMonitor", "georoot")["spec"]
    wanted = spec["selector"]["matchLabels"].items()
    (service,) = (one for one in region.all("Service") if wanted <= one["metadata"]["labels"].items())
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in {path for _, path in reads(FakeNode(WELL))}


def test_there_is_time_to_stop(region: Region, settings: Loader) -> None:
    web = region.container("web")
    assert ["-c", "GracefulShutdownTimeout 10"] == web["command"][-2:]
    (before,) = web["lifecycle"]["preStop"]["exec"]["command"][1:]
    needed = int(before) + APACHE_ENDS + settings(region).drain
    assert region.pod["terminationGracePeriodSeconds"] >= needed + 10


def test_apache_has_the_configuration_that_compose_gives_it(region: Region) -> None:
    command = region.container("web")["command"]
    path = Path(command[command.index("-f") + 1])
    volume = region.volume(region.mounts("web")[str(path.parent)]["name"])
    assert HTTPD_CONF.read_text() == region.one("ConfigMap", volume["configMap"]["name"])["data"][path.name]


@pytest.fixture
def exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The keys directory of each region, as `sidecar keygen --exchange` fills it, but for the bytes of the keys."""

    def make(path: str) -> None:
        Path(path).write_text("private\n")
        Path(f"{path}.pub").write_text(f"ssh-ed25519 {Path(path).parent.name}{Path(path).name[:4]} georoot\n")

    monkeypatch.setattr(keys, "_keygen", make)
    monkeypatch.setattr(keys, "_check_private", lambda _copy, _path: None)
    made = {name: tmp_path / name for name in REGIONS}
    for directory in made.values():
        keys.make_region_keys(str(directory))
    keys.exchange({name: str(directory) for name, directory in made.items()})
    return made


def test_the_secret_holds_all_that_the_sidecar_reads(
    region: Region, settings: Loader, exchanged: dict[str, Path], tmp_path: Path
) -> None:
    mount = region.mounts("sidecar")[settings(region).keys_dir]
    mounted = tmp_path / "mounted"
    for item in region.volume(mount["name"])["secret"]["items"]:
        target = mounted / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((exchanged[region.name] / item["path"]).read_bytes())
    peers = [peer.region for peer in settings(region).targets]
    installed = keys.install(str(mounted), str(tmp_path / "run"), peers, gate="/gate")
    assert peers == [line.split()[0] for line in Path(installed.known_hosts).read_text().splitlines()]
    assert mount["readOnly"]


def test_the_group_may_read_the_keys_and_nobody_else(region: Region) -> None:
    assert 0o440 == region.volume("keys")["secret"]["defaultMode"]


def test_the_documented_command_makes_the_secret_that_is_mounted() -> None:
    made = dict(re.findall(r"--from-file=(\S+?)=keys/msk/(\S+)", DOCS))
    secret = Region("msk").volume("keys")["secret"]
    assert {item["key"]: item["path"] for item in secret["items"]} == made
    assert f"create secret generic {secret['secretName']} " in DOCS


def test_the_plain_form_is_the_native_one_but_for_its_place() -> None:
    native, plain = Region(REGIONS[0]), Region(REGIONS[0], PLAIN)
    assert native.container("sidecar") == plain.container("sidecar") | {"restartPolicy": "Always"}
    assert ["web-root"] == [container["name"] for container in plain.pod["initContainers"]]
    assert ["web-root", "sidecar", "web"] == [container["name"] for container in containers(native.pod)]


def test_what_is_to_be_set_is_documented() -> None:
    texts = [path.read_text() for path in (K8S / "overlays").rglob("*.yaml")]
    found = {name for text in texts for name in re.findall(r"\bSET-[A-Z-]+[A-Z]", text)}
    assert found
    assert {name for name in found if f"`{name}`" in DOCS} == found


def test_every_component_is_documented() -> None:
    assert [] == [path.name for path in (K8S / "components").iterdir() if f"`{path.name}`" not in DOCS]
