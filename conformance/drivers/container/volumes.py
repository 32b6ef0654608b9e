"""Where the homes of one scenario after the other are, for its containers."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import docker
from docker.errors import APIError

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.keeper import Look, volumes
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import PlacedLayout, spool
from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.home import Snapshot, snapshot_tar
from conformance.home.build import Unbuildable

__all__ = ["HomeVolumes", "PlainVolumes"]


class HomeVolumes(Protocol):
    """A HOME and what is beside it, as volumes: a keeper, if the image has what one needs."""

    volumes: tuple[Volume, Volume]
    lasting: bool
    """Whether it can be used for another scenario."""

    def place(self, layout: PlacedLayout) -> None:
        """Replace all that is there by *layout*.

        :raises CannotJudge: that is not possible.
        """

    def look(self) -> Look:
        """Return what is there."""

    def close(self, *, keep_volumes: bool = False) -> None:
        """Remove everything; with *keep_volumes*, the volumes stay."""


class PlainVolumes:
    """Volumes filled and read through the engine, for images without a shell.

    Each request to the engine costs as much as a start. They go through a container over the same
    volumes that is never started, so that the probe's own can be read-only.
    """

    lasting = False

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._client = client
        self._home = facts.home
        self.volumes = volumes(client, labels.for_scenario(), facts.home)
        self._container = ""
        try:
            spec = ContainerSpec(image=facts.id, argv=("/",), volumes=self.volumes)
            self._container = spec.create(client, labels.for_scenario())
        except BaseException:
            self.close()
            raise

    def place(self, layout: PlacedLayout) -> None:
        """See :class:`HomeVolumes`."""
        if layout.sockets:
            cause = "no tar archive can hold a socket, and the image has no shell to make one from"
            raise Unbuildable(cause)
        # From the root, because an archive says nothing about the directory that it is unpacked in.
        with (
            layout.archive(self._home.lstrip("/"), ASIDE.lstrip("/")) as archive,
            engine_errors("the home cannot be laid out in the container"),
        ):
            self._client.api.put_archive(self._container, "/", archive)

    def look(self) -> Look:
        """See :class:`HomeVolumes`."""
        # Without a shell no stub runs that could keep what it is asked.
        return Look(home=self._read(self._home), opposite=self._read(f"{ASIDE}/opposite"))

    def _read(self, path: str) -> Snapshot:
        with engine_errors("the home cannot be read back"):
            try:
                stream, _ = self._client.api.get_archive(self._container, path)
            except APIError as e:
                if e.status_code == 404:
                    return {}
                raise
            with spool() as archive:
                for chunk in stream:
                    archive.write(chunk)
                archive.seek(0)
                return snapshot_tar(archive)[0]

    def close(self, *, keep_volumes: bool = False) -> None:
        """See :class:`HomeVolumes`."""
        with suppress(*ENGINE_ERRORS):
            if self._container:
                self._client.api.remove_container(self._container, v=True, force=True)
        for volume in () if keep_volumes else self.volumes:
            with suppress(*ENGINE_ERRORS):
                self._client.api.remove_volume(volume.name, force=True)
