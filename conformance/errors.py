"""Errors that a person can fix: each is one line with its cause and the way out."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.text import one_line

__all__ = ["CannotJudge", "ConformanceError", "FileError", "ManyErrors", "UsageError"]


class ConformanceError(Exception):
    """The base of all errors that a user can cause or fix.

    ``exit_status`` is the exit status of the command line: 2 if the request is wrong, 3 if
    something could not be judged.
    """

    exit_status = 2

    def __init__(self, cause: str, *, hint: str = "") -> None:
        super().__init__(cause, hint)
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return one_line(f"{self.cause}; {self.hint}" if self.hint else self.cause)

    def lines(self) -> list[str]:
        """Return what to print, one line for each mistake."""
        return [str(self)]


class UsageError(ConformanceError):
    """The request is wrong: an option, an unknown id, an empty selection, a missing probe."""


class FileError(ConformanceError):
    """A scenario, contract or list file is wrong; the message names the file and the key."""

    def __init__(self, file: str, cause: str, *, key: str = "", hint: str = "") -> None:
        super().__init__(f"{file}: {key}: {cause}" if key else f"{file}: {cause}", hint=hint)
        self.file = file
        self.key = key
        self.detail = cause


class CannotJudge(ConformanceError):
    """The suite or its surroundings failed, so nothing can be said about the probe."""

    exit_status = 3


class ManyErrors(ConformanceError):
    """Several mistakes found in one go, so that they can be fixed in one go."""

    def __init__(self, errors: Iterable[ConformanceError]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(str(e) for e in self.errors))
        self.exit_status = max((e.exit_status for e in self.errors), default=self.exit_status)

    def lines(self) -> list[str]:
        """Return one line for each mistake.

        Repeated lines are dropped: a mistake in a layer is found again in every scenario that
        includes it.
        """
        return list(dict.fromkeys(line for error in self.errors for line in error.lines()))
