"""Where a container engine listens: a URL, a docker context, or what this machine has to say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from msgspec import Struct

from conformance.drivers.container.engine_name import SCHEMES
from conformance.errors import CannotJudge, UsageError

__all__ = ["Endpoint", "endpoint_of"]


class Endpoint(Struct, frozen=True):
    """How an engine is reached."""

    url: str
    tls: TLSConfig | None = None

    @property
    def socket(self) -> str:
        """The path of the socket that it listens on here; empty if it is reached otherwise."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""


def endpoint_of(engine: str = "") -> Endpoint:
    """Return how the engine is reached that is called *engine*, a URL or a docker context.

    Without a name it is that of ``DOCKER_HOST``, else of the current docker context, else the first
    of the usual sockets that is there.

    :raises UsageError: there is no such context.
    :raises CannotJudge: the surroundings name a context that is not there, or certificates.
    """
    if engine.startswith(SCHEMES):
        return _at(engine)
    host = os.environ.get("DOCKER_HOST")
    if engine and engine != "default":
        return _in_context(engine)
    if host:
        return _at(host)
    if not engine and (found := _current_context()) is not None:
        return found
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    places = [
        "/var/run/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ]
    existing = [place for place in places if Path(place).exists()]
    return Endpoint(f"unix://{[*existing, *places][0]}")


def _at(url: str) -> Endpoint:
    """Return the endpoint at *url*; over TCP, with the certificates that the surroundings name."""
    if url.startswith(("unix://", "ssh://")):
        return Endpoint(url)
    around: Mapping[str, str] = {**os.environ, "DOCKER_HOST": url}
    try:
        return Endpoint(url, kwargs_from_env(around).get("tls") or None)
    except TLSParameterError:
        where = os.environ.get("DOCKER_CERT_PATH") or "~/.docker"
        missing = f"{where} lacks cert.pem, key.pem or ca.pem"
        cause = f"no certificates for the engine at {url}: {missing}"
        raise CannotJudge(cause, hint="look at DOCKER_CERT_PATH and DOCKER_TLS_VERIFY") from None


def _in_context(name: str) -> Endpoint:
    """Return the endpoint of the docker context called *name*, which the user has typed.

    :raises UsageError: there is none, or it names no engine.
    """
    hint = "see 'docker context ls', or give a URL such as ssh://user@host"
    try:
        context = docker.ContextAPI.get_context(name)
    except Exception:  # the SDK raises no narrower type
        raise UsageError(f"docker context '{name}' cannot be read", hint=hint) from None
    if context is None:
        raise UsageError(f"there is no docker context '{name}'", hint=hint)
    if not context.Host or not context.Host.startswith(SCHEMES):
        cause = f"docker context '{name}' names no engine that can be reached from here"
        raise UsageError(cause, hint=hint)
    return Endpoint(context.Host, context.TLSConfig or None)


def _current_context() -> Endpoint | None:
    """Return the endpoint of the current docker context; None if that is the default one.

    A broken docker configuration names none.
    """
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context = docker.ContextAPI.get_context(name)
    except Exception:  # the SDK raises no narrower type
        context = None
    if context is None and name:
        hint = "look at DOCKER_CONTEXT, or set DOCKER_HOST"
        raise CannotJudge(f"there is no docker context '{name}'", hint=hint)
    if context is None or context.Name == "default" or not context.Host:
        return None
    return Endpoint(context.Host, context.TLSConfig or None)
