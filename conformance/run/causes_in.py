"""What is to be mended, in a report whose results are all there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from conformance.errors import FileError
from conformance.judge.tally import RunReport
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.report.evidence import FEWEST, Hint

__all__ = ["add_causes"]


def add_causes(report: RunReport, contracts: Mapping[str, Contract], hints: Sequence[Hint]) -> None:
    """Add to *report* what is to be mended, also of a run that was cut short: *hints* come first.

    *contracts* are all that are known, by name.
    """
    results = report.results()
    if not any(result.result in ("deviates", "known-failure") for result in results):
        return
    # Imported here, because most runs have nothing to explain.
    from conformance.judge.causes import find_causes  # noqa: PLC0415
    from conformance.judge.dictionary import known_vices  # noqa: PLC0415

    find = partial(
        find_causes,
        results,
        report.contract,
        {scenario.id: scenario for scenario in report.selected},
        hints=[(hint.text, hint.explains) for hint in hints],
    )
    try:
        known = None
        if _tells_vices_apart(report, results):
            known = known_vices(report.contract, contracts)
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
