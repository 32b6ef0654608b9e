"""A shell kept open in a container: a line to it replaces the start of a process."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import suppress
from typing import BinaryIO

import docker
from msgspec import Struct

from conformance.drivers.container.client import ENGINE_ERRORS, engine_errors
from conformance.drivers.container.spec import ContainerSpec
from conformance.drivers.container.streams import KEEP_BYTES, Attached, Output, streams_of
from conformance.errors import CannotJudge
from conformance.text import one_line

__all__ = ["Reply", "Shell", "ShellLost"]


class ShellLost(CannotJudge):
    """The shell has ended, or does not answer."""


class Reply(Struct, frozen=True, kw_only=True):
    """What a few lines of shell came to."""

    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool
    seconds: float


class Shell:
    """A container whose first process is ``sh``, reading lines from us.

    As the first process it cannot be killed from inside, it adopts all orphans, and ``kill -9 -1``
    ends all but it. When the connection closes, for whatever reason, it reads the end of its input
    and ends. Then the engine removes the container.
    """

    def __init__(
        self, client: docker.DockerClient, spec: ContainerSpec, labels: dict[str, str]
    ) -> None:
        self._client = client
        self._container = spec.create(client, labels, stdin=True)
        try:
            with engine_errors("no shell starts in the container"):
                self._attached = Attached(client, self._container, stdin=True)
                client.api.start(self._container)
        except BaseException:
            self.close()
            raise

    def run(
        self,
        script: bytes,
        seconds: float,
        *,
        limit: int = KEEP_BYTES,
        feed: BinaryIO | None = None,
        into: BinaryIO | None = None,
    ) -> Reply:
        """Run *script* and wait for its end; *feed* is its standard input.

        Its standard output goes *into* a file, if one is given, with a line of ours at the end.

        :raises TimeoutError: it has not ended after *seconds*; the shell is unusable from then on.
        :raises ShellLost: the shell has ended.
        """
        mark = secrets.token_hex(12).encode()
        deadline = time.monotonic() + seconds
        ready = b"printf " + mark + b"\n" if feed is not None else b""
        end = b"printf '\\n" + mark + b" %s\\n' \"$?\"\nprintf '\\n" + mark + b"\\n' >&2\n"
        try:
            # As one command, so that the shell reads all of it before the script reads its input.
            self._attached.send(b"{\n" + ready + script + b"\n" + end + b"}\n", deadline)
            if feed is not None:
                self._until(mark, deadline)
                self._attached.send_file(feed, deadline)
            return self._reply(mark, deadline, limit, into)
        except ConnectionError as e:
            # The shell or the engine is gone; the next request to the engine tells which.
            raise ShellLost(f"the shell in the container cannot be reached: {e}") from None

    def _until(self, mark: bytes, deadline: float) -> None:
        """Read until *mark* comes on standard output."""
        seen = {1: b"", 2: b""}
        for number, chunk in self._attached.frames(deadline):
            seen[number] = (seen[number] + chunk)[-200:]
            if mark in seen[1]:
                return
        raise _lost(seen[2])

    def _reply(self, mark: bytes, deadline: float, limit: int, into: BinaryIO | None) -> Reply:
        """Read until a line with *mark* has come on both streams; return what came before."""
        started = time.monotonic()
        outputs = streams_of(limit + 200)
        if into is not None:
            outputs[1] = Output(limit + 200, into)
        tails = {1: b"", 2: b""}
        ends: dict[int, re.Match[bytes]] = {}
        line = re.compile(rb"\n" + mark + rb"(?: (\d+))?\n")
        for number, chunk in self._attached.frames(deadline):
            if number in ends or number not in outputs:
                continue  # what the script has left running can still print
            outputs[number].add(chunk)
            if end := line.search(tails[number] + chunk):
                ends[number] = end
            tails[number] = (tails[number] + chunk)[-200:]
            if len(ends) == 2:
                out, err = (_before(outputs[n], mark) for n in (1, 2))
                truncated = any(output.truncated for output in outputs.values())
                return Reply(
                    code=int(ends[1][1]),
                    stdout=out,
                    stderr=err,
                    truncated=truncated,
                    seconds=time.monotonic() - started,
                )
        raise _lost(tails[2])

    def close(self) -> None:
        """Remove the container."""
        with suppress(AttributeError):
            self._attached.close()
        with suppress(*ENGINE_ERRORS):
            self._client.api.remove_container(self._container, v=True, force=True)


def _lost(said: bytes) -> ShellLost:
    """Return the error for a shell that has ended, with the last that it *said*."""
    message = "the shell in the container has ended"
    reason = one_line(said.decode(errors="backslashreplace"))
    return ShellLost(f"{message}: {reason}" if reason else message)


def _before(output: Output, mark: bytes) -> bytes:
    """Return what came in *output* before the line with *mark*."""
    data = bytes(output.data)
    at = data.rfind(b"\n" + mark)
    if at >= 0:
        return data[:at]
    return data[:-200]  # the output is full, and may end with the beginning of the mark
