"""Reports that were kept: in a directory, or as the versions of a file in git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from conformance.compare.changes import probe_name
from conformance.compare.history import Dated
from conformance.errors import UsageError
from conformance.report.saved import SavedReport, parse_report, read_report
from conformance.text import one_line, shortened

__all__ = ["Kept", "in_directory", "in_git"]

#: Seconds in which git answers, also about a large repository on a slow disk.
_PATIENCE = 120


class Kept(Struct, frozen=True):
    """What was found."""

    reports: tuple[Dated, ...]
    """Reports of runs; of one that was found several times, the first."""
    passed_over: tuple[str, ...] = ()
    """What is no report, a line each that says why."""
    copies: int = 0
    """How many more files, or versions, hold the report of a run that is there already."""


def in_directory(directory: str) -> Kept:
    """Return the reports among all ``*.json`` below *directory*; links are not followed.

    :raises UsageError: there is no such directory.
    """
    if not os.path.isdir(directory):
        cause = (
            f"{directory} is a file" if os.path.exists(directory) else f"no directory {directory}"
        )
        raise UsageError(cause, hint="name a directory of reports, or give --git and a file in git")
    collected = _Collected()
    for file in _json_files(directory):
        try:
            collected.add(os.path.relpath(file, directory), read_report(file))
        except UsageError as e:
            collected.pass_over(str(e))
    return collected.kept()


def in_git(file: str) -> Kept:
    """Return the reports among all versions of *file* that git has, under its present name.

    :raises UsageError: git is not there, or does not know the file.
    """
    directory, name = os.path.split(os.path.abspath(file))
    if not os.path.isdir(directory):
        raise UsageError(f"no directory {directory}", hint="name a file in a git repository")
    log = _git(directory, "log", "--format=%h", "--diff-filter=AMT", "--", name)
    if not log:
        hint = "name a file that was committed, from anywhere"
        raise UsageError(f"git knows no version of {file}", hint=hint)
    collected = _Collected()
    for commit in log.decode("ascii", "replace").split():
        try:
            text = _git(directory, "show", f"{commit}:./{name}")
            collected.add(commit, parse_report(text, f"{name} in {commit}"))
        except UsageError as e:
            collected.pass_over(str(e))
    return collected.kept()


class _Collected:
    """Reports as they are found, each run once."""

    def __init__(self) -> None:
        self._reports: dict[tuple[object, ...], Dated] = {}
        self._passed_over: list[str] = []
        self._copies = 0

    def add(self, name: str, report: SavedReport) -> None:
        """Take the *report* called *name*, unless it is a shard, or of a run that is there."""
        if report.shard is not None:
            self.pass_over(f"{name} is {report.shard.words} of a run: merge them first")
            return
        run = (report.now, report.seconds, report.contract, probe_name(report))
        if run in self._reports:
            self._copies += 1
        else:
            self._reports[run] = Dated(name, report)

    def pass_over(self, why: str) -> None:
        """Note what is no report."""
        self._passed_over.append(one_line(why))

    def kept(self) -> Kept:
        """Return what was found."""
        return Kept(tuple(self._reports.values()), tuple(self._passed_over), self._copies)


def _json_files(directory: str) -> Iterator[str]:
    for place, directories, files in os.walk(directory):
        directories.sort()
        yield from (str(Path(place, name)) for name in sorted(files) if name.endswith(".json"))


def _git(directory: str, *words: str) -> bytes:
    """Return what git prints in *directory*.

    :raises UsageError: it is not there, or refuses.
    """
    hint = "name a file in a git repository, or a directory of reports without --git"
    try:
        done = subprocess.run(
            ["git", "-C", directory, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError("git is not on PATH", hint="install it, or name a directory") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git did not answer within {_PATIENCE} s", hint=hint) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace")
        said = shortened(one_line(said).removeprefix("fatal: "), 200)
        raise UsageError(f"git {words[0]} fails in {directory}: {said}", hint=hint)
    return done.stdout
