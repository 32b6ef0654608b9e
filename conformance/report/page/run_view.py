"""All that a page says of one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from conformance.report.known import Known
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
#: What is added where known wrong probes were looked at in vain.
_NEW = ", like no known wrong probe"


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
    return _Reader(report, known).view()


class _Reader:
    """Reads one report, with what is known of its scenarios."""

    def __init__(self, report: SavedReport, known: Known) -> None:
        self.report = report
        self.known = known
        self.contract = known.contracts.get(report.contract.name)
        self.rows = report.rows()
        self.agents = tuple(sorted({row.agent for row in self.rows.values()}))
        self.anchors = Anchors(self.rows)
        self.cited: dict[str, list[SavedRow]] = {}
        for row in self.rows.values():
            self.cited.setdefault(rule_name(row, known, self.contract), []).append(row)
        self.rule_anchors = Anchors(sorted(self.cited), "rule-")

    def view(self) -> RunView:
        """Return what there is to say of it."""
        causes = tuple(self._causes())
        deviating = {id_ for id_, row in self.rows.items() if row.result == "deviates"}
        explained = {link.id for cause in causes for link in cause.scenarios}
        return RunView(
            head=head_view(self.report),
            trouble=self.report.trouble,
            stale=tuple(map(self.anchors.link, self.report.stale_known_failures)),
            diagnosis=self.report.diagnosis,
            causes=causes,
            unexplained=len(deviating - explained) if causes else 0,
            advice=tuple(self._advice()),
            agents=self.agents,
            rules=self._rules(),
            groups=tuple(self._groups(causes)),
            unknown=sum(id_ not in self.known.scenarios for id_ in self.rows),
        )

    def _causes(self) -> Iterator[CauseView]:
        deviating = sum(row.result == "deviates" for row in self.rows.values())
        causes = (cause for cause in self.report.causes if cause.scenarios)
        for number, cause in enumerate(causes, 1):
            share = 100 * len(cause.scenarios) / max(1, deviating)
            yield CauseView(
                number=number,
                kind=_KINDS[cause.kind] + (_NEW if cause.kind == "rule" and cause.compared else ""),
                name=cause.name,
                text=cause.text,
                answers=cause.answers,
                rules=tuple(map(self.rule_anchors.link, cause.rules)),
                scenarios=tuple(map(self.anchors.link, cause.scenarios)),
                share=min(100.0, round(share, 2)),
                shared=len(cause.shared),
                fit=round(100 * cause.fit) if cause.kind == "vice" else 100,
                like=cause.like,
            )

    def _advice(self) -> Iterator[AdviceView]:
        found: dict[str, list[tuple[str, str]]] = {}
        for id_, row in self.rows.items():
            for finding in row.findings:
                if finding.level == "should":
                    found.setdefault(finding.rule, []).append((id_, finding.message))
        for rule, items in found.items():
            name = self.contract.rule_name(rule) if self.contract is not None else rule
            ids = dict.fromkeys(id_ for id_, _ in items)
            links = tuple(map(self.anchors.link, ids))
            yield AdviceView(name, rule_text(name, self.known), items[0][1], links)

    def _rules(self) -> tuple[RuleRow, ...]:
        table = []
        for name, rows in sorted(self.cited.items()):
            by_agent = ([row for row in rows if row.agent == agent] for agent in self.agents)
            cells = tuple(map(self._cell, by_agent))
            anchor = self.rule_anchors.link(name).anchor
            table.append(RuleRow(name, anchor, rule_text(name, self.known), cells))
        return tuple(sorted(table, key=lambda row: -row.deviates))

    def _cell(self, rows: Sequence[SavedRow]) -> Cell:
        found = Counter(row.result for row in rows)
        first = next((row.id for row in rows if row.result == "deviates"), None)
        conforms, deviates = found["conforms"], found["deviates"]
        anchor = "" if first is None else self.anchors.link(first).anchor
        return Cell(conforms, deviates, len(rows) - conforms - deviates, anchor)

    def _groups(
        self, causes: Sequence[CauseView]
    ) -> Iterator[tuple[str, tuple[ScenarioView, ...]]]:
        """Yield each result with its scenarios: in the order of the causes, then of the report."""
        places: dict[str, int] = {}
        for cause in causes:
            for link in cause.scenarios:
                places.setdefault(link.id, cause.number)
        order = {id_: place for place, id_ in enumerate(places)}
        others = sorted({row.result for row in self.rows.values()} - {*RESULTS})
        for result in (*RESULTS[:-1], *others, RESULTS[-1]):
            rows = [row for row in self.rows.values() if row.result == result]
            rows.sort(key=lambda row: order.get(row.id, len(order)))
            if rows:
                yield result, tuple(self._scenario(row, places.get(row.id, 0)) for row in rows)

    def _scenario(self, row: SavedRow, cause: int) -> ScenarioView:
        return ScenarioView(
            id=row.id,
            anchor=self.anchors.link(row.id).anchor,
            origin=origin_view(row, self.known, self.contract, self.anchors),
            answers=(answer_view(row, self.contract),),
            cause=cause,
        )
