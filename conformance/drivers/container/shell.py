"""A shell kept open in a container: what costs a start of a process there costs a line here."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress

import docker
from msgspec import Struct

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.streams import KEEP_BYTES, Attached, Output, streams_of
from conformance.errors import CannotJudge

__all__ = ["Reply", "Shell", "ShellLost"]


class ShellLost(CannotJudge):
    """The shell has ended, or does not answer."""


class Reply(Struct, frozen=True, kw_only=True):
    """What a few lines of shell brought about."""

    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    seconds: float


class Shell:
    """A container whose first process is ``sh``, reading lines from us.

    As the first process it cannot be killed from inside, all orphans fall to it, and ``kill -9 -1`` ends all but it. When
    the connection closes, for whatever reason, it reads the end of its input and ends, and the engine removes the container.
    """

    def __init__(self, client: docker.DockerClient, spec: ContainerSpec, labels: dict[str, str]) -> None:
        self._client = client
        self._container = spec.create(client, labels, stdin=True)
        try:
            with engine_errors("no shell starts in the container"):
                self._attached = Attached(client, self._container, stdin=True)
                client.api.start(self._container)
        except BaseException:
            self.close()
            raise

    def run(self, script: bytes, seconds: float, *, limit: int = KEEP_BYTES, feed: bytes | None = None) -> Reply:
        """Run *script* and wait for its end; *feed* is what it finds on its standard input.

        :raises TimeoutError: it has not ended after so many *seconds*; the shell is of no use any more.
        :raises ShellLost: the shell has ended.
        """
        mark = secrets.token_hex(12).encode()
        deadline = time.monotonic() + seconds
        ready = b"printf " + mark + b"\n" if feed is not None else b""
        end = b"printf '\\n" + mark + b" %s\\n' \"$?\"\nprintf '\\n" + mark + b"\\n' >&2\n"
        # As one command, so that the shell has read all of it before anything else reads from the same input.
        self._attached.send(b"{\n" + ready + script + b"\n" + end + b"}\n", deadline)
        if feed is not None:
            self._until(mark, deadline)
            self._attached.send(feed, deadline)
        return self._reply(mark, deadline, limit)

    def _until(self, mark: bytes, deadline: float) -> None:
        seen = b""
        for number, chunk in self._attached.frames(deadline):
            seen = (seen + chunk)[-200:] if number == 1 else seen
            if mark in seen:
                return
        raise ShellLost("the shell in the container has ended")

    def _reply(self, mark: bytes, deadline: float, limit: int) -> Reply:
        started = time.monotonic()
        outputs = streams_of(limit + 200)
        tails = {1: b"", 2: b""}
        ended = {1: False, 2: False}
        for number, chunk in self._attached.frames(deadline):
            outputs[number].add(chunk)
            tails[number] = (tails[number] + chunk)[-200:]
            at = tails[number].rfind(mark)
            ended[number] = at >= 0 and tails[number].endswith(b"\n")
            if all(ended.values()):
                code = int(tails[1][tails[1].rfind(mark) + len(mark) :])
                out, err = (_before(outputs[n], tails[n], mark) for n in (1, 2))
                truncated = any(output.truncated for output in outputs.values())
                return Reply(code=code, stdout=out, stderr=err, truncated=truncated, seconds=time.monotonic() - started)
        raise ShellLost("the shell in the container has ended")

    def close(self) -> None:
        """Remove the container."""
        with suppress(AttributeError):
            self._attached.close()
        with suppress(*ENGINE_ERRORS):
            self._client.api.remove_container(self._container, v=True, force=True)


def _before(output: Output, tail: bytes, mark: bytes) -> bytes:
    """Return what stood in *output* before the line with *mark*."""
    data = bytes(output.data)
    at = data.rfind(b"\n" + mark)
    return data[:at] if at >= 0 else data[:-200]  # where all is full, the last of it may be the beginning of the mark
