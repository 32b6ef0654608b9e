"""Place homes in volumes and read them back, without a request to the engine for each.

A keeper is a container of the image under test in which only the image's shell runs. It shares two
volumes with the containers that probes run in. One is mounted there as the HOME, the other beside
it. The keeper runs as root, with the capabilities to make files of any owner and mode. The probes'
containers have none of them.
"""

from __future__ import annotations

import io
import os
import secrets
import shlex
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

import docker
from msgspec import Struct
from msgspec.structs import replace

from conformance.drivers.asked import questions
from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import ASKED, PlacedLayout, spool
from conformance.drivers.container.request import ASIDE, Confinement, ImageFacts
from conformance.drivers.container.shell import Shell
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.errors import CannotJudge
from conformance.home import Node, Snapshot, read_tar, snapshot_tar, write_tar
from conformance.home.build import Unbuildable

__all__ = ["Look", "VolumeKeeper", "volumes"]

#: Seconds that a task of a keeper may take; the largest homes take a few.
_SECONDS = 30.0
#: The most bytes that are read back from a home: several times the size of the largest scenario.
_READ_BYTES = 256 * 1024 * 1024
#: The file that keeps what stubs are asked, in the keeper's directory.
_ASKED = f"aside/{ASKED}"
_TOP = "/.probe-conformance-keeper"
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
#: The arguments after the program are a mode, an owner and a group, for the socket at each path.
_SOCKETS = """
import os, socket, sys
for line in sys.stdin.buffer.read().split(b"\\0")[:-1]:
    mode, owner, group, path = line.split(b" ", 3)
    os.chdir(os.path.dirname(path))
    name = os.path.basename(path)
    socket.socket(socket.AF_UNIX).bind(name)
    os.chmod(name, int(mode, 8))
    os.chown(name, int(owner), int(group))
"""


class Look(Struct, frozen=True, kw_only=True):
    """What is in the two volumes."""

    home: Snapshot
    opposite: Snapshot
    """The home with the opposite answer; empty if there is none."""
    asked: tuple[str, ...] = ()
    """What stubs were asked, other than for their version."""


def volumes(
    client: docker.DockerClient, labels: dict[str, str], home: str
) -> tuple[Volume, Volume]:
    """Make two volumes: one for the HOME, one for what is beside it.

    :raises CannotJudge: the engine refuses.
    """
    name = f"probe-conformance-{secrets.token_hex(6)}"
    pair = Volume(name=f"{name}-home", target=home), Volume(name=f"{name}-aside", target=ASIDE)
    with engine_errors("the engine makes no volume"):
        for volume in pair:
            client.api.create_volume(volume.name, labels=labels)
    return pair


