"""What kustomize makes of a directory, as far as ours ask of it; the rest is refused. Names get no hash."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]

_KNOWN: Final = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "components",
    "configMapGenerator",
    "images",
    "patches",
}
_BY_NAME: Final = ("volumes", "containers", "initContainers")
"""Lists of which a patch changes the entries that it names; any other list it replaces."""


def built(directory: Path, *components: Path) -> list[Manifest]:
    """The manifests that `directory` comes to, and what further components make of them."""
    made: list[Manifest] = []
    _add(directory, made)
    for component in components:
        _add(component, made)
    return made


def containers(pod: Manifest) -> list[Manifest]:
    """All containers of a Pod, in the order in which they start."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def _add(directory: Path, made: list[Manifest]) -> None:
    (asked,) = _documents(directory / "kustomization.yaml")
    assert asked.keys() <= _KNOWN
    for name in asked.get("resources", []):
        made += built(directory / name) if (directory / name).is_dir() else _documents(_below(directory, name))
    for name in asked.get("components", []):
        _add(directory / name, made)
    made += (_config_map(directory, one) for one in asked.get("configMapGenerator", []))
    for patch in asked.get("patches", []):
        text = patch["patch"] if "patch" in patch else _below(directory, patch["path"]).read_text()
        _patch(made, yaml.safe_load(text), patch.get("target"))
    for image in asked.get("images", []):
        _rename(made, image)
    if "namespace" in asked:
        for manifest in made:
            if manifest["kind"] != "Namespace":
                manifest["metadata"]["namespace"] = asked["namespace"]


def _documents(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text()))


def _below(directory: Path, name: str) -> Path:
    """A file of the directory: kustomize reads none elsewhere, symlinks followed."""
    path = (directory / name).resolve()
    assert path.is_relative_to(directory.resolve()), f"{name} is not below {directory}"
    return path


def _config_map(directory: Path, asked: Manifest) -> Manifest:
    assert asked.keys() <= {"name", "files", "literals"}
    data = dict(literal.split("=", 1) for literal in asked.get("literals", []))
    data |= {name: _below(directory, name).read_text() for name in asked.get("files", [])}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": asked["name"]}, "data": data}


def _rename(made: list[Manifest], image: Manifest) -> None:
    found = [
        container
        for manifest in made
        if manifest["kind"] == "StatefulSet"
        for container in containers(manifest["spec"]["template"]["spec"])
        if container["image"].partition(":")[0] == image["name"]
    ]
    assert found, f"no container runs {image['name']}"
    for container in found:
        container["image"] = f"{image['newName']}:{image['newTag']}"


def _patch(made: list[Manifest], patch: Manifest | list[Manifest], target: Manifest | None) -> None:
    wanted = target or {"kind": patch["kind"], "name": patch["metadata"]["name"]}  # type: ignore[call-overload]
    (found,) = (one for one in made if (one["kind"], one["metadata"]["name"]) == (wanted["kind"], wanted["name"]))
    if isinstance(patch, list):
        for step in patch:
            _STEPS[step["op"]](found, step)
    else:
        _merge(found, patch)


def _merge(old: Manifest, new: Manifest) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and key in old:
            _merge(old[key], value)
        elif key in _BY_NAME:
            named = {one["name"]: one for one in old[key]}
            for one in value:
                _merge(named[one["name"]], one)
        else:
            old[key] = copy.deepcopy(value)


def _at(manifest: Manifest, pointer: str) -> tuple[Any, Any]:
    """What holds the place that a JSON pointer names, and its key or index there."""
    *steps, last = (int(step) if step.isdigit() else step for step in pointer.split("/")[1:])
    holder: Any = manifest
    for step in steps:
        holder = holder[step]
    return holder, last


def _test(manifest: Manifest, step: Manifest) -> None:
    holder, key = _at(manifest, step["path"])
    assert step["value"] == holder[key]


def _replace(manifest: Manifest, step: Manifest) -> None:
    holder, key = _at(manifest, step["path"])
    assert key in holder
    holder[key] = step["value"]


def _remove(manifest: Manifest, step: Manifest) -> None:
    holder, key = _at(manifest, step["path"])
    del holder[key]


def _move(manifest: Manifest, step: Manifest) -> None:
    holder, key = _at(manifest, step["from"])
    onto, last = _at(manifest, step["path"])
    assert last == "-"
    onto.append(holder.pop(key))


_STEPS: Final[dict[str, Callable[[Manifest, Manifest], None]]] = {
    "test": _test,
    "replace": _replace,
    "remove": _remove,
    "move": _move,
}
