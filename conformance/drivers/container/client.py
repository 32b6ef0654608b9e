"""Reach a container engine, and say in one line why that, or what was asked of it, did not work."""

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

#: Seconds within which the engine has to answer any request that does not wait for a container.
TIMEOUT = 20

#: What the SDK, and the libraries below it, raise when the engine refuses, or is not there any more.
ENGINE_ERRORS = (DockerException, requests.RequestException, HTTPError, OSError)


#: The version of the engine's interface that is spoken, so that it need not be asked for: docker 20.10, podman 3.
_OLDEST = "1.41"


class EngineLost(CannotJudge):
    """The engine does not answer any more."""


def connect() -> docker.DockerClient:
    """Return a client of the engine that ``DOCKER_HOST``, the current docker context, or the usual sockets name.

    :raises CannotJudge: no engine is there, or it does not let us in.
    """
    host, tls = _endpoint()
    client = None
    try:
        if host.startswith("unix://"):
            with socket.socket(socket.AF_UNIX) as trial:  # the SDK does not close its own where this fails
                trial.settimeout(TIMEOUT)
                trial.connect(host.removeprefix("unix://"))
        if "DOCKER_HOST" in os.environ:
            client = docker.from_env(timeout=TIMEOUT, version=_OLDEST)
        else:
            client = docker.DockerClient(base_url=host, tls=tls or False, timeout=TIMEOUT, version=_OLDEST)
        if not client.ping():
            raise DockerException("what listens there is no engine")
    except (*ENGINE_ERRORS, ValueError) as e:
        if client is not None:
            client.close()
        number = _number(e)
        if number in (errno.EACCES, errno.EPERM):
            hint = "add your user to the socket's group (often docker), or use a rootless engine"
            raise CannotJudge(f"no permission on the engine's socket {host}", hint=hint) from None
        if number in (errno.ENOENT, errno.ECONNREFUSED):
            raise CannotJudge(f"no container engine at {host}", hint="start docker or podman, or set DOCKER_HOST") from None
        raise CannotJudge(f"the container engine at {host} does not answer: {message(e)}", hint="look at DOCKER_HOST") from None
    return client


def _endpoint() -> tuple[str, TLSConfig | None]:
    """Return where the engine listens: what docker's own command line would use, else podman's socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host, None
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context = docker.ContextAPI.get_context(name)
    except Exception:  # just that is what the SDK raises; a broken docker configuration names nothing
        context = None
    if context is None and name:
        raise CannotJudge(f"there is no docker context '{name}'", hint="look at DOCKER_CONTEXT, or set DOCKER_HOST")
    if context is not None and context.Name != "default" and context.Host:
        return context.Host, context.TLSConfig
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    places = ["/var/run/docker.sock", f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock", "/run/podman/podman.sock"]
    return f"unix://{next((place for place in places if Path(place).exists()), places[0])}", None


def _number(error: BaseException | None) -> int | None:
    """Return the number of the system's error that lies at the bottom of *error*."""
    pending, seen = [error], set[int]()
    while pending:
        one = pending.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and isinstance(one.errno, int):
            return one.errno
        pending += [one.__cause__, one.__context__, *one.args]
    return None


def message(error: BaseException) -> str:
    """Return what *error* says, on one line, without the wrapping of several libraries."""
    if isinstance(error, APIError):
        said = one_line(str(error.explanation or error))
        # Runtimes wrap the one line that matters into the names of all parts that have passed it on.
        told = re.search(r"container process: (.*?)(?:: unknown)?$", said)
        return told[1] if told else said
    number = _number(error)
    return os.strerror(number) if number is not None else one_line(str(error) or type(error).__name__)


def lost(error: BaseException) -> bool:
    """Return whether *error* says that the engine has gone, rather than that it refuses something."""
    return isinstance(error, requests.RequestException | HTTPError | OSError) and not isinstance(error, APIError)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn what the engine refuses into an error of ours that starts with *what*.

    :raises EngineLost: it does not answer any more.
    :raises CannotJudge: it refuses.
    """
    try:
        yield
    except ENGINE_ERRORS as e:
        if lost(e):
            raise EngineLost(f"the container engine was lost: {message(e)}", hint="see that it runs, then start again") from None
        raise CannotJudge(f"{what}: {message(e)}") from None
