"""Volumes and shared containers, used for one scenario at a time and then for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import docker
from msgspec.structs import replace

from conformance.drivers.container.labels import Labels
from conformance.drivers.container.shared_container import SharedContainer
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.volumes import HomeVolumes

__all__ = ["ContainerPool", "PooledContainers"]


class PooledContainers:
    """The volumes of a home, and the containers over them that scenarios share."""

    def __init__(self, volumes: HomeVolumes) -> None:
        self.volumes = volumes
        self._shared: dict[tuple[str, str, bool], SharedContainer] = {}

    def shared(
        self, client: docker.DockerClient, spec: ContainerSpec, labels: Labels
    ) -> SharedContainer:
        """Return a container that runs a shell, and otherwise is like *spec*."""
        key = _key(spec)
        if key not in self._shared:
            wanted = replace(spec, argv=("sh",), environment={}, read_only=True, directory="/")
            self._shared[key] = SharedContainer(client, wanted, labels.for_scenario())
        return self._shared[key]

    def drop(self, spec: ContainerSpec) -> None:
        """Remove the shared container that is like *spec*."""
        if container := self._shared.pop(_key(spec), None):
            container.close()

    def close(self) -> None:
        """Remove all containers and the volumes."""
        for container in list(self._shared.values()):  # a run that is being ended may still add one
            container.close()
        self.volumes.close()


def _key(spec: ContainerSpec) -> tuple[str, str, bool]:
    """Return what can differ between containers over one pair of volumes."""
    return spec.image, spec.user, spec.volumes[0].read_only


class ContainerPool:
    """Lends containers and volumes to one scenario at a time. Safe to use from several threads."""

    def __init__(self, make_volumes: Callable[[], HomeVolumes]) -> None:
        self._make_volumes = make_volumes
        self._idle: list[PooledContainers] = []
        self._all: set[PooledContainers] = set()
        self._lock = threading.Lock()
        self.closed = False

    @contextmanager
    def taken(self) -> Iterator[PooledContainers]:
        """Lend containers for one scenario; after an error they are not used again."""
        pooled = self._take()
        usable = False
        try:
            yield pooled
            usable = pooled.volumes.lasting
        finally:
            self._give_back(pooled, usable=usable)

    def _take(self) -> PooledContainers:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        pooled = PooledContainers(self._make_volumes())
        with self._lock:
            self._all.add(pooled)
        return pooled

    def _give_back(self, pooled: PooledContainers, *, usable: bool) -> None:
        with self._lock:
            if usable and not self.closed:
                self._idle.append(pooled)
                return
            self._all.discard(pooled)
        pooled.close()

    def close(self) -> None:
        """Remove all containers and volumes."""
        with self._lock:
            self.closed = True
            remaining, self._all = self._all, set()
        if remaining:
            with ThreadPoolExecutor(8) as pool:  # each takes the engine a fifth of a second
                list(pool.map(PooledContainers.close, remaining))
