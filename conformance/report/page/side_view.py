"""Several reports side by side: which scenarios tell their probes apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from msgspec import Struct

from conformance.report.answers import got_words, meaning
from conformance.report.known import Known
from conformance.report.page.head_view import head_view
from conformance.report.page.scenario_view import Anchors, answer_view, origin_view
from conformance.report.page.values import Head, Link, ScenarioView
from conformance.report.saved import SavedReport, SavedRow
from conformance.report.view import some
from conformance.text import letters

__all__ = ["SideRow", "SideView", "side_view"]

#: Results in which a probe has answered, so that answers can be compared.
_ANSWERED = {"conforms", "deviates", "known-failure"}


class SideRow(Struct, frozen=True):
    """One scenario, with the result and the answer of each report; None where one lacks it."""

    link: Link
    cells: tuple[tuple[str, str] | None, ...]


class SideView(Struct, frozen=True, kw_only=True):
    """What a page says of several reports."""

    title: str
    heads: tuple[Head, ...]
    causes: tuple[tuple[tuple[int, str, str], ...], ...]
    """Of each report its causes: how many scenarios, the text, the name."""
    notes: tuple[str, ...]
    apart: tuple[SideRow, ...]
    together: tuple[SideRow, ...]
    incomplete: tuple[SideRow, ...]
    """What not every report has, or not every probe has answered."""
    scenarios: tuple[ScenarioView, ...]
    """Those that tell the probes apart, whole."""
    agents: tuple[str, ...]


def side_view(reports: Sequence[SavedReport], known: Known, names: Sequence[str] = ()) -> SideView:
    """Return *reports* side by side, each judged by its own contract.

    Each has a page of its own, by these *names*, where there are any.
    """
    return _Sides(reports, known, names).view()


class _Sides:
    def __init__(self, reports: Sequence[SavedReport], known: Known, names: Sequence[str]) -> None:
        self.reports = list(reports)
        self.known = known
        self.names = names or [""] * len(reports)
        self.contracts = [known.contracts.get(report.contract.name) for report in reports]
        self.rows = [report.rows() for report in reports]
        self.one_contract = len({report.contract.name for report in reports}) == 1
        self.shared = [id_ for id_ in self.rows[0] if all(id_ in rows for rows in self.rows)]

    def view(self) -> SideView:
        """Return what there is to say of them."""
        answered = [id_ for id_ in self.shared if self._answered(id_)]
        apart = [id_ for id_ in answered if not self._agree(id_)]
        together = [id_ for id_ in answered if self._agree(id_)]
        anchors = Anchors(apart)
        return SideView(
            title=self._title(len(apart)),
            heads=tuple(map(head_view, self.reports, letters(len(self.reports)), self.names)),
            causes=tuple(
                tuple((len(one.scenarios), one.text or one.name, one.name) for one in report.causes)
                for report in self.reports
            ),
            notes=tuple(self._notes()),
            apart=tuple(self._row(id_, anchors) for id_ in apart),
            together=tuple(self._row(id_, anchors) for id_ in together),
            incomplete=tuple(self._row(id_, anchors) for id_ in self._incomplete(answered)),
            scenarios=tuple(self._scenario(id_, anchors) for id_ in apart),
            agents=tuple(sorted({self.rows[0][id_].agent for id_ in apart})),
        )

    def _title(self, apart: int) -> str:
        if len(self.reports) == 1:
            return "One report"
        if not self.shared:
            return "They have no scenario in common"
        return f"They differ in {some(apart, 'scenario')}" if apart else "They do not differ"

    def _answered(self, id_: str) -> bool:
        return all(rows[id_].result in _ANSWERED for rows in self.rows)

    def _agree(self, id_: str) -> bool:
        """Return whether all answers mean the same, and are taken the same where that can be."""
        here = [rows[id_] for rows in self.rows]
        said = {meaning(row, one) for row, one in zip(here, self.contracts, strict=True)}
        conforms = {row.result == "conforms" for row in here}
        return len(said) == 1 and (len(conforms) == 1 or not self.one_contract)

    def _incomplete(self, answered: Sequence[str]) -> list[str]:
        """Return the ids that are not compared; of several contracts, those that all have."""
        ids = dict.fromkeys(chain(*self.rows)) if self.one_contract else self.shared
        return [id_ for id_ in ids if id_ not in set(answered)]

    def _notes(self) -> Iterator[str]:
        """Yield what keeps the reports from being compared as a whole, a line each."""
        if not self.one_contract:
            names = ", ".join(dict.fromkeys(head.contract.name for head in self.reports))
            shared = "the one scenario is" if len(self.shared) == 1 else "only the scenarios are"
            yield (
                f"The reports are about different contracts ({names}). "
                f"Each answer is judged by its own, and {shared} shown that all have."
            )
        for what, versions in (
            ("contract", {(one.contract.name, one.contract.version) for one in self.reports}),
            ("suite", {("probe-conformance", one.suite.version) for one in self.reports}),
        ):
            if len({name for name, _ in versions}) == 1 < len(versions):
                listed = ", ".join(sorted(version for _, version in versions))
                yield f"The reports are of several versions of the {what}: {listed}."

    def _row(self, id_: str, anchors: Anchors) -> SideRow:
        cells = []
        for rows, contract in zip(self.rows, self.contracts, strict=True):
            row: SavedRow | None = rows.get(id_)
            cells.append(None if row is None else (row.result, got_words(row, contract)))
        return SideRow(anchors.link(id_), tuple(cells))

    def _scenario(self, id_: str, anchors: Anchors) -> ScenarioView:
        pairs = zip(self.rows, self.contracts, strict=True)
        return ScenarioView(
            id=id_,
            anchor=anchors.link(id_).anchor,
            origin=origin_view(self.rows[0][id_], self.known, self.contracts[0], anchors),
            answers=tuple(answer_view(rows[id_], contract) for rows, contract in pairs),
        )
