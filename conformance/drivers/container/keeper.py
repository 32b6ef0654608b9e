"""Lay out homes in volumes, and look at them afterwards, without a request to the engine for each.

A keeper is a container of the image under test with nothing of the image running in it but its shell. It shares two volumes
with the containers in which probes run: one is mounted there as the HOME, the other beside it. It runs as root with the
capabilities that handing out files of any owner and mode takes; the probes' containers have none of them.
"""

from __future__ import annotations

import io
import secrets
import shlex
import tarfile
from contextlib import suppress

import docker
from msgspec.structs import replace

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.labels import Labels
from conformance.drivers.container.layout import PlacedLayout
from conformance.drivers.container.request import ASIDE, Confinement, ImageFacts
from conformance.drivers.container.shell import Shell
from conformance.drivers.container.spec import ContainerSpec, Volume
from conformance.errors import CannotJudge
from conformance.home import Snapshot, read_tar, stamps
from conformance.home.build import Unbuildable

__all__ = ["VolumeKeeper", "volumes"]

#: Seconds that any of a keeper's works may take; the largest homes take a few.
_SECONDS = 30.0
#: The most that is read back from a home, in bytes: what the largest scenario holds, several times over.
_READ_BYTES = 256 * 1024 * 1024
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


def volumes(client: docker.DockerClient, labels: dict[str, str], home: str) -> tuple[Volume, Volume]:
    """Make two volumes: one for the HOME, one for what lies beside it.

    :raises CannotJudge: the engine refuses.
    """
    name = f"probe-conformance-{secrets.token_hex(6)}"
    pair = Volume(name=f"{name}-home", target=home), Volume(name=f"{name}-aside", target=ASIDE)
    with engine_errors("the engine makes no volume"):
        for volume in pair:
            client.api.create_volume(volume.name, labels=labels)
    return pair


class VolumeKeeper:
    """Two volumes, and a container that takes care of them."""

    lasting = True
    """It can be used for one scenario after the other."""

    def __init__(self, client: docker.DockerClient, facts: ImageFacts, labels: Labels) -> None:
        self._client = client
        self.volumes = volumes(client, labels.for_scenario(), facts.home)
        spec = ContainerSpec(
            image=facts.id,
            argv=("sh",),
            user="0:0",
            directory="/",
            volumes=tuple(replace(v, target=f"{_TOP}/{n}") for v, n in zip(self.volumes, ("home", "aside"), strict=True)),
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
        """Empty both volumes, and lay out *layout* there.

        :raises Unbuildable: the home holds a socket, and the image has nothing that makes one.
        :raises CannotJudge: the file system does not take it.
        """
        if layout.sockets and not self.has("python3"):
            raise Unbuildable("no tar archive can hold a socket, and the image has no python3 to make one")
        archive = layout.archive("home", "aside")
        # The places themselves are mounted and stay. head ends where the archive does; what tar may leave, cat takes.
        script = f"rm -rf home aside 2>/dev/null; head -c {len(archive)} | {{ tar -xpf -; s=$?; cat >/dev/null; exit $s; }}"
        self._do(script.encode(), feed=archive)
        if layout.sockets:
            lines = [f"{node.mode:o} {node.owner} {layout.gid} home/".encode() + node.path + b"\0" for node in layout.sockets]
            data = b"".join(lines)
            self._do(f"head -c {len(data)} | python3 -c {shlex.quote(_SOCKETS)}".encode(), feed=data)

    def look(self) -> tuple[Snapshot, Snapshot]:
        """Return what stands in the HOME, and in the home with the opposite answer.

        :raises CannotJudge: it cannot be read.
        """
        # An error is a file that went away meanwhile, or a socket; the archive says what is there.
        _, output = self._do(b"tar -cf - home $(test -d aside/opposite && echo aside/opposite)", check=False)
        try:
            nodes = [(node.path.split(b"/", 2), node) for node in read_tar(io.BytesIO(output), strip=0)]
        except tarfile.TarError as e:
            raise CannotJudge(f"the home cannot be read back: {e}") from None
        home = [replace(node, path=b"/".join(parts[1:])) for parts, node in nodes if parts[0] == b"home"]
        opposite = [replace(node, path=b"/".join(parts[2:])) for parts, node in nodes if parts[:2] == [b"aside", b"opposite"]]
        return stamps(home), stamps(opposite)

    def _do(self, script: bytes, *, feed: bytes | None = None, check: bool = True) -> tuple[int, bytes]:
        assert self._shell is not None
        try:
            reply = self._shell.run(script, _SECONDS, limit=_READ_BYTES, feed=feed)
        except TimeoutError:
            with engine_errors("the engine does not answer"):
                self._client.ping()
            raise CannotJudge("the keeper of the homes does not answer in time") from None
        if reply.truncated:
            raise CannotJudge("the home is too large to be read back")
        if check and reply.code != 0:
            said = reply.stderr.decode(errors="backslashreplace").strip().splitlines() or [f"exit code {reply.code}"]
            raise CannotJudge(f"the home cannot be laid out in the container: {said[0]}")
        return reply.code, reply.stdout

    def close(self, *, keep_volumes: bool = False) -> None:
        """Remove the container and, unless they are to stay, the volumes."""
        if self._shell is not None:
            self._shell.close()
        for volume in () if keep_volumes else self.volumes:
            with suppress(*ENGINE_ERRORS):
                self._client.api.remove_volume(volume.name, force=True)
