"""Standard output and error, whose reader may be gone, as in ``probe-conformance run | head``."""

from __future__ import annotations

import os
from typing import Any, TextIO

__all__ = ["Stream", "silence"]


class Stream:
    """A text stream that turns silent when it cannot be written.

    The run goes on, for its reports and its exit status.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*, if anybody reads it."""
        try:
            return self._stream.write(text)
        except OSError:
            silence(self._stream)
            return len(text)

    def flush(self) -> None:
        """Pass on what was written, if anybody reads it."""
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Redirect *stream* to nowhere, so that flushing its rest at exit does not fail either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
