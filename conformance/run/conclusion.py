"""The report of a run: at its beginning, and what deviations share, once its results are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from conformance.catalogue.released import since
from conformance.drivers.container.request import SILENT
from conformance.judge.tally import RunReport
from conformance.report.diagnosis import Asks, diagnose
from conformance.report.evidence import Hint
from conformance.report.repeating import Repeating
from conformance.report.view import some
from conformance.run.assembly import Run

__all__ = ["find_hints", "new_report"]


def new_report(
    run: Run, *, repro: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> RunReport:
    """Return the report of *run*, which has no results yet.

    *repro* is the command that repeats a scenario. *files* are those outside the catalogue that it
    may need: as they were typed, by their real paths.
    """
    report = RunReport(
        run.contract,
        run.selected,
        run.describe(),
        run.context.now,
        run.known_failures,
        strict=run.request.strict,
    )
    report.as_of = run.request.as_of
    report.since = partial(since, run.contract, run.selected)
    if repro:
        report.repeat = Repeating(repro, run.catalogue.scenarios, files).argv
    return report


def find_hints(run: Run, report: RunReport) -> list[Hint]:
    """Return what many deviations have in common, and add it to the *report*.

    Scenarios that did not run, because an image answered in none before, are left out of it.
    """
    is_image = run.request.image is not None
    left_out = report.leave_out(SILENT) if is_image else 0
    hints = diagnose(
        report.reported(),
        run.contract,
        {scenario.id: scenario for scenario in report.selected},
        Asks(
            image=is_image,
            without_mode=run.code_without_mode,
            waiting=run.result_while_waiting,
        ),
        cut_short=bool(left_out),
    )
    report.hints = [hint.text for hint in hints]
    if left_out:
        were = "was" if left_out == 1 else "were"
        said = f"{some(left_out, 'scenario')} {were} left out"
        report.hints = ["; ".join([*report.hints, said])]
    return hints
