"""Where homes stand for the containers of one scenario after the other."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Protocol

import docker
from docker.errors import APIError
from msgspec.structs import replace

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.keeper import Keeper, volumes
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.request import ASIDE, ImageFacts
from conformance.drivers.container.spec import Volume
from conformance.drivers.container.trees import Trees
from conformance.home import Snapshot, read_tar, stamps
from conformance.home.build import Unbuildable

__all__ = ["Ground", "KeptGround", "PlainGround"]


class Ground(Protocol):
    """A HOME and what lies beside it, as volumes."""

    volumes: tuple[Volume, Volume]
    lasting: bool
    """Whether it can be used for another scenario."""

    def lay_out(self, trees: Trees) -> None:
        """Make *trees* all that is there, before the container is made.

        :raises CannotJudge: that is not possible.
        """

    def fill(self, container: str, trees: Trees) -> None:
        """Do the same where only a *container* can be filled, before it starts."""

    def look(self, container: str) -> tuple[Snapshot, Snapshot]:
        """Return what stands in the HOME and in the opposite one, when the *container* has ended."""

    def close(self, *, keep_volumes: bool = False) -> None:
        """Remove it; the volumes stay where that is wanted."""


class KeptGround:
    """Taken care of by a keeper."""

    lasting = True

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._keeper = Keeper(client, facts, labels)
        self.volumes = self._keeper.volumes

    def lay_out(self, trees: Trees) -> None:
        """See :class:`Ground`."""
        self._keeper.lay_out(trees)

    def fill(self, container: str, trees: Trees) -> None:
        """See :class:`Ground`."""

    def look(self, container: str) -> tuple[Snapshot, Snapshot]:
        """See :class:`Ground`."""
        return self._keeper.look()

    def close(self, *, keep_volumes: bool = False) -> None:
        """See :class:`Ground`."""
        self._keeper.close(keep_volumes=keep_volumes)


class PlainGround:
    """Filled and read through the engine, for images that have no shell; each of its requests costs as much as a start."""

    lasting = False

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._client = client
        self._home = facts.home
        self.volumes = volumes(client, labels.of(), facts.home)

    def lay_out(self, trees: Trees) -> None:
        """See :class:`Ground`."""
        if trees.sockets:
            raise Unbuildable("no tar archive can hold a socket, and the image has no shell to make one from")

    def fill(self, container: str, trees: Trees) -> None:
        """See :class:`Ground`."""
        if any(volume.read_only for volume in self.volumes):
            raise Unbuildable("a read-only HOME can only be filled by the shell of an image, and this one has none")
        with engine_errors("the home cannot be laid out in the container"):
            self._client.api.put_archive(container, self._home, replace(trees, aside=()).archive(".", "."))
            self._client.api.put_archive(container, ASIDE, replace(trees, home=()).archive(".", "."))

    def look(self, container: str) -> tuple[Snapshot, Snapshot]:
        """See :class:`Ground`."""
        return self._read(container, self._home), self._read(container, f"{ASIDE}/opposite")

    def _read(self, container: str, path: str) -> Snapshot:
        with engine_errors("the home cannot be read back"):
            try:
                stream, _ = self._client.api.get_archive(container, path)
            except APIError as e:
                if e.status_code == 404:
                    return {}
                raise
            return stamps(read_tar(io.BytesIO(b"".join(stream))))

    def close(self, *, keep_volumes: bool = False) -> None:
        """See :class:`Ground`."""
        for volume in () if keep_volumes else self.volumes:
            with suppress(*ENGINE_ERRORS):
                self._client.api.remove_volume(volume.name, force=True)
