"""What a report is about, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from conformance.model.wording import probe_lines
from conformance.report.page.values import Count, Head
from conformance.report.saved import SavedReport, probe_words
from conformance.report.verdict import counts, verdict

__all__ = ["head_view", "started_words"]


def head_view(report: SavedReport, letter: str = "", name: str = "") -> Head:
    """Return the head of *report*, which tables of several call by a *letter*.

    It has a page of its own beside this one where it has a *name*.
    """
    return Head(
        letter=letter,
        name=name,
        verdict=verdict(report),
        probe=probe_words(report.probe),
        probe_lines=_probe_lines(report.probe),
        contract=f"{report.contract.name} {report.contract.version}{_part(report)}",
        suite=f"{report.suite.name} {report.suite.version}",
        started=started_words(report.started),
        seconds=report.seconds,
        total=len(report.scenarios),
        counts=tuple(_counts(report)),
    )


def _part(report: SavedReport) -> str:
    """Return which part of a run *report* is about; an empty text where it is the whole."""
    return f", {report.shard.words}" if report.shard is not None else ""


def _counts(report: SavedReport) -> Iterator[Count]:
    start, total = 0.0, len(report.scenarios)
    for result, number in counts(report).items():
        width = round(100 * number / total, 3)
        words = result.replace("-", " ").removesuffix("s")  # 1 conform, 2 conform, as runs say
        if result == "known-failure" and number != 1:
            words += "s"
        yield Count(result, number, words, start, width)
        start += width


def _probe_lines(probe: dict[str, Any]) -> tuple[str, ...]:
    """Return what runs say of a probe; of one from another version, as far as it can be read."""
    try:
        return tuple(probe_lines(probe))
    except (KeyError, TypeError, ValueError, AttributeError):
        return (f"probe: {probe_words(probe)}",)


def started_words(started: str) -> str:
    """Return when a run started, to the minute; what is no time comes back as it is."""
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return started
