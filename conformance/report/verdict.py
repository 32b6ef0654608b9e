"""What a saved report comes to, in a few words."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from msgspec import Struct

from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.report.saved import SavedReport

__all__ = ["RESULTS", "Tone", "Verdict", "counts", "nothing_judged", "verdict"]

#: How a verdict is to be taken, whatever colours stand for that.
Tone = Literal["good", "fair", "bad", "open"]

#: The results that are known, those first that somebody has to look at.
RESULTS = ("deviates", "broke", "known-failure", "unsupported", "conforms")


class Verdict(Struct, frozen=True):
    """The result of a run as a whole."""

    words: str
    tone: Tone


def counts(report: SavedReport) -> dict[str, int]:
    """Return how many scenarios have each result, in the order of RESULTS; others come last."""
    found = Counter(row.result for row in report.scenarios)
    known = {result: found.pop(result) for result in RESULTS if result in found}
    return known | dict(sorted(found.items()))


def nothing_judged(report: SavedReport) -> bool:
    """Return whether no probe has answered in any scenario."""
    return not {"conforms", "deviates", "known-failure"} & counts(report).keys()


def verdict(report: SavedReport) -> Verdict:
    """Return what *report* comes to, by its exit status."""
    if report.interrupted or report.exit_status == INTERRUPTED:
        return Verdict("Interrupted", "open")
    if report.exit_status == CannotJudge.exit_status or nothing_judged(report):
        return Verdict("Not judged", "open")
    if report.exit_status:
        return Verdict("Not conformant", "bad")
    if not report.conformant:
        return Verdict("No new failure", "fair")
    return Verdict("Conformant", "good")
