"""What the stubs of CLIs were asked, other than for their version: a file to which they append."""

from __future__ import annotations

import os
import threading
from pathlib import Path

__all__ = ["AskedLog", "questions"]

#: The most bytes of one reading: a probe that asks in a loop must not fill a report.
_MOST = 64 * 1024


class AskedLog:
    """One file for all stubs of a driver. It costs a look at its size for each execution."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._lock = threading.Lock()

    def make(self) -> None:
        """Make the file; a stub never does, so that a probe cannot be blamed for it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o666)

    def news(self) -> tuple[str, ...]:
        """Return what has been asked since the last call."""
        with self._lock:
            try:
                size = os.stat(self.path).st_size
            except FileNotFoundError:  # no stub has been built yet
                return ()
            if size <= self._read:
                return ()
            with self.path.open("rb") as file:
                file.seek(self._read)
                data = file.read(min(size - self._read, _MOST))
            self._read = size
        return questions(data)


def questions(data: bytes) -> tuple[str, ...]:
    """Return the lines that stubs have written, each the name of a program and its arguments."""
    text = data.decode("utf-8", "backslashreplace")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
