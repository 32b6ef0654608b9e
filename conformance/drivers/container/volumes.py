"""Where homes stand for the containers of one scenario after the other."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Protocol

import docker
from docker.errors import APIError

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.keeper import volumes
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import PlacedLayout
from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.home import Snapshot, read_tar, stamps
from conformance.home.build import Unbuildable

__all__ = ["HomeVolumes", "PlainVolumes"]


class HomeVolumes(Protocol):
    """A HOME and what lies beside it, as volumes: a keeper, where the image has what one needs."""

    volumes: tuple[Volume, Volume]
    lasting: bool
    """Whether it can be used for another scenario."""

    def place(self, layout: PlacedLayout) -> None:
        """Make *layout* all that is there.

        :raises CannotJudge: that is not possible.
        """

    def look(self) -> tuple[Snapshot, Snapshot]:
        """Return what stands in the HOME and in the opposite one."""

    def close(self, *, keep_volumes: bool = False) -> None:
        """Remove it; the volumes stay where that is wanted."""


class PlainVolumes:
    """Filled and read through the engine, for images that have no shell; each of its requests costs as much as a start.

    That goes by a container over the same volumes which is never started, so that the probe's own may be read-only.
    """

    lasting = False

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._client = client
        self._home = facts.home
        self.volumes = volumes(client, labels.for_scenario(), facts.home)
        self._container = ""
        try:
            self._container = ContainerSpec(image=facts.id, argv=("/",), volumes=self.volumes).create(
                client, labels.for_scenario()
            )
        except BaseException:
            self.close()
            raise

    def place(self, layout: PlacedLayout) -> None:
        """See :class:`HomeVolumes`."""
        if layout.sockets:
            raise Unbuildable("no tar archive can hold a socket, and the image has no shell to make one from")
        with engine_errors("the home cannot be laid out in the container"):
            # From the top, because an archive says nothing about the directory that it is unpacked in.
            self._client.api.put_archive(self._container, "/", layout.archive(self._home.lstrip("/"), ASIDE.lstrip("/")))

    def look(self) -> tuple[Snapshot, Snapshot]:
        """See :class:`HomeVolumes`."""
        return self._read(self._home), self._read(f"{ASIDE}/opposite")

    def _read(self, path: str) -> Snapshot:
        with engine_errors("the home cannot be read back"):
            try:
                stream, _ = self._client.api.get_archive(self._container, path)
            except APIError as e:
                if e.status_code == 404:
                    return {}
                raise
            return stamps(read_tar(io.BytesIO(b"".join(stream))))

    def close(self, *, keep_volumes: bool = False) -> None:
        """See :class:`HomeVolumes`."""
        with suppress(*ENGINE_ERRORS):
            if self._container:
                self._client.api.remove_container(self._container, v=True, force=True)
        for volume in () if keep_volumes else self.volumes:
            with suppress(*ENGINE_ERRORS):
                self._client.api.remove_volume(volume.name, force=True)
