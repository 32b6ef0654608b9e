"""Real homes that only a container engine can reach: in a container, or in a volume.

The engine hands them out as archives. Nothing is started for that, and nothing stays.
"""

from __future__ import annotations

import io
import os
import posixpath
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import docker
from docker.errors import APIError, NotFound

from conformance.drivers.container.client import connect, engine_errors
from conformance.drivers.container.facts import engine_name, identity
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.errors import CannotJudge, UsageError
from conformance.home import write_tar
from conformance.home.archive_reading import ArchiveHome
from conformance.home.links import below
from conformance.home.visible import Wanted

__all__ = ["container_home", "in_memory", "volume_home"]

#: Where the volume is in the container that is made to look into it.
_PLACE = "/volume"
#: Bytes that are asked of the connection to the engine at a time.
_CHUNK = 256 * 1024


class _Incoming(io.RawIOBase):
    """A file that is made of the *chunks* of an answer."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def container_home(name: str, path: str = "", *, at: str = "", engine: str = "") -> ArchiveHome:
    """Return the HOME at *path* in the container called *name*: by default, that of its user.

    It need not run. It is on the *engine* of that name, by default on the one that is here.
    Programs know the HOME as *at*, by default as *path*, which counts from ``/``.

    :raises UsageError: there is no such docker context.
    :raises CannotJudge: there is no engine, or podman, no such container, or its user has no HOME.
    """
    instead = f"podman exec {name} tar -C {path or 'HOME'} -c ."
    with _client(engine, instead) as client:
        container = _inspect(client, name)
        if not path:
            config = container.get("Config") or {}
            home = dict(pair.partition("=")[::2] for pair in config.get("Env") or []).get("HOME")
            with engine_errors(f"container '{name}' cannot be looked into"):
                found = identity(client, container["Id"], config.get("User") or "", home or "")
            path = found[2]
        path = posixpath.join("/", path)
        if place := in_memory(container, path):
            cause = f"container '{name}' has {place} in memory, where the engine does not look"
            tar = f"docker exec {name} tar -C {path} -c ."
            raise CannotJudge(cause, hint=f"pipe the HOME in: {tar} | probe-conformance … -")

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with _client(engine, instead) as client:
            yield from _archive(client, container["Id"], path, f"container '{name}'")

    return ArchiveHome(f"container '{name}'", opened, path=at or path)


def volume_home(name: str, path: str = "", *, at: str = "", engine: str = "") -> ArchiveHome:
    """Return the HOME at *path* in the volume called *name*: by default, all of the volume.

    It is on the *engine* of that name, by default on the one that is here. Programs know the HOME
    as *at*. A container is made over the volume, and removed; it is never started, so it needs no
    image but an empty one.

    :raises UsageError: there is no such docker context.
    :raises CannotJudge: there is no engine, or podman, or no such volume.
    """
    instead = f"podman volume export {name}"
    with _client(engine, instead) as client:
        try:
            with engine_errors(f"volume '{name}' cannot be looked at"):
                client.api.inspect_volume(name)  # to mount one that is not there would make it
        except CannotJudge as e:
            if isinstance(e.__context__, NotFound):
                cause = f"no volume '{name}' on this engine"
                raise CannotJudge(cause, hint="docker volume ls names them") from None
            raise
    inside = f"{_PLACE}/{path.strip('/')}".rstrip("/")

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with _client(engine, instead) as client, _over(client, name) as container:
            yield from _archive(client, container, inside, f"volume '{name}'")

    return ArchiveHome(f"volume '{name}'", opened, path=at)


@contextmanager
def _client(engine: str, instead: str) -> Iterator[docker.DockerClient]:
    """Connect to the *engine* of that name, whose archives say who owns what.

    Those of podman give all files to the container's user, so that what is closed to it would look
    open. *instead* is the command whose output tells the owners there.

    :raises CannotJudge: there is no engine, or it is podman.
    """
    client = connect(engine)
    try:
        with engine_errors("the engine does not say what it is"):
            name = engine_name(client.version())
        if name.startswith("podman"):
            cause = "podman's archives do not tell who owns a file"
            raise CannotJudge(cause, hint=f"pipe the HOME in: {instead} | probe-conformance … -")
        yield client
    finally:
        client.close()


def _inspect(client: docker.DockerClient, name: str) -> dict[str, Any]:
    try:
        with engine_errors(f"container '{name}' cannot be looked at"):
            found: dict[str, Any] = client.api.inspect_container(name)
            return found
    except CannotJudge as e:
        if isinstance(e.__context__, NotFound):
            cause = f"no container '{name}' on this engine"
            raise CannotJudge(cause, hint="docker ps --all names them") from None
        raise


def in_memory(container: Mapping[str, Any], path: str) -> str:
    """Return what keeps the HOME at *path* out of archives: a tmpfs where rules look, or "".

    Many engines leave a tmpfs out of the archive of a running *container*, which is described as
    the engine does it.
    """
    mounts = container.get("Mounts") or []
    places = {mount["Destination"] for mount in mounts if mount.get("Type") == "tmpfs"}
    places |= set((container.get("HostConfig") or {}).get("Tmpfs") or {})
    wanted = Wanted()
    for place in sorted(places) if (container.get("State") or {}).get("Running") else ():
        if below(os.fsencode(path), os.fsencode(place)) is not None:
            return str(place)  # all of the HOME
        inside = below(os.fsencode(place), os.fsencode(path))
        if inside in wanted.names() or (inside or b"").startswith(wanted.walked()):
            return str(place)
    return ""


def _archive(
    client: docker.DockerClient, container: str, path: str, whose: str
) -> Iterator[BinaryIO]:
    """Yield once what the engine sends as the archive of the directory *path* in *container*.

    :raises CannotJudge: *whose* path that is has no such directory, or the engine refuses.
    """
    with engine_errors(f"{whose} cannot be read"):
        try:
            # The dot follows a link, and leaves the directory's own name out of the archive.
            chunks, _ = client.api.get_archive(container, f"{path}/.", chunk_size=_CHUNK)
        except APIError as e:
            if e.status_code == 404 or "not a directory" in str(e):
                shown = path.removeprefix(_PLACE) or "/"
                cause = f"{whose} has no directory {shown}"
                raise CannotJudge(cause, hint="name another one as NAME:PATH") from None
            raise
        try:
            yield cast(BinaryIO, io.BufferedReader(_Incoming(chunks), _CHUNK))
        except UsageError as e:  # the engine is at fault, and no archive of somebody's
            raise CannotJudge(e.cause, hint="see that the engine runs, then try again") from None


@contextmanager
def _over(client: docker.DockerClient, volume: str) -> Iterator[str]:
    """Make a container over *volume*; yield its id, and remove it afterwards, with its image."""
    name = f"probe-conformance-look-{secrets.token_hex(6)}"
    # No run has this lock, so what a killed process leaves is removed a day later.
    labels = Labels(name, Path("/nowhere", name), "look")
    empty = io.BytesIO()
    write_tar([], empty)
    with engine_errors(f"the engine makes nothing to look into volume '{volume}' with"):
        client.api.import_image_from_data(
            empty.getvalue(), repository=name, changes=[_label(labels.of_image())]
        )
        try:
            mount = Volume(name=volume, target=_PLACE, read_only=True)
            spec = ContainerSpec(image=name, argv=("/",), volumes=(mount,))
            container = spec.create(client, labels.for_scenario())
            try:
                yield container
            finally:
                client.api.remove_container(container, force=True)
        finally:
            client.api.remove_image(name, force=True)


def _label(labels: dict[str, str]) -> str:
    return "LABEL " + " ".join(f'"{key}"="{value}"' for key, value in labels.items())
