"""Files that a command is asked to write: refused before anything runs, not afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.errors import UsageError

__all__ = ["check_outputs", "reports"]


def reports(options: Mapping[str, Any]) -> list[str]:
    """Return the files that reports for machines are written to."""
    files = [options.get("json_file"), options.get("junit_file")]
    return [file for file in files if file]


def check_outputs(options: Mapping[str, Any]) -> None:
    """Refuse, before anything runs, files that cannot be written or that would be lost.

    *options* are those of a command; what it does not have counts as not given.

    :raises UsageError: a file cannot be written, or would be.
    """
    new = options.get("write_known_failures")
    for file in (options.get("json_file"), options.get("junit_file"), new):
        if file:
            _check_writable(file)
    files = reports(options)
    if len({os.path.abspath(file) for file in files}) < len(files):
        where = "standard output" if options["json_file"] == "-" else options["json_file"]
        cause = f"--json and --junit both write to {where}"
        raise UsageError(cause, hint="name another file for one")
    if new and Path(new).exists() and not _same_file(options.get("known_failures"), new):
        hint = f"give --known-failures {new} as well to update it and keep its reasons"
        raise UsageError(f"{new} is there already", hint=hint)


def _check_writable(file: str) -> None:
    parent = Path(file).absolute().parent
    if file != "-" and not parent.is_dir():
        raise UsageError(f"no directory {parent} for {file}", hint="make it first")
    if os.path.isdir(file):
        raise UsageError(f"{file} is a directory", hint="name a file")


def _same_file(old: str | None, new: str) -> bool:
    """Return whether *old* is given, exists, and is the file *new*."""
    return old is not None and Path(old).exists() and Path(old).samefile(new)
