"""What a run comes to, once its results are in: what deviations share, and what is to be mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from conformance.catalogue.released import since
from conformance.drivers.container.request import SILENT
from conformance.errors import FileError
from conformance.judge.tally import RunReport
from conformance.model.outcome import ScenarioResult
from conformance.report.diagnosis import Asks, diagnose
from conformance.report.evidence import FEWEST, Hint
from conformance.report.repeating import Repeating
from conformance.report.view import some
from conformance.run.assembly import Run

__all__ = ["find_causes", "find_hints", "new_report"]


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


def find_causes(run: Run, report: RunReport, hints: Sequence[Hint] = ()) -> None:
    """Add to the *report* what is to be mended, also of a run that was cut short."""
    results = report.results()
    if not any(result.result in ("deviates", "known-failure") for result in results):
        return
    # Imported here, because most runs have nothing to explain.
    from conformance.judge import causes  # noqa: PLC0415
    from conformance.judge.dictionary import known_vices  # noqa: PLC0415

    find = partial(
        causes.find_causes,
        results,
        run.contract,
        {scenario.id: scenario for scenario in report.selected},
        hints=[(hint.text, hint.explains) for hint in hints],
    )
    try:
        known = None
        if _tells_vices_apart(report, results):
            known = known_vices(run.contract, run.catalogue.contracts)
        report.causes = find(known=known)
    except FileError as e:  # our own files: what deviates is reported all the same
        report.trouble.append(str(e))
        report.causes = find()


def _tells_vices_apart(report: RunReport, results: Sequence[ScenarioResult]) -> bool:
    """Return whether so much was judged that a vice may be named.

    In a few scenarios many a vice does the same, and its author could rightly dispute it.
    """
    judged = {r.id for r in results if r.result in ("conforms", "deviates", "known-failure")}
    files = {scenario.file for scenario in report.selected if scenario.id in judged}
    return len(files) >= FEWEST
