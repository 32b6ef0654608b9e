"""Files of a fake file system opened for reading, as the classes of ``io`` that real ones are."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from pyfakefs import helpers
from pyfakefs.fake_file import FakeDirectory, FakeFile

from conformance.home.fake_calls import ExactCalls
from conformance.home.fake_nodes import FakeFifo
from conformance.home.fake_system import ExactFilesystem, fail

__all__ = ["reading"]

#: Modes that only read.
_READS = {"r", "rb", "br", "rt", "tr"}


class _Raw(io.RawIOBase):
    """What :class:`io.FileIO` is for a real file."""

    def __init__(self, calls: ExactCalls, file: FakeFile, number: int, name: Any, close: bool):
        self._calls = calls
        self._file = file
        self._number = number
        self._close = close
        self._at = 0
        self.name = name
        self.mode = "rb"

    def _data(self) -> bytes:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        # Whether a FIFO is waited for was decided when it was opened.
        return b"" if isinstance(self._file, FakeFifo) else self._file.byte_contents or b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return stat.S_ISREG(self._file.st_mode)

    def fileno(self) -> int:
        self._data()
        return self._number

    def readinto(self, buffer: Any) -> int:
        part = self._data()[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def readall(self) -> bytes:
        data = self._data()[self._at :]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data())}[whence]
        if start + offset < 0:
            fail(errno.EINVAL, self.name)
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._close:
                self._calls.close(self._number)


def reading(calls: ExactCalls, given: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``pyfakefs.fake_open.fake_open``; *given* does all but reading."""

    def fake_open(
        filesystem: Any,
        skip_names: Any,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
        is_fake_open_code: bool = False,
    ) -> Any:
        how = (mode, buffering, encoding, errors, newline, closefd, opener)
        is_real = isinstance(file, int) and file <= 2
        if is_real or (not is_fake_open_code and _caller() in {*skip_names, _IMPORT}):
            return _real_open(file, *how)
        if not isinstance(filesystem, ExactFilesystem):
            return given(filesystem, skip_names, file, *how, is_fake_open_code)
        if mode not in _READS or helpers.is_unfaked_path(file):
            # Who calls has been looked at: this module is none that pyfakefs should look at.
            return given(filesystem, [], file, *how, is_fake_open_code)
        if "b" in mode and (encoding or errors or newline is not None):
            raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
        raw = _opened(calls, filesystem, file, closefd=closefd, opener=opener)
        if "b" in mode:
            return raw if buffering == 0 else io.BufferedReader(raw, max(buffering, 8192))
        if buffering == 0:
            raise ValueError("can't have unbuffered text I/O")
        # What a probe is started with makes this the encoding, whatever ours is.
        encoding = "utf-8" if encoding in (None, "locale") else encoding
        text: Any = io.TextIOWrapper(io.BufferedReader(raw), encoding, errors, newline)
        text.mode = mode
        return text

    return fake_open


_real_open = open
_PASSED_OVER = ("pyfakefs.", "pathlib", __name__)
#: What stands for the caller where Python reads a module, from 3.12 on by way of pyfakefs.
_IMPORT = "io.open_code"


def _caller() -> str:
    """Return the name of the module that opens a file."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("pyfakefs.") and frame.f_code.co_name == "open_code":
            return _IMPORT
        if not name.startswith(_PASSED_OVER):
            return name
        frame = frame.f_back
    return ""


def _opened(
    calls: ExactCalls, filesystem: ExactFilesystem, file: Any, *, closefd: bool, opener: Any
) -> _Raw:
    if isinstance(file, int):
        number = file
    else:
        flags = os.O_RDONLY | os.O_CLOEXEC
        number = (opener or calls.open)(file, flags)
    found = filesystem.get_open_file(number).get_object()
    assert isinstance(found, FakeFile)
    if isinstance(found, FakeDirectory):
        if not isinstance(file, int):
            calls.close(number)
        fail(errno.EISDIR, file)
    return _Raw(calls, found, number, file, closefd)
