"""Files that a command is asked to write: refused before anything runs, not afterwards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from conformance.errors import UsageError

__all__ = [
    "check_directory",
    "check_kept",
    "check_new_scenario",
    "check_outputs",
    "reports",
]

#: Options that name a JSON report which is read.
_REPORTS = ("baseline", "last_failed", "durations")
#: Options that name a file which is read, and must not be lost.
_READ = (*_REPORTS, "known_failures")

#: The name of a scenario file: the end of an id.
_SCENARIO = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.toml")


def reports(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that reports are written to, by the options that say so."""
    files = {
        "--json": options.get("json_file"),
        "--junit": options.get("junit_file"),
        "--html": options.get("html_file"),
        "--attest": options.get("attest_file"),
        "--output-format": "-" if options.get("output_format", "full") != "full" else None,
    }
    return {option: file for option, file in files.items() if file}


def check_outputs(options: Mapping[str, Any]) -> None:
    """Refuse, before anything runs, files that cannot be written or that would be lost.

    *options* are those of a command; what it does not have counts as not given.

    :raises UsageError: a file cannot be written, or would be.
    """
    new = options.get("write_known_failures")
    files = reports(options)
    written = {**files, "--write-known-failures": new} if new else files
    for file in written.values():
        _check_writable(file)
    first: dict[str, str] = {}
    for option, file in written.items():
        other = first.setdefault("-" if file == "-" else os.path.realpath(file), option)
        if other != option:
            where = "standard output" if file == "-" else written[other]
            cause = f"{other} and {option} both write to {where}"
            raise UsageError(cause, hint="name another file for one")
    for name in _READ:
        # A JSON report may take the place of the one that it is compared with.
        kept = {**files, "--json": "-"} if name in _REPORTS else files
        check_kept(
            kept.values(),
            filter(None, [options.get(name)]),
            f"the file of --{name.replace('_', '-')}",
        )
    if new and Path(new).exists() and not _same_file(options.get("known_failures"), new):
        hint = f"give --known-failures {new} as well to update it and keep its reasons"
        raise UsageError(f"{new} is there already", hint=hint)


def check_kept(written: Iterable[str], read: Iterable[str], what: str) -> None:
    """Refuse to write over a file that is *read*, as which it is called *what*.

    :raises UsageError: one of those *written* is one.
    """
    kept = {*map(os.path.realpath, read)}
    for file in written:
        if file != "-" and os.path.realpath(file) in kept:
            raise UsageError(f"{file} is {what}", hint="name another file to write")


def check_new_scenario(output: Path) -> None:
    """Refuse a file that cannot hold a scenario, or that would be lost.

    :raises UsageError: it is one.
    """
    if not _SCENARIO.fullmatch(output.name):
        hint = "use words of lower-case letters and digits with '-' between, and .toml"
        raise UsageError(f"-o '{output}' is no name of a scenario file", hint=hint)
    if not output.absolute().parent.is_dir():
        cause = f"no directory {output.absolute().parent} for {output}"
        raise UsageError(cause, hint="make it first")
    if output.exists() or output.is_symlink():
        raise UsageError(f"{output} is there already", hint="name another file, or remove it")
    _check_entered(output, output.absolute().parent)


def check_directory(output: Path) -> None:
    """Refuse a directory in which no file can be written, or that cannot be made.

    :raises UsageError: it is one.
    """
    place = output.absolute()
    while not (place.exists() or place.is_symlink()):
        place = place.parent
    if not place.is_dir():
        what = "is not a directory" if place == output.absolute() else f"lies below {place}"
        raise UsageError(f"-o '{output}' {what}", hint="name another one")
    _check_entered(output, place)


def _check_entered(output: Path, directory: Path) -> None:
    """Refuse an *output* for which nothing can be written into *directory*.

    :raises UsageError: nothing can be.
    """
    if not os.access(directory, os.W_OK | os.X_OK):
        cause = f"-o '{output}' cannot be written: {directory} is closed to you"
        raise UsageError(cause, hint="name another place")


def _check_writable(file: str) -> None:
    parent = Path(file).absolute().parent
    if file != "-" and not parent.is_dir():
        raise UsageError(f"no directory {parent} for {file}", hint="make it first")
    if os.path.isdir(file):
        raise UsageError(f"{file} is a directory", hint="name a file")


def _same_file(old: str | None, new: str) -> bool:
    """Return whether *old* is given, exists, and is the file *new*."""
    return old is not None and Path(old).exists() and Path(old).samefile(new)
