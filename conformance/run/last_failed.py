"""Run again what failed before."""

from __future__ import annotations

from msgspec.structs import replace

from conformance.errors import UsageError
from conformance.report.saved import SavedReport, read_report
from conformance.report.view import some
from conformance.run.subject import Subject, check

__all__ = ["failed_before"]


def failed_before(subject: Subject, file: str) -> tuple[Subject, str]:
    """Return *subject* with only what failed in the JSON report *file*, and a line that says so.

    Where nothing failed there, everything stays: the way to whoever works until all conforms.

    :raises UsageError: *file* is no report of a run, is about another contract, or nothing of what
        failed in it is among the scenarios of *subject*.
    """
    report = read_report(file)
    if report.contract.name != subject.contract.name:
        cause = f"{file} is about contract '{report.contract.name}'"
        hint = f"name a report of contract '{subject.contract.name}', or the contract of this one"
        raise UsageError(cause, hint=hint)
    failed = _failed(report)
    if not failed:
        return subject, f"nothing failed in {file}: all is run"
    chosen = [scenario.id for scenario in subject.selected if scenario.id in failed]
    if not chosen:
        cause = f"none of the {some(len(failed), 'scenario')} that failed in {file} is among these"
        raise UsageError(cause, hint="name others, or leave --last-failed out")
    request = subject.request
    files = tuple(name for name in request.patterns or () if name.endswith(".toml"))
    narrowed = replace(request, patterns=tuple(chosen), files=(*request.files, *files))
    left = len(failed) - len(chosen)
    more = f"; {left} more are not among the scenarios here" if left else ""
    return check(narrowed), f"{some(len(chosen), 'scenario')} failed in {file}, and run again{more}"


def _failed(report: SavedReport) -> set[str]:
    """Return the ids of the scenarios that made the run fail."""
    failed = {row.id for row in report.scenarios if row.result in ("deviates", "broke")}
    return failed | {*report.stale_known_failures}
