"""What a container prints, read from the connection to the engine: frames, each of one stream."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import docker

__all__ = ["KEEP_BYTES", "Attached", "Output"]

#: How many bytes of each output stream are kept; the rest is read and thrown away.
KEEP_BYTES = 1024 * 1024

_STDOUT, _STDERR = 1, 2


class Output:
    """A stream of which a bounded part is kept, in memory or in a file."""

    def __init__(self, limit: int = KEEP_BYTES, file: BinaryIO | None = None) -> None:
        self.data = bytearray()
        """What is kept; empty where it goes into a file."""
        self.truncated = False
        self._room = limit
        self._file = file

    def add(self, chunk: bytes) -> None:
        """Add a *chunk*, as far as it is to be kept."""
        self.truncated |= len(chunk) > self._room
        part = chunk[: self._room]
        self._room -= len(part)
        if self._file is not None:
            self._file.write(part)
        else:
            self.data += part


class Attached:
    """The standard streams of a container, attached before it starts, so that nothing is missed."""

    def __init__(self, client: docker.DockerClient, container: str, *, stdin: bool = False) -> None:
        parameters = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
        self._response = client.api.attach_socket(container, params=parameters)
        # For a local socket the SDK returns a file around it, which has no time limit.
        self._socket: socket.socket = getattr(self._response, "_sock", self._response)
        self._buffer = b""

    def send_file(self, file: BinaryIO, deadline: float) -> None:
        """Write what is left of *file* to the container's standard input; see :meth:`send`."""
        while chunk := file.read(KEEP_BYTES):
            self.send(chunk, deadline)

    def send(self, data: bytes, deadline: float) -> None:
        """Write *data* to the container's standard input.

        :raises ConnectionError: the connection is gone, with the container or with the engine.
        :raises TimeoutError: it is not read by *deadline*, in seconds of the monotonic clock.
        """
        self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as e:
            raise ConnectionError(e.strerror or str(e)) from None

    def frames(self, deadline: float) -> Iterator[tuple[int, bytes]]:
        """Yield the number of a stream, 1 or 2, and what came on it, until the container ends.

        :raises TimeoutError: it has not ended by *deadline*.
        """
        while True:
            header = self._exactly(8, deadline)
            if len(header) < 8:
                return
            size = int.from_bytes(header[4:], "big")
            while size > 0:
                chunk = self._some(min(size, 1 << 20), deadline)
                if not chunk:
                    return
                size -= len(chunk)
                yield header[0], chunk

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._some(size - len(data), deadline)
            if not chunk:
                break
            data += chunk
        return data

    def _some(self, size: int, deadline: float) -> bytes:
        if not self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            try:
                self._buffer = self._socket.recv(1 << 18)
            except TimeoutError:
                raise
            except OSError:
                return b""  # the engine is gone; the next request to it tells
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part

    def close(self) -> None:
        """Hang up; a thread that still reads sees the end."""
        with suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for connection in {self._response, self._socket}:
            connection.close()


def streams_of(limit: int = KEEP_BYTES) -> dict[int, Output]:
    """Return an empty output for each stream, by its number in the frames."""
    return {_STDOUT: Output(limit), _STDERR: Output(limit)}


def keep(connection: Attached, outputs: dict[int, Output], deadline: float) -> None:
    """Read until the container ends.

    :raises TimeoutError: it has not ended by *deadline*; what came until then is kept.
    """
    for number, chunk in connection.frames(deadline):
        if number in outputs:
            outputs[number].add(chunk)