class VolumeKeeper:
    """Two volumes, and a container that fills and reads them."""

    lasting = True
    """Whether it can be used for another scenario."""

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._client = client
        self.volumes = volumes(client, labels.for_scenario(), facts.home)
        home, aside = self.volumes
        spec = ContainerSpec(
            image=facts.id,
            argv=("sh",),
            user="0:0",
            directory="/",
            volumes=(replace(home, target=f"{_TOP}/home"), replace(aside, target=f"{_TOP}/aside")),
            read_only=True,
            confinement=Confinement(cap_add=_CAPABILITIES),
        )
        self._shell: Shell | None = None
        try:
            self._shell = Shell(client, spec, labels.for_scenario())
            for tool in ("tar", "head", "rm", "env"):
                if not self.has(tool):
                    raise CannotJudge(f"the image has no {tool}")
            self._do(f"cd {_TOP}".encode())
        except BaseException:
            self.close()
            raise

    def has(self, program: str) -> bool:
        """Return whether *program* is on the PATH."""
        return self._do(f"command -v {program} >/dev/null".encode(), check=False)[0] == 0

    def place(self, layout: PlacedLayout) -> None:
        """Empty both volumes, then place *layout* there.

        :raises Unbuildable: the home holds a socket, and the image has nothing that makes one.
        :raises CannotJudge: the file system does not take it.
        """
        if layout.sockets and not self.has("python3"):
            cause = "no tar archive can hold a socket, and the image has no python3 to make one"
            raise Unbuildable(cause)
        # The two directories are mounted and stay. head ends where the archive does; cat takes
        # what tar leaves unread.
        unpack = "{ tar -xpf -; s=$?; cat >/dev/null; exit $s; }"
        with layout.archive("home", "aside") as archive:
            size = archive.seek(0, os.SEEK_END)
            archive.seek(0)
            script = f"rm -rf home aside 2>/dev/null; head -c {size} | {unpack}"
            self._do(script.encode(), feed=archive)
        if layout.sockets:
            data = b""
            for node in layout.sockets:
                owner = f"{node.mode:o} {node.owner} {layout.gid}"
                data += f"{owner} home/".encode() + node.path + b"\0"
            script = f"head -c {len(data)} | python3 -c {shlex.quote(_SOCKETS)}"
            self._do(script.encode(), feed=io.BytesIO(data))

    def look(self) -> Look:
        """Return what is in the volumes.

        :raises CannotJudge: it cannot be read.
        """
        # An error means a file that has gone in the meantime, or a socket. The archive is right.
        also = f"test -d aside/opposite && echo aside/opposite; test -s {_ASKED} && echo {_ASKED}"
        script = f"tar -cf - home $({also})".encode()
        asked = _ASKED.encode()
        with spool() as archive:
            self._do(script, check=False, into=archive)
            archive.seek(0)
            try:
                found, kept = snapshot_tar(archive, strip=0, keep=(asked,))
            except tarfile.TarError as e:
                raise CannotJudge(f"the home cannot be read back: {e}") from None
        return Look(
            home=_below(b"home", found),
            opposite=_below(b"aside/opposite", found),
            asked=questions(kept.get(asked, b"")),
        )

    def nodes(self, *paths: str) -> list[Node]:
        """Return what is at *paths* in the volumes, with all content: it has to be small.

        :raises CannotJudge: it cannot be read.
        """
        script = f"tar -cf - {shlex.join(paths)}".encode()
        with spool() as archive:
            self._do(script, check=False, into=archive)
            archive.seek(0)
            try:
                return list(read_tar(archive, strip=0))
            except tarfile.TarError as e:
                raise CannotJudge(f"the home cannot be read back: {e}") from None

    def change(self, removed: Iterable[str], added: Iterable[Node], *, uid: int, gid: int) -> None:
        """Remove paths of the HOME with all below them, then add nodes, which belong to *uid*.

        :raises CannotJudge: the file system does not take it.
        """
        gone = shlex.join(["rm", "-rf", "--", *(f"home/{path}" for path in removed)])
        with spool() as archive:
            nodes = [replace(node, path=b"home/" + node.path) for node in added]
            write_tar(nodes, archive, uid=uid, gid=gid)
            size = archive.tell()
            archive.seek(0)
            unpack = "{ tar -xpf -; s=$?; cat >/dev/null; exit $s; }"
            self._do(f"{gone}; head -c {size} | {unpack}".encode(), feed=archive)

    def _do(
        self,
        script: bytes,
        *,
        feed: BinaryIO | None = None,
        into: BinaryIO | None = None,
        check: bool = True,
    ) -> tuple[int, bytes]:
        assert self._shell is not None
        try:
            reply = self._shell.run(script, _SECONDS, limit=_READ_BYTES, feed=feed, into=into)
        except TimeoutError:
            with engine_errors("the engine does not answer"):
                self._client.ping()
            raise CannotJudge("the keeper of the homes does not answer in time") from None
        if reply.truncated:
            raise CannotJudge("the home is too large to be read back")
        if check and reply.code != 0:
            lines = reply.stderr.decode(errors="backslashreplace").strip().splitlines()
            why = lines[0] if lines else f"exit code {reply.code}"
            raise CannotJudge(f"the home cannot be laid out in the container: {why}")
        return reply.code, reply.stdout

    def close(self, *, keep_volumes: bool = False) -> None:
        """Remove the container and, unless *keep_volumes* is true, the volumes."""
        if self._shell is not None:
            self._shell.close()
        for volume in () if keep_volumes else self.volumes:
            with suppress(*ENGINE_ERRORS):
                self._client.api.remove_volume(volume.name, force=True)


def _below(top: bytes, found: Snapshot) -> Snapshot:
    """Return the stamps of *top* and of what lies below it, by their paths from there on."""
    inside = top + b"/"
    below = {
        path.removeprefix(inside): stamp for path, stamp in found.items() if path.startswith(inside)
    }
    return below | ({b"": found[top]} if top in found else {})
