"""The ends of pipes that a gate holds of a process that was never started."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import IO, Any, NoReturn

from conformance.drivers.in_process.processes import Process, ProcessTable

__all__ = ["Deliver", "Input", "Output", "delivery", "opened"]

#: What takes output that leads to no pipe.
Deliver = Callable[[bytes], object]


class Output(io.RawIOBase):
    """What a gate reads of the output of a process; reading waits as reading a pipe does."""

    def __init__(
        self, table: ProcessTable, process: Process, name: str, refuse: Callable[[str], NoReturn]
    ) -> None:
        self._table = table
        self._process = process
        self._stream = name
        self._refuse = refuse
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for output, or for its end."""
        read = frozenset({self._stream})
        self._table.wait(self._process.pid, read=read)
        self._process.read_all(read)
        rest = getattr(self._process, self._stream)[self._at :]
        if not rest:
            self._table.wait_closed(self._process.pid)
        count = min(len(buffer), len(rest))
        buffer[:count] = rest[:count]
        self._at += count
        return count

    def rest(self) -> bytes:
        """Return what has not been read yet, without waiting."""
        data: bytes = getattr(self._process, self._stream)[self._at :]
        self._at += len(data)
        return data

    def fileno(self) -> int:
        """Refuse to give a descriptor: there is none."""
        self._refuse("asks for the descriptor of a CLI's output")


class Input(io.RawIOBase):
    """What a gate writes to a process, which does not read it."""

    def __init__(self, refuse: Callable[[str], NoReturn]) -> None:
        self._refuse = refuse

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Take *data*."""
        return len(memoryview(data).cast("B"))

    def fileno(self) -> int:
        """Refuse to give a descriptor: there is none."""
        self._refuse("asks for the descriptor of a CLI's input")


def opened(raw: io.RawIOBase, text: dict[str, Any] | None, *, size: int = -1) -> IO[Any]:
    """Return *raw* as ``Popen`` opens it: for bytes, or with *text* as ``open`` takes it."""
    binary: Any = raw
    if size != 0:
        kind = io.BufferedReader if raw.readable() else io.BufferedWriter
        binary = kind(raw)
    if text is None:
        return binary  # type: ignore[no-any-return]
    text = {**text, "encoding": text.get("encoding") or "utf-8"}
    return io.TextIOWrapper(binary, write_through=True, line_buffering=size == 1, **text)


def delivery(target: Any, standard: int, write: Callable[[int, bytes], object]) -> Deliver:
    """Return what takes output for *target*, as ``Popen`` knows them, but no pipe.

    None stands for the *standard* stream of this process. *write* writes to fake descriptors.
    """
    if target is None:
        target = standard
    number = target if isinstance(target, int) else target.fileno()
    if number < 0:  # DEVNULL
        return lambda _: None
    if number <= 2:
        return lambda data: _write_all(number, data)
    return lambda data: write(number, data)


_real_write = os.write


def _write_all(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[_real_write(number, view) :]
