"""Pods in documents: what runs them, their containers, variables and mounts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from conformance.wiring.tree import Place

__all__ = [
    "Configs",
    "Container",
    "Mount",
    "Variable",
    "Workload",
    "find_configs",
    "find_workloads",
    "is_placeholder",
    "other_kinds",
]

#: Where the Pod's spec lies in each kind of workload.
_POD_SPECS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        (
            "Deployment",
            "StatefulSet",
            "DaemonSet",
            "ReplicaSet",
            "ReplicationController",
            "Job",
        ),
        ("spec", "template", "spec"),
    ),
}
#: What a later tool fills in, or the kubelet: such a text says nothing yet.
_PLACEHOLDER = re.compile(r"\$\{|\{\{|\$\(|^<.*>$|^%.*%$|^@.*@$")
#: The key of a Secret's or ConfigMap's content.
_CONTENT = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}

#: The key that says which one of its kind a volume is.
_SOURCE_NAMES = {
    "persistentVolumeClaim": ("claimName",),
    "secret": ("secretName",),
    "configMap": ("name",),
    "hostPath": ("path",),
}

Role = Literal["main", "init", "sidecar"]


def is_placeholder(text: str) -> bool:
    """Return whether *text* stands for what is filled in later."""
    return _PLACEHOLDER.search(text) is not None


class Variable(Struct, frozen=True):
    """A variable of a container."""

    value: str | None
    """None where the manifest does not say it."""
    place: Place


class Mount(Struct, frozen=True):
    """A volume, or a part of one, where a container sees it."""

    path: str
    volume: str
    kind: str
    """The key of its source, such as ``secret``; empty if the Pod has no such volume."""
    read_only: bool
    sub_path: bool
    place: Place
    source: Place | None
    """What the Pod says of the volume."""

    @property
    def of_files(self) -> bool:
        """Whether Kubernetes fills it, so that it is read-only."""
        return self.kind in ("secret", "configMap", "projected", "downwardAPI")

    @property
    def source_id(self) -> tuple[object, ...]:
        """What tells whether two volumes are the same one, whatever the Pod calls them."""
        for key in _SOURCE_NAMES.get(self.kind, ()):
            if self.source is not None and (name := self.source.text(self.kind, key)):
                return self.kind, name
        return "", self.volume


class Configs(Struct, frozen=True):
    """The ConfigMaps and Secrets among the documents."""

    by_name: Mapping[tuple[str, str, str], dict[str, str | None]]
    """Kind, namespace and name to what each holds; None for a value that is not plain text."""

    def get(self, kind: str, workload: Workload, name: str) -> dict[str, str | None] | None:
        """Return what that ConfigMap or Secret holds; None if it is not among the documents."""
        return self.by_name.get((kind, workload.namespace, name))


class Workload(Struct, frozen=True, eq=False):
    """Something that runs a Pod."""

    kind: str
    name: str
    namespace: str
    document: Place
    pod: Place

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def containers(self) -> list[Container]:
        """Return its containers: init containers first, in the order in which they start."""
        found = []
        for key in ("initContainers", "containers"):
            for place in self.pod.elements(key):
                role: Role = "main"
                if key == "initContainers":
                    role = "sidecar" if place.text("restartPolicy") == "Always" else "init"
                found.append(Container(self, place, role))
        return found

    def volumes(self) -> dict[str, tuple[str, Place]]:
        """Return its volumes: name to the kind of source, and the place of the volume."""
        found = {}
        for place in self.pod.elements("volumes"):
            kinds = [key for key in place.entries() if key != "name"]
            kind = kinds[0] if kinds else "emptyDir"
            parts = {key for part in place.elements(kind, "sources") for key in part.entries()}
            # One that is put together of nothing but ConfigMaps is one.
            kind = "configMap" if parts == {"configMap"} else kind
            found[place.text("name")] = kind, place
        # A StatefulSet makes a volume of each of these.
        for place in self.document.elements("spec", "volumeClaimTemplates"):
            found[place.text("metadata", "name")] = "persistentVolumeClaim", place
        return found

    @property
    def restart_policy(self) -> str:
        """When containers are started again; Always where nothing is said."""
        return self.pod.text("restartPolicy") or "Always"


class Container(Struct, frozen=True, eq=False):
    """A container of a workload."""

    workload: Workload
    place: Place
    role: Role

    @property
    def name(self) -> str:
        """Its name; empty if it has none."""
        return self.place.text("name")

    @property
    def image(self) -> str:
        """Its image; empty if the manifest does not say it."""
        return self.place.text("image")

    @property
    def restart_policy(self) -> str:
        """When it is started again: as it says itself, or else as its Pod does."""
        return self.place.text("restartPolicy") or self.workload.restart_policy

    def argv(self) -> tuple[str, ...]:
        """Return command and args, as far as the manifest says them."""
        return (*self.place.words("command"), *self.place.words("args"))

    def variables(self, configs: Configs) -> dict[str, Variable]:
        """Return the variables that the manifest is known to set."""
        found: dict[str, Variable] = {}
        for source, kind, name in self._sources():
            content = configs.get(kind, self.workload, name) or {}
            prefix = source.text("prefix")
            for key, value in content.items():
                found[prefix + key] = Variable(value, source)
        for entry in self.place.elements("env"):
            found[entry.text("name")] = Variable(self._value(entry, configs), entry)
        return found

    def _value(self, entry: Place, configs: Configs) -> str | None:
        if entry.at("valueFrom") is None:
            value = entry.scalar("value")
            text = "" if value is None else str(value)
            return None if is_placeholder(text) else text
        for reference, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            name = entry.text("valueFrom", reference, "name")
            content = configs.get(kind, self.workload, name) or {}
            if entry.at("valueFrom", reference) is not None:
                return content.get(entry.text("valueFrom", reference, "key"))
        return None

    def unknown_sources(self, configs: Configs) -> list[str]:
        """Return the ConfigMaps and Secrets that may set any variable, and cannot be read here."""
        return [
            f"{kind} {name}"
            for _, kind, name in self._sources()
            if configs.get(kind, self.workload, name) is None
        ]

    def _sources(self) -> Iterator[tuple[Place, str, str]]:
        for source in self.place.elements("envFrom"):
            for reference, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if source.at(reference) is not None:
                    yield source, kind, source.text(reference, "name")

    def mounts(self) -> list[Mount]:
        """Return what is mounted in it."""
        volumes = self.workload.volumes()
        found = []
        for place in self.place.elements("volumeMounts"):
            name = place.text("name")
            kind, source = volumes.get(name, ("", None))
            path = place.text("mountPath")
            sub_path = bool(place.text("subPath") or place.text("subPathExpr"))
            read_only = place.scalar("readOnly") is True
            # A claim that is read-only makes each mount of it so.
            if source is not None and source.scalar(kind, "readOnly") is True:
                read_only = True
            if path.startswith("/"):
                path = posixpath.normpath(path).replace("//", "/")
            found.append(Mount(path, name, kind, read_only, sub_path, place, source))
        return found

    def security(self, key: str) -> bool | int | str | float | None:
        """Return what its security context says of *key*, or else that of the Pod."""
        own = self.place.scalar("securityContext", key)
        if own is not None:
            return own
        return self.workload.pod.scalar("securityContext", key)


def find_workloads(documents: Iterable[Place]) -> Iterator[Workload]:
    """Yield what runs a Pod among *documents*, also inside of Lists."""
    for document in _flat(documents):
        kind = document.text("kind")
        pod = document.at(*_POD_SPECS[kind]) if kind in _POD_SPECS else None
        if pod is None:
            continue
        name = document.text("metadata", "name") or document.text("metadata", "generateName")
        namespace = document.text("metadata", "namespace")
        yield Workload(kind, name or "without a name", namespace, document, pod)


def other_kinds(documents: Iterable[Place]) -> Iterator[Place]:
    """Yield documents that seem to run Pods, and nothing says where these are.

    They have what looks like a Pod's template; or the name of a known kind, as a Job of Volcano's
    has, and no Pod in its place.
    """
    for document in _flat(documents):
        kind = document.text("kind")
        if kind in _POD_SPECS:
            found = document.at(*_POD_SPECS[kind]) is None
        else:
            found = bool(document.elements("spec", "template", "spec", "containers"))
        if found:
            yield document


def find_configs(documents: Iterable[Place]) -> Configs:
    """Return the ConfigMaps and Secrets among *documents*."""
    found: dict[tuple[str, str, str], dict[str, str | None]] = {}
    for document in _flat(documents):
        kind = document.text("kind")
        content: dict[str, str | None] = {}
        for key in _CONTENT.get(kind, ()):
            for name, place in document.entries(key).items():
                plain = key == "stringData" or (kind, key) == ("ConfigMap", "data")
                text = place.text()
                content[name] = text if plain and text and not is_placeholder(text) else None
        if kind in _CONTENT:
            name = document.text("metadata", "name")
            found[kind, document.text("metadata", "namespace"), name] = content
    return Configs(found)


def _flat(documents: Iterable[Place], depth: int = 0) -> Iterator[Place]:
    for document in documents:
        if document.text("kind").endswith("List") and document.elements("items"):
            if depth < 5:
                yield from _flat(document.elements("items"), depth + 1)
        else:
            yield document
