"""What a home has and pyfakefs does not: a FIFO, a socket, and a link to any bytes."""

from __future__ import annotations

import errno
import os
import stat

from pyfakefs.fake_file import FakeFile
from pyfakefs.fake_filesystem import FakeFilesystem

from conformance.home.endless import Endless

__all__ = ["FakeFifo", "FakeLink", "FakeSocket"]


class FakeFifo(FakeFile):
    """A FIFO that nobody writes to.

    To open it waits without end, unless the caller does not want to wait: then :attr:`waits` is
    false until it is closed.
    """

    waits = True
    waited_for = False
    """Whether somebody has waited for it, which a gate may hide."""

    def __init__(self, name: str, mode: int, filesystem: FakeFilesystem) -> None:
        super().__init__(name, stat.S_IFIFO | mode, b"", filesystem=filesystem)  # type: ignore[type-var]  # bytes beside a text

    @property
    def byte_contents(self) -> bytes | None:
        """What a reader gets, which is the end at once.

        :raises Endless: the reader waits for a writer.
        """
        if self.waits:
            self.waited_for = True
            raise Endless("a FIFO was opened that nobody writes to")
        return b""


class FakeSocket(FakeFile):
    """A socket that nobody listens at; it cannot be opened."""

    def __init__(self, name: str, mode: int, filesystem: FakeFilesystem) -> None:
        super().__init__(name, stat.S_IFSOCK | mode, b"", filesystem=filesystem)  # type: ignore[type-var]  # bytes beside a text

    @property
    def byte_contents(self) -> bytes | None:
        """Nothing.

        :raises OSError: always, as open(2) does.
        """
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), self.name)


class FakeLink(FakeFile):
    """A symbolic link, whose target need not be UTF-8."""

    def __init__(self, name: str, target: bytes, filesystem: FakeFilesystem) -> None:
        super().__init__(name, stat.S_IFLNK | 0o777, target, filesystem=filesystem)  # type: ignore[type-var]  # bytes beside a text

    @property
    def contents(self) -> str | None:
        """The target as text, with bytes that are not UTF-8 as lone surrogates."""
        data = self.byte_contents
        return os.fsdecode(data) if data is not None else None
