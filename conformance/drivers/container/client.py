"""Connect to a container engine, and say in one line why a request to it failed."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import docker
import requests
from docker.errors import APIError, DockerException
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from conformance.drivers.container.endpoint import Endpoint, endpoint_of
from conformance.drivers.container.engine_name import SshPlace
from conformance.drivers.container.tunnel import Tunnel, short_name
from conformance.errors import CannotJudge
from conformance.text import one_line

__all__ = ["ENGINE_ERRORS", "TIMEOUT", "EngineLost", "connect", "engine_errors", "message"]

#: Seconds that the engine gets to answer a request that does not wait for a container.
TIMEOUT = 20

#: What the SDK and the libraries below it raise when the engine refuses or is gone.
ENGINE_ERRORS = (DockerException, requests.RequestException, HTTPError, OSError)


#: The version of the engine's API in use: docker 20.10, podman 3. Fixed, so nobody has to ask.
_OLDEST = "1.41"


class EngineLost(CannotJudge):
    """The engine does not answer any more."""


class _Client(docker.DockerClient):
    """A client, and what its connection takes beside it, which ends with it."""

    def __init__(self, place: Endpoint) -> None:
        super().__init__(
            base_url=place.url, tls=place.tls or False, timeout=TIMEOUT, version=_OLDEST
        )
        self.beside = ExitStack()
        if place.tls is not None:
            # requests would let REQUESTS_CA_BUNDLE win over the certificates of this engine.
            self.api.proxies = get_environ_proxies(self.api.base_url)
            self.api.trust_env = False

    def close(self) -> None:
        super().close()
        self.beside.close()


def connect(engine: str = "", tunnel: str = "") -> docker.DockerClient:
    """Return a client of the engine called *engine*: a URL, or the name of a docker context.

    Without a name it is the one of ``DOCKER_HOST``, of the current docker context, or at one of the
    usual sockets. The socket *tunnel* leads to one on another machine; without it, the client has a
    tunnel of its own.

    :raises UsageError: there is no such context.
    :raises CannotJudge: there is no engine, or it does not let us in.
    """
    place = endpoint_of(engine)
    with ExitStack() as stack:
        reached = place
        if place.url.startswith("ssh://"):
            path = tunnel or stack.enter_context(_own_tunnel(place.url))
            reached = Endpoint(f"unix://{stack.enter_context(short_name(path))}")
        client = _client(reached, place.url, engine)
        client.beside = stack.pop_all()
        return client


@contextmanager
def _own_tunnel(url: str) -> Iterator[str]:
    """Open a tunnel to the engine at *url*; yield the path of its socket."""
    with (
        TemporaryDirectory(prefix="probe-conformance-") as directory,
        closing(Tunnel(url, Path(directory))) as tunnel,
    ):
        tunnel.wait()
        yield os.fspath(tunnel.socket)


def _client(place: Endpoint, shown: str, engine: str) -> _Client:
    """Return a client of the engine at *place*, which people know as *shown*."""
    client = None
    try:
        if place.socket:
            # The SDK does not close its own socket if the connection fails.
            with socket.socket(socket.AF_UNIX) as trial:
                trial.settimeout(TIMEOUT)
                trial.connect(place.socket)
        client = _Client(place)
        if not client.ping():
            raise DockerException("what listens there is not an engine")
    except (*ENGINE_ERRORS, ValueError) as e:
        if client is not None:
            client.close()
        raise _unreachable(e, shown, engine) from None
    return client


def _unreachable(error: BaseException, shown: str, engine: str) -> CannotJudge:
    """Return what to say of an engine that cannot be reached."""
    number = _number(error)
    if number in (errno.EACCES, errno.EPERM):
        hint = "add your user to the socket's group (often docker), or use a rootless engine"
        return CannotJudge(f"no permission on the engine's socket {shown}", hint=hint)
    if number in (errno.ENOENT, errno.ECONNREFUSED):
        usual = "start docker or podman, or set DOCKER_HOST"
        hint = "start it, or name another" if engine else usual
        return CannotJudge(f"no container engine at {shown}", hint=hint)
    if shown.startswith("ssh://"):
        place = SshPlace.in_url(shown)
        cause = f"no container engine at {place.socket} on {place.host}, or no permission on it"
        hint = "write where it listens, such as ssh://user@host/run/user/1000/docker.sock"
        return CannotJudge(cause, hint=hint)
    cause = f"the container engine at {shown} does not answer: {message(error)}"
    hint = "look at its name" if engine else "look at DOCKER_HOST"
    if engine and shown.startswith("tcp://"):
        hint = "look at DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, or at its docker context"
    return CannotJudge(cause, hint=hint)


def _number(error: BaseException | None) -> int | None:
    """Return the number of the system error that is at the bottom of *error*, if any."""
    pending, seen = [error], set[int]()
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        # What TLS says has numbers of its own, which mean something else in the system.
        tls = isinstance(current, ssl.SSLError)
        if isinstance(current, OSError) and isinstance(current.errno, int) and not tls:
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
    while wrapped := [part for part in error.args if isinstance(part, BaseException)]:
        error = wrapped[0]  # the libraries put it between their own words, as Python writes it
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
