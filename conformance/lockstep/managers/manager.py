"""The other side of the exit codes: what a Manager does with each, asked of a table, a Python object or a command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from conformance.errors import UsageError
from conformance.lockstep.managers.answers import Answers
from conformance.lockstep.managers.tables import ENDINGS, TableManager
from conformance.model.contract import Action

__all__ = ["Manager", "open_manager"]

_OBJECT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Manager(Protocol):
    """Says what it does with an exit code."""

    def ask(self, first: tuple[int, ...], directory: Path) -> Answers:
        """Return what it does with every code there is, asked for the codes *first* before all others.

        *directory* may be written to. What the Manager itself gets wrong is in the answers.

        :raises ConformanceError: it cannot be asked at all.
        """

    def describe(self) -> dict[str, Any]:
        """Return what it is, for reports: built-in types only."""


def open_manager(spec: str, words: Mapping[str, Action], directory: Path) -> Manager:
    """Return the Manager that *spec* names: a table file, a Python object ``module:NAME``, or a command.

    *words* are the Manager's own words for actions, with what they mean; names are looked up from *directory*.

    :raises UsageError: there is none.
    :raises FileError: the table is wrong.
    """
    if not spec.strip():
        raise UsageError("--manager is empty", hint="name a table file, a Python object 'module:NAME', or a command")
    if spec.endswith(tuple(ENDINGS)) and (" " not in spec or (directory / spec).is_file()):
        return TableManager.read(directory / spec, words)
    from conformance.lockstep.managers.programs import CommandManager, PythonManager  # noqa: PLC0415 - tables do without

    if _OBJECT.fullmatch(spec):
        return PythonManager(spec, words, directory)
    return CommandManager(spec, words, directory)
