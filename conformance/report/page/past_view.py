"""What changed since earlier runs: against a baseline, and over time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from conformance.model.change import Changes
from conformance.report.changes import KIND_WORDS
from conformance.report.page.head_view import started_words
from conformance.report.saved import SavedReport
from conformance.report.verdict import Verdict, counts, verdict

__all__ = ["ChangeGroup", "ChangesView", "PastView", "RunBefore", "changes_view", "past_view"]

#: Runs in the picture, and in its table: the latest.
_MOST = 100


class ChangeGroup(Struct, frozen=True):
    """The scenarios of which the same became."""

    words: str
    worse: bool
    scenarios: tuple[tuple[str, str, str, str], ...]
    """Id, the answer before, the answer now, and what else there is to say."""


class ChangesView(Struct, frozen=True):
    """What changed from one report to another."""

    groups: tuple[ChangeGroup, ...]
    notes: tuple[str, ...]
    """What keeps the two from being compared as a whole."""


class RunBefore(Struct, frozen=True, kw_only=True):
    """One run of those over time."""

    name: str
    started: str
    verdict: Verdict
    suite: str
    contract: str
    conform: int
    deviate: int
    other: int
    changes: ChangesView | None
    """None in the first run."""
    place: float
    """Where its column begins, of 100."""
    width: float
    height: float
    """How many deviate against the run with most, of 100."""


class PastView(Struct, frozen=True):
    """The runs of one probe: the oldest first."""

    runs: tuple[RunBefore, ...]
    most: int
    """The largest number of scenarios that deviate in one run."""
    left_out: int
    """How many earlier runs are not shown."""


def changes_view(changes: Changes) -> ChangesView:
    """Return *changes*: kind by kind, what is worst first."""
    groups = []
    for kind, words in KIND_WORDS.items():
        found = changes.of_kind(kind)
        rows = tuple((one.id, one.answer_before, one.answer_now, one.note) for one in found)
        if rows:
            groups.append(ChangeGroup(words, any(one.worse for one in found), rows))
    return ChangesView(tuple(groups), changes.notes)


def past_view(runs: Sequence[tuple[str, SavedReport, Changes | None]]) -> PastView:
    """Return the runs of one probe, in order: each with its name, and what changed before it."""
    shown = runs[-_MOST:]
    deviating = [_deviating(report) for _, report, _ in shown]
    most = max(deviating)
    width = 100 / len(shown)
    views = []
    for number, (name, report, changes) in enumerate(shown):
        conform = counts(report).get("conforms", 0)
        views.append(
            RunBefore(
                name=name,
                started=started_words(report.started),
                verdict=verdict(report),
                suite=report.suite.version,
                contract=report.contract.version,
                conform=conform,
                deviate=deviating[number],
                other=len(report.scenarios) - conform - deviating[number],
                changes=changes_view(changes) if changes is not None else None,
                place=round(number * width, 3),
                width=round(width * 0.8, 3),
                height=round(100 * deviating[number] / max(1, most), 2),
            )
        )
    return PastView(tuple(views), most, len(runs) - len(shown))


def _deviating(report: SavedReport) -> int:
    found = counts(report)
    return found.get("deviates", 0) + found.get("known-failure", 0)
