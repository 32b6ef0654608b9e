"""All that a page says of one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence


from msgspec import Struct

from conformance.model.cause import Cause
from conformance.model.contract import Contract
from conformance.report.page.head_view import head_view
from conformance.report.page.scenario_view import (
    Anchors,
    answer_view,
    origin_view,
    rule_name,
    rule_text,
)
from conformance.report.page.values import (
    AdviceView,
    CauseView,
    Cell,
    Head,
    Known,
    Link,
    RuleRow,
    ScenarioView,
)
from conformance.report.saved import SavedReport, SavedRow
from conformance.report.verdict import RESULTS

__all__ = ["RunView", "run_view"]

#: What causes are called, by how they were found.
_KINDS = {
    "hint": "the same in many scenarios",
    "vice": "like a known wrong probe",
    "rule": "one rule, one answer",
}


class RunView(Struct, frozen=True, kw_only=True):
    """What a page says of one report."""

    head: Head
    trouble: tuple[str, ...]
    stale: tuple[Link, ...]
    diagnosis: str
    causes: tuple[CauseView, ...]
    unexplained: int
    """How many deviations no cause explains, where there are causes."""
    advice: tuple[AdviceView, ...]
    agents: tuple[str, ...]
    rules: tuple[RuleRow, ...]
    """The rules by name; those with deviations first."""
    groups: tuple[tuple[str, tuple[ScenarioView, ...]], ...]
    """A result, and the scenarios that have it; those first that somebody has to look at."""
    unknown: int
    """How many scenarios this suite does not know, so that it cannot show their homes."""


def run_view(report: SavedReport, known: Known) -> RunView:
    """Return what there is to say of *report*, with what is *known* of its scenarios."""
    contract = known.contracts.get(report.contract.name)
    rows = report.rows()
    anchors = Anchors(rows)
    rules = Anchors(dict.fromkeys(rule_name(row, known, contract) for row in rows.values()), "rule-")
    causes = _causes(report, anchors, rules)
    deviating = {id_ for id_, row in rows.items() if row.result == "deviates"}
    explained = {link.id for cause in causes for link in (cause.first, *cause.more)}
    return RunView(
        head=head_view(report),
        trouble=report.trouble,
        stale=tuple(map(anchors.link, report.stale_known_failures)),
        diagnosis=report.diagnosis,
        causes=causes,
        unexplained=len(deviating - explained) if causes else 0,
        advice=tuple(_advice(rows, known, contract, anchors)),
        agents=tuple(sorted({row.agent for row in rows.values()})),
        rules=_rules(rows, known, contract, anchors, rules),
        groups=tuple(_groups(rows, causes, known, contract, anchors)),
        unknown=sum(id_ not in known.scenarios for id_ in rows),
    )


def _causes(report: SavedReport, anchors: Anchors, rules: Anchors) -> tuple[CauseView, ...]:
    deviating = sum(row.result == "deviates" for row in report.scenarios)
    views = []
    for cause in report.causes:
        if cause.scenarios:  # else there is nothing to show of it
            views.append(_cause(len(views) + 1, cause, deviating, anchors, rules))
    return tuple(views)


def _cause(
    number: int, cause: Cause, deviating: int, anchors: Anchors, rules: Anchors
) -> CauseView:
    first, *more = map(anchors.link, cause.scenarios)
    return CauseView(
        number=number,
        kind=_KINDS[cause.kind],
        name=cause.name,
        text=cause.text,
        answers=cause.answers,
        rules=tuple(map(rules.link, cause.rules)),
        first=first,
        more=tuple(more),
        count=len(cause.scenarios),
        share=min(100.0, round(100 * len(cause.scenarios) / max(1, deviating), 2)),
        shared=len(cause.shared),
        fit=round(100 * cause.fit) if cause.kind == "vice" else 100,
        like=cause.like,
    )


def _advice(
    rows: Mapping[str, SavedRow], known: Known, contract: Contract | None, anchors: Anchors
) -> Iterator[AdviceView]:
    found: dict[str, list[tuple[str, str]]] = {}
    for id_, row in rows.items():
        for finding in row.findings:
            if finding.level == "should":
                found.setdefault(finding.rule, []).append((id_, finding.message))
    for rule, items in found.items():
        name = contract.rule_name(rule) if contract is not None else rule
        links = tuple(anchors.link(id_) for id_ in dict.fromkeys(id_ for id_, _ in items))
        yield AdviceView(name, rule_text(name, known), items[0][1], links)


def _rules(
    rows: Mapping[str, SavedRow],
    known: Known,
    contract: Contract | None,
    anchors: Anchors,
    rules: Anchors,
) -> tuple[RuleRow, ...]:
    agents = sorted({row.agent for row in rows.values()})
    found: dict[str, list[SavedRow]] = {}
    for row in rows.values():
        found.setdefault(rule_name(row, known, contract), []).append(row)
    table = []
    for name, cited in sorted(found.items()):
        cells = tuple(_cell([row for row in cited if row.agent == agent], anchors) for agent in agents)
        anchor = rules.link(name).anchor
        table.append(RuleRow(name, anchor, rule_text(name, known), cells))
    return tuple(sorted(table, key=lambda row: -row.deviates))


def _cell(rows: Sequence[SavedRow], anchors: Anchors) -> Cell:
    found = Counter(row.result for row in rows)
    first = next((row.id for row in rows if row.result == "deviates"), "")
    conforms, deviates = found["conforms"], found["deviates"]
    anchor = anchors.link(first).anchor if first else ""
    return Cell(conforms, deviates, len(rows) - conforms - deviates, anchor)


def _groups(
    rows: Mapping[str, SavedRow],
    causes: Sequence[CauseView],
    known: Known,
    contract: Contract | None,
    anchors: Anchors,
) -> Iterator[tuple[str, tuple[ScenarioView, ...]]]:
    """Yield each result with its scenarios: in the order of the causes, then of the report."""
    places = {
        link.id: cause.number for cause in reversed(causes) for link in (cause.first, *cause.more)
    }
    order = {link.id: n for n, link in enumerate(l for c in causes for l in (c.first, *c.more))}
    results = [*RESULTS[:-1], *sorted({row.result for row in rows.values()} - {*RESULTS}), "conforms"]
    first = True
    for result in results:
        found = [row for row in rows.values() if row.result == result]
        found.sort(key=lambda row: order.get(row.id, len(order)))
        views = []
        for row in found:
            views.append(
                ScenarioView(
                    id=row.id,
                    anchor=anchors.link(row.id).anchor,
                    origin=origin_view(row, known, contract, anchors),
                    answers=(answer_view(row, contract),),
                    cause=places.get(row.id, 0),
                    open=first and result == "deviates",
                )
            )
            first = False
        if views:
            yield result, tuple(views)


