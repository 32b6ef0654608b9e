"""Managers: tables, Python objects and commands that say what they do with an exit code."""

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
        """Return what it does with every code; the codes *first* are asked for before all others.

        The Manager may write to *directory*. The answers hold what the Manager itself gets wrong.

        :raises ConformanceError: it cannot be asked at all.
        """

    def describe(self) -> dict[str, Any]:
        """Return what it is, for reports: built-in types only."""


def open_manager(spec: str, words: Mapping[str, Action], directory: Path) -> Manager:
    """Return the Manager that *spec* names.

    It is a table file, a Python object ``module:NAME``, or a command, looked up from *directory*.
    *words* are the Manager's own words for actions, with what they mean.

    :raises UsageError: there is none.
    :raises FileError: the table is wrong.
    """
    if not spec.strip():
        hint = "name a table file, a Python object 'module:NAME', or a command"
        raise UsageError("--manager is empty", hint=hint)
    if spec.endswith(tuple(ENDINGS)) and (" " not in spec or (directory / spec).is_file()):
        return TableManager.read(directory / spec, words)
    # Imported only when used: tables need no supervisor.
    from conformance.lockstep.managers.programs import (  # noqa: PLC0415
        CommandManager,
        PythonManager,
    )

    if _OBJECT.fullmatch(spec):
        return PythonManager(spec, words, directory)
    return CommandManager(spec, words, directory)
