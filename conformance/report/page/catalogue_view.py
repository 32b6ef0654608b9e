"""The catalogue to browse: what there is to say of each scenario, whoever is to answer in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from conformance.catalogue.catalogue import Catalogue
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.report.facts import condition, expectations, whole_difference
from conformance.report.page.scenario_view import Anchors, story
from conformance.report.page.tree import Node, tree
from conformance.report.page.values import Link

__all__ = ["CatalogueView", "Entry", "catalogue_view"]


class Entry(Struct, frozen=True, kw_only=True):
    """One scenario of the catalogue."""

    id: str
    anchor: str
    summary: str
    agent: str
    expected: str
    """What conforms, in short: each verdict with the contracts that call for it."""
    contracts: tuple[str, ...]
    verdicts: tuple[str, ...]
    expects: tuple[tuple[str, str, list[tuple[str, str]]], ...]
    """Contract, what conforms there, and the rules that decide: name and text."""
    origin: str
    condition: list[tuple[str, str]]
    home: list[Node]
    story: tuple[str, ...]
    controls: tuple[tuple[Link, str, tuple[str, ...]], ...]
    """Each control, the contracts for which it is one, and what the scenario has against it."""
    container: bool


class CatalogueView(Struct, frozen=True, kw_only=True):
    """What a page says of the catalogue."""

    title: str
    groups: tuple[tuple[str, tuple[Entry, ...]], ...]
    """The first part of an id, and the scenarios that have it."""
    contracts: tuple[tuple[str, str, str, int], ...]
    """Name, version, summary, and how many of the scenarios are part of it."""
    agents: tuple[str, ...]
    verdicts: tuple[str, ...]
    total: int


def catalogue_view(
    catalogue: Catalogue, scenarios: Sequence[Scenario], contract: Contract | None
) -> CatalogueView:
    """Return what there is to say of *scenarios*; of all contracts, unless one is named."""
    anchors = Anchors(scenario.id for scenario in scenarios)
    entries = [_entry(scenario, catalogue, contract, anchors) for scenario in scenarios]
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.id.partition("/")[0], []).append(entry)
    counts = Counter(name for entry in entries for name in entry.contracts)
    listed = [
        (known.name, known.version, known.summary, counts[known.name])
        for known in catalogue.contracts.values()
        if counts[known.name]
    ]
    return CatalogueView(
        title=f"Contract {contract.name} {contract.version}" if contract else "All contracts",
        groups=tuple((name, tuple(group)) for name, group in groups.items()),
        contracts=tuple(listed),
        agents=tuple(sorted({entry.agent for entry in entries})),
        verdicts=tuple(sorted({verdict for entry in entries for verdict in entry.verdicts})),
        total=len(entries),
    )


def _entry(
    scenario: Scenario, catalogue: Catalogue, contract: Contract | None, anchors: Anchors
) -> Entry:
    known = catalogue.contracts
    parts = [one for one in known.values() if scenario.expected(one)]
    parts = [one for one in parts if contract is None or one.name == contract.name]
    verdicts: dict[str, list[str]] = {}
    for one in parts:
        verdicts.setdefault(" or ".join(scenario.expected(one)), []).append(one.name)
    told = parts[0] if parts else None
    return Entry(
        id=scenario.id,
        anchor=anchors.link(scenario.id).anchor,
        summary=scenario.summary,
        agent=scenario.agent,
        expected=", ".join(verdicts),
        contracts=tuple(one.name for one in parts),
        verdicts=tuple(dict.fromkeys(name for one in parts for name in scenario.expected(one))),
        expects=tuple(expectations(scenario, known, [one.name for one in parts])),
        origin=scenario.origin,
        condition=[("CLI", scenario.cli), *condition(scenario)],
        home=tree(scenario.entries),
        story=story(scenario, told),
        controls=tuple(_controls(scenario, catalogue, parts, anchors)),
        container=scenario.container is not None,
    )


def _controls(
    scenario: Scenario, catalogue: Catalogue, parts: Sequence[Contract], anchors: Anchors
) -> list[tuple[Link, str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for one in parts:
        found.setdefault(scenario.control_for(one), []).append(one.name)
    return [
        (
            anchors.link(id_),
            ", ".join(names),
            whole_difference(scenario, catalogue.scenarios[id_]),
        )
        for id_, names in found.items()
        if id_ in catalogue.scenarios
    ]
