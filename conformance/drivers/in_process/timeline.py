"""How time passes for a CLI that is never started."""

from __future__ import annotations

import time
from typing import Protocol

from conformance.drivers.in_process.clock import TimeUp

__all__ = ["OwnTime", "Timeline"]


class Timeline(Protocol):
    """Seconds that pass, and calls that let some pass at once."""

    @property
    def passed(self) -> float:
        """How many seconds have passed."""

    @property
    def is_up(self) -> bool:
        """Whether the time limit has passed."""

    def wait(self, seconds: float | None) -> None:
        """Let *seconds* pass; None never ends.

        :raises TimeUp: the limit has passed, or it never ends.
        """


class OwnTime:
    """The time of the CLI alone, beside a clock that is not set.

    A call that waits for the CLI returns at once, and the CLI is as much older. What looks at it
    again and again sees it take its time.
    """

    def __init__(self, limit: float) -> None:
        self.is_up = False
        self._limit = limit
        self._skipped = 0.0
        self._start = time.monotonic()

    @property
    def passed(self) -> float:
        """See :class:`Timeline`."""
        return time.monotonic() - self._start + self._skipped

    def wait(self, seconds: float | None) -> None:
        """See :class:`Timeline`."""
        if seconds is None or self.passed + seconds >= self._limit:
            self.is_up = True
            raise TimeUp(f"the CLI did not end within {self._limit:g} seconds")
        self._skipped += seconds
