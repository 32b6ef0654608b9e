"""What stands for a wait without end where nothing really waits."""

from __future__ import annotations

__all__ = ["Endless"]


class Endless(BaseException):
    """A call would wait without end.

    It is no :class:`Exception`, so that what handles errors does not take it for one.
    """
