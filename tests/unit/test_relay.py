"""The programs of a relay: each carries connections as frames over its standard streams."""

from __future__ import annotations

import shlex
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from factories import PATIENCE
from support import without

from conformance.drivers.container.relay import _LISTENERS

LISTENERS = {name: [name, option, program] for name, option, program in _LISTENERS}


@contextmanager
def relay(name: str, mode: str) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """Start the program in one language; yield it and its ports."""
    if shutil.which(name) is None:
        without(name)
    process = subprocess.Popen(
        [*LISTENERS[name], mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    try:
        line = b""
        while not line.endswith(b"\n"):
            line += process.stdout.read(1) or b"?\n"
        yield process, [int(word) for word in line.split()]
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0  # it ends with its input
        process.stdout.close()


def exactly(process: subprocess.Popen[bytes], size: int) -> bytes:
    assert process.stdout is not None
    data = b""
    while len(data) < size:
        chunk = process.stdout.read(size - len(data))
        assert chunk, "it has ended"
        data += chunk
    return data


def frame(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    key, size = struct.unpack(">II", exactly(process, 8))
    return key, exactly(process, size)


def tell(process: subprocess.Popen[bytes], key: int, data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(struct.pack(">II", key, len(data)) + data)


@pytest.mark.parametrize("name", LISTENERS)
def test_connections_are_carried_apart_and_in_both_directions(name: str) -> None:
    with relay(name, "listen") as (process, ports):
        with (
            socket.create_connection(("127.0.0.1", ports[0]), PATIENCE) as first,
            socket.create_connection(("127.0.0.2", ports[1]), PATIENCE) as second,
        ):
            opened = {key % 2: key for key, data in (frame(process), frame(process)) if not data}
            first.sendall(b"to the Manager")
            assert frame(process) == (opened[0], b"to the Manager")
            second.sendall(b"elsewhere")
            assert frame(process) == (opened[1], b"elsewhere")
            large = bytes(range(256)) * 1000
            tell(process, opened[1], large)
            tell(process, opened[0], b"an answer")
            assert first.recv(100) == b"an answer"
            got = b""
            while len(got) < len(large):
                got += second.recv(1 << 16)
            assert got == large
            tell(process, opened[0], b"")
            assert first.recv(100) == b""
        assert frame(process) == (opened[1], b"")


@pytest.mark.parametrize("name", LISTENERS)
def test_nobody_listens_where_the_manager_is_to_refuse(name: str) -> None:
    with relay(name, "refuse") as (_, ports):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), PATIENCE)
        socket.create_connection(("127.0.0.2", ports[1]), PATIENCE).close()


def test_the_programs_can_be_words_of_a_shell() -> None:
    for _, _, program in _LISTENERS:
        assert shlex.split(shlex.quote(program)) == [program]
