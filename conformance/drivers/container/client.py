"""Connect to a container engine, and say in one line why a request to it failed."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from urllib3.exceptions import HTTPError

from conformance.errors import CannotJudge
from conformance.text import one_line

__all__ = ["ENGINE_ERRORS", "EngineLost", "connect", "engine_errors", "message"]

#: Seconds that the engine gets to answer a request that does not wait for a container.
TIMEOUT = 20

#: What the SDK and the libraries below it raise when the engine refuses or is gone.
ENGINE_ERRORS = (DockerException, requests.RequestException, HTTPError, OSError)


#: The version of the engine's API in use: docker 20.10, podman 3. Fixed, so nobody has to ask.
_OLDEST = "1.41"


class EngineLost(CannotJudge):
    """The engine does not answer any more."""


def connect() -> docker.DockerClient:
    """Return a client of the engine.

    ``DOCKER_HOST`` names it, or the current docker context, or one of the usual sockets.

    :raises CannotJudge: there is no engine, or it does not let us in.
    """
    host, tls = _endpoint()
    client = None
    try:
        if host.startswith("unix://"):
            # The SDK does not close its own socket if the connection fails.
            with socket.socket(socket.AF_UNIX) as trial:
                trial.settimeout(TIMEOUT)
                trial.connect(host.removeprefix("unix://"))
        if "DOCKER_HOST" in os.environ:
            client = docker.from_env(timeout=TIMEOUT, version=_OLDEST)
        else:
            client = docker.DockerClient(
                base_url=host, tls=tls or False, timeout=TIMEOUT, version=_OLDEST
            )
        if not client.ping():
            raise DockerException("what listens there is not an engine")
    except (*ENGINE_ERRORS, ValueError) as e:
        if client is not None:
            client.close()
        number = _number(e)
        if number in (errno.EACCES, errno.EPERM):
            hint = "add your user to the socket's group (often docker), or use a rootless engine"
            raise CannotJudge(f"no permission on the engine's socket {host}", hint=hint) from None
        if number in (errno.ENOENT, errno.ECONNREFUSED):
            hint = "start docker or podman, or set DOCKER_HOST"
            raise CannotJudge(f"no container engine at {host}", hint=hint) from None
        cause = f"the container engine at {host} does not answer: {message(e)}"
        raise CannotJudge(cause, hint="look at DOCKER_HOST") from None
    return client


def _endpoint() -> tuple[str, TLSConfig | None]:
    """Return where the engine listens: as docker's command line finds it, else podman's socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host, None
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context = docker.ContextAPI.get_context(name)
    except Exception:  # the SDK raises no narrower type; a broken docker configuration names none
        context = None
    if context is None and name:
        hint = "look at DOCKER_CONTEXT, or set DOCKER_HOST"
        raise CannotJudge(f"there is no docker context '{name}'", hint=hint)
    if context is not None and context.Name != "default" and context.Host:
        return context.Host, context.TLSConfig
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    places = [
        "/var/run/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ]
    existing = [place for place in places if Path(place).exists()]
    return f"unix://{[*existing, *places][0]}", None


def _number(error: BaseException | None) -> int | None:
    """Return the number of the system error that is at the bottom of *error*, if any."""
    pending, seen = [error], set[int]()
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, OSError) and isinstance(current.errno, int):
            return current.errno
        pending += [current.__cause__, current.__context__, *current.args]
    return None


def message(error: BaseException) -> str:
    """Return what *error* says, on one line, without the wrapping of several libraries."""
    if isinstance(error, APIError):
        said = one_line(str(error.explanation or error))
        # Runtimes wrap the part that matters in the names of all components that passed it on.
        inner = re.search(r"container process: (.*?)(?:: unknown)?$", said)
        return inner[1] if inner else said
    number = _number(error)
    if number is not None:
        return os.strerror(number)
    return one_line(str(error) or type(error).__name__)


def lost(error: BaseException) -> bool:
    """Return whether *error* says that the engine is gone, not that it refuses something."""
    if isinstance(error, APIError):
        return False
    return isinstance(error, requests.RequestException | HTTPError | OSError)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn errors of the engine into one of ours that starts with *what*.

    :raises EngineLost: the engine does not answer any more.
    :raises CannotJudge: the engine refuses.
    """
    try:
        yield
    except ENGINE_ERRORS as e:
        if lost(e):
            cause = f"the container engine was lost: {message(e)}"
            raise EngineLost(cause, hint="see that it runs, then start again") from None
        raise CannotJudge(f"{what}: {message(e)}") from None
