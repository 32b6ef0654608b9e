"""Where a container engine listens: a URL, a docker context, or what this machine has to say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from msgspec import Struct, field
from msgspec.json import Decoder

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
        found = _context(name)
    except (OSError, ValueError):
        raise UsageError(f"docker context '{name}' cannot be read", hint=hint) from None
    if found is None:
        raise UsageError(f"there is no docker context '{name}'", hint=hint)
    if not found.url.startswith(SCHEMES):
        cause = f"docker context '{name}' names no engine that can be reached from here"
        raise UsageError(cause, hint=hint)
    return found


def _current_context() -> Endpoint | None:
    """Return the endpoint of the current docker context; None if that is the default one.

    A broken docker configuration names none.
    """
    name = os.environ.get("DOCKER_CONTEXT")
    found = None
    with suppress(OSError, ValueError):
        current = name or _current_name()
        if current == "default":
            return None
        found = _context(current)
    if found is None and name:
        hint = "look at DOCKER_CONTEXT, or set DOCKER_HOST"
        raise CannotJudge(f"there is no docker context '{name}'", hint=hint)
    return found if found is not None and found.url else None


class _Config(Struct, frozen=True):
    """What docker's configuration says of contexts."""

    current: str = field(default="default", name="currentContext")


class _Docker(Struct, frozen=True, rename="pascal"):
    host: str = ""
    skip_tls_verify: bool = field(default=False, name="SkipTLSVerify")


class _Endpoints(Struct, frozen=True):
    docker: _Docker = _Docker()


class _Context(Struct, frozen=True):
    """What docker keeps of a context."""

    endpoints: _Endpoints = field(default=_Endpoints(), name="Endpoints")


# Made here, by one thread: engines are reached in several.
_CONFIG, _CONTEXT = Decoder(_Config), Decoder(_Context)


def _directory() -> str:
    """Return where docker's configuration is.

    The SDK looks for contexts only beside a ``config.json``, which need not be there.
    """
    return os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")


def _current_name() -> str:
    with open(os.path.join(_directory(), "config.json"), "rb") as file:
        return _CONFIG.decode(file.read()).current or "default"


def _context(name: str) -> Endpoint | None:
    """Return what the docker context *name* says; None if there is no such context.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no context.
    """
    key = hashlib.sha256(name.encode()).hexdigest()
    contexts = os.path.join(_directory(), "contexts")
    try:
        with open(os.path.join(contexts, "meta", key, "meta.json"), "rb") as file:
            found = _CONTEXT.decode(file.read()).endpoints.docker
    except FileNotFoundError:
        return None
    place = os.path.join(contexts, "tls", key, "docker")
    ca, cert, key = (os.path.join(place, f"{name}.pem") for name in ("ca", "cert", "key"))
    client = (cert, key) if os.path.isfile(cert) and os.path.isfile(key) else None
    if client is None and not os.path.isfile(ca):
        return Endpoint(found.host)
    authority = ca if os.path.isfile(ca) else None
    tls = TLSConfig(client_cert=client, ca_cert=authority, verify=not found.skip_tls_verify)
    return Endpoint(found.host, tls)
