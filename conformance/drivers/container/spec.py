"""One container: the request to the engine, and the command that a person would type."""

from __future__ import annotations

from typing import Any

import docker
from docker.types import LogConfig, Mount
from msgspec import Struct

from conformance.drivers.container.client import engine_errors
from conformance.drivers.container.request import Confinement

__all__ = ["ContainerSpec", "Volume"]

#: Directories with their modes that stay writable, beside the HOME, on a read-only file system.
SCRATCH = {"/tmp": "1777", "/var/tmp": "1777", "/run": "755"}


class Volume(Struct, frozen=True, kw_only=True):
    """A volume of the engine, and where it is mounted."""

    name: str
    target: str
    read_only: bool = False


class ContainerSpec(Struct, frozen=True, kw_only=True):
    """Everything that defines one container."""

    image: str
    argv: tuple[str, ...]
    """Program and arguments; neither the image's entrypoint nor its command is added."""
    environment: dict[str, str | None] = {}
    """Variables beside the image's own; None unsets one."""
    user: str = ""
    directory: str = ""
    volumes: tuple[Volume, ...] = ()
    read_only: bool = False
    confinement: Confinement = Confinement()

    def create(
        self, client: docker.DockerClient, labels: dict[str, str], *, stdin: bool = False
    ) -> str:
        """Make the container; return its id.

        :raises CannotJudge: the engine refuses.
        """
        host_config = self._host_config(client, auto_remove=stdin)
        with engine_errors("the engine does not make the container"):
            made = client.api.create_container(
                self.image,
                entrypoint=list(self.argv[:1]),
                command=list(self.argv[1:]),
                environment=[_variable(*item) for item in self.environment.items()],
                user=self.user,
                working_dir=self.directory or None,
                labels=labels,
                stdin_open=stdin,
                host_config=host_config,
            )
        return str(made["Id"])

    def _host_config(self, client: docker.DockerClient, *, auto_remove: bool) -> dict[str, Any]:
        """Return what the engine calls the host configuration: limits, mounts and the like."""
        limits = self.confinement
        mounts = [
            Mount(
                volume.target,
                volume.name,
                type="volume",
                read_only=volume.read_only,
                no_copy=True,
            )
            for volume in self.volumes
        ]
        config: dict[str, Any] = client.api.create_host_config(
            network_mode=limits.network,
            cap_drop=["ALL"],
            cap_add=list(limits.cap_add),
            security_opt=["no-new-privileges"],
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            pids_limit=limits.pids,
            read_only=self.read_only,
            tmpfs=self.scratch(),
            # We read the output as it comes, so the engine need not write it to its disk.
            log_config=LogConfig(type=LogConfig.types.NONE),
            mounts=mounts,
            auto_remove=auto_remove,
        )
        return config

    def scratch(self) -> dict[str, str]:
        """Return the writable directories of a read-only file system, with their mount options."""
        if not self.read_only:
            return {}
        taken = [volume.target for volume in self.volumes]
        return {path: f"rw,exec,mode={mode}" for path, mode in SCRATCH.items() if path not in taken}

    def docker_run(self) -> list[str]:
        """Return the ``docker run`` command that starts the same container by hand."""
        limits = self.confinement
        argv = ["docker", "run", "--rm", "--network", limits.network, "--cap-drop", "ALL"]
        for capability in limits.cap_add:
            argv += ["--cap-add", capability]
        argv += ["--security-opt", "no-new-privileges"]
        argv += ["--memory", limits.memory, "--memory-swap", limits.memory]
        argv += ["--pids-limit", str(limits.pids)]
        if self.read_only:
            argv += ["--read-only"]
        for path, options in self.scratch().items():
            argv += ["--tmpfs", f"{path}:{options}"]
        for volume in self.volumes:
            options = "nocopy,ro" if volume.read_only else "nocopy"
            argv += ["--volume", f"{volume.name}:{volume.target}:{options}"]
        for name, value in sorted(self.environment.items()):
            argv += ["--env", _variable(name, value)]
        if self.user:
            argv += ["--user", self.user]
        if self.directory:
            argv += ["--workdir", self.directory]
        return [*argv, "--entrypoint", self.argv[0], self.image, *self.argv[1:]]


def _variable(name: str, value: str | None) -> str:
    """Return a variable as the engine takes it; a name alone unsets it."""
    return name if value is None else f"{name}={value}"
