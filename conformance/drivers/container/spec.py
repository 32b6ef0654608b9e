"""One container, as the engine is asked for it and as a person would type it."""

from __future__ import annotations

from typing import Any

import docker
from docker.types import LogConfig, Mount
from msgspec import Struct

from conformance.drivers.container.client import engine_errors
from conformance.drivers.container.request import Confinement

__all__ = ["ContainerSpec", "Volume"]

#: What a program may write to beside its HOME where the root file system is read-only, with its usual mode.
SCRATCH = {"/tmp": "1777", "/var/tmp": "1777", "/run": "755"}


class Volume(Struct, frozen=True, kw_only=True):
    """A volume of the engine, and where it is seen."""

    name: str
    target: str
    read_only: bool = False


class ContainerSpec(Struct, frozen=True, kw_only=True):
    """Everything that makes up one container."""

    image: str
    argv: tuple[str, ...]
    """Program and arguments; neither the image's entrypoint nor its command is added."""
    environment: dict[str, str | None] = {}
    """Beside the image's own; None takes a variable away."""
    user: str = ""
    directory: str = ""
    volumes: tuple[Volume, ...] = ()
    read_only: bool = False
    confinement: Confinement = Confinement()

    def create(self, client: docker.DockerClient, labels: dict[str, str], *, stdin: bool = False) -> str:
        """Make the container; return its id.

        :raises CannotJudge: the engine refuses.
        """
        limits = self.confinement
        host: dict[str, Any] = client.api.create_host_config(
            network_mode=limits.network,
            cap_drop=["ALL"],
            cap_add=list(limits.cap_add),
            security_opt=["no-new-privileges"],
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            pids_limit=limits.pids,
            read_only=self.read_only,
            tmpfs=self.scratch(),
            # What it prints is read as it comes, so the engine has no need to write it to its disk.
            log_config=LogConfig(type=LogConfig.types.NONE),
            mounts=[
                Mount(volume.target, volume.name, type="volume", read_only=volume.read_only, no_copy=True)
                for volume in self.volumes
            ],
            auto_remove=stdin,
        )
        with engine_errors("the engine does not make the container"):
            made = client.api.create_container(
                self.image,
                entrypoint=list(self.argv[:1]),
                command=list(self.argv[1:]),
                environment=[name if value is None else f"{name}={value}" for name, value in self.environment.items()],
                user=self.user,
                working_dir=self.directory or None,
                labels=labels,
                stdin_open=stdin,
                host_config=host,
            )
        return str(made["Id"])

    def scratch(self) -> dict[str, str]:
        """Return the directories that may be written to although the rest is read-only, each with its mount options."""
        taken = [volume.target for volume in self.volumes] if self.read_only else SCRATCH
        return {path: f"rw,exec,mode={mode}" for path, mode in SCRATCH.items() if path not in taken}

    def words(self) -> list[str]:
        """Return the ``docker run`` command that starts the same container by hand."""
        limits = self.confinement
        words = ["docker", "run", "--rm", "--network", limits.network, "--cap-drop", "ALL"]
        for capability in limits.cap_add:
            words += ["--cap-add", capability]
        words += ["--security-opt", "no-new-privileges", "--memory", limits.memory, "--memory-swap", limits.memory]
        words += ["--pids-limit", str(limits.pids)]
        words += ["--read-only"] if self.read_only else []
        for path, options in self.scratch().items():
            words += ["--tmpfs", f"{path}:{options}"]
        for volume in self.volumes:
            words += ["--volume", f"{volume.name}:{volume.target}:nocopy{',ro' if volume.read_only else ''}"]
        for name, value in sorted(self.environment.items()):
            words += ["--env", name if value is None else f"{name}={value}"]
        words += ["--user", self.user] if self.user else []
        words += ["--workdir", self.directory] if self.directory else []
        return [*words, "--entrypoint", self.argv[0], self.image, *self.argv[1:]]
