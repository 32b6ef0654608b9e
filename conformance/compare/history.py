"""Reports of one probe over time: how many scenarios conform, and what changed in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from conformance.compare.changes import changes, is_judged, probe_name
from conformance.model.change import Changes
from conformance.report.saved import SavedReport, SavedRow

__all__ = ["Dated", "History", "Point", "Trend", "history"]


class Dated(Struct, frozen=True):
    """A report, and where it comes from."""

    name: str
    """Its file, or the commit that it was read from."""
    report: SavedReport


class Point(Struct, frozen=True, kw_only=True):
    """One run of a trend."""

    name: str
    """Its file, or the commit that it was read from."""
    started: str
    """When the run began, as ISO 8601."""
    suite: str
    """The version of the suite."""
    version: str
    """The version of the contract."""
    as_of: str = ""
    """The version of the contract that was asked for with ``--as-of``; empty for the present."""
    scenarios: int
    """How many scenarios ran, or were to run."""
    counts: dict[str, int]
    """How many scenarios have each result."""
    conformant: bool
    exit_status: int
    interrupted: bool = False
    changes: Changes | None = None
    """What changed since each scenario was judged before; None in the first run of a trend."""


class Trend(Struct, frozen=True, kw_only=True):
    """The runs of one probe under one contract, in the order in which they began."""

    contract: str
    probe: str
    points: tuple[Point, ...]


class History(Struct, frozen=True, kw_only=True):
    """All trends: by contract, then by probe."""

    trends: tuple[Trend, ...]


def history(reports: Iterable[Dated], *, one_probe: bool = False) -> History:
    """Return the trends of *reports*, which may come in any order.

    With *one_probe*, all reports under one contract make one trend, whatever they call the probe.
    """
    groups: dict[tuple[str, str], list[Dated]] = {}
    for dated in reports:
        probe = "" if one_probe else probe_name(dated.report)
        groups.setdefault((dated.report.contract.name, probe), []).append(dated)
    trends = []
    for (contract, probe), group in sorted(groups.items()):
        ordered = sorted(group, key=lambda dated: (dated.report.now, dated.name))
        latest = probe or probe_name(ordered[-1].report)
        trends.append(Trend(contract=contract, probe=latest, points=tuple(_points(ordered))))
    return History(trends=tuple(trends))


def _points(ordered: Iterable[Dated]) -> Iterable[Point]:
    """Yield a point for each report, with what changed since the ones before."""
    before: SavedReport | None = None
    judged: dict[str, SavedRow] = {}
    for dated in ordered:
        report = dated.report
        found = None
        if before is not None:
            found = changes(_as_last_judged(before, report, judged), report, new_name=dated.name)
        yield _point(dated, found)
        judged |= {row.id: row for row in report.scenarios if is_judged(row)}
        before = report


def _as_last_judged(
    before: SavedReport, report: SavedReport, judged: Mapping[str, SavedRow]
) -> SavedReport:
    """Return the report *before* with each scenario of *report* as it was last judged.

    Without that, a night in which the engine was gone, or only a few scenarios ran, would hide what
    regressed over it.
    """
    rows = before.rows()
    for row in report.scenarios:
        last = rows.get(row.id)
        if row.id in judged and (last is None or not is_judged(last)):
            rows[row.id] = judged[row.id]
    return replace(before, scenarios=tuple(rows.values()))


def _point(dated: Dated, found: Changes | None) -> Point:
    report = dated.report
    return Point(
        name=dated.name,
        started=report.started,
        suite=report.suite.version,
        version=report.contract.version,
        as_of=report.as_of,
        scenarios=len(report.scenarios),
        counts=report.counts,
        conformant=report.conformant,
        exit_status=report.exit_status,
        interrupted=report.interrupted,
        changes=found,
    )
