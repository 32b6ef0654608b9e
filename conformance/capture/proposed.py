"""A captured home as a whole scenario: what it calls for, by which rule, and against what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from conformance.capture.captured import Captured
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.differences import nearest
from conformance.catalogue.lint import MOST_IN_HOME
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.wording import against_control
from conformance.specification.steps import Decision

__all__ = ["ORIGIN", "SUMMARY", "in_contracts", "proposed"]

#: What stands in the place of what only a person can write; lint complains about both.
SUMMARY = "to be written: what is special about this home"
ORIGIN = "to be written, where this was seen and what was seen there"
DIFFERS = "A real home, captured as a whole: reduce shows what in it matters"


def in_contracts(
    contract: Contract, contracts: Mapping[str, Contract], agent: str, captured: Captured
) -> list[Contract]:
    """Return the contracts of which a scenario that is captured speaks.

    They are *contract*, and those in *contracts* that extend it: else they would inherit from it
    what they may not call for. They have to know the *agent*, and the inputs that are set.
    """
    near = [other for other in contracts.values() if contract.name in other.lineage[1:]]
    return [
        each
        for each in (contract, *near)
        if agent in each.agents and all(each.inputs.variable(role) for role in captured.inputs)
    ]


def proposed(
    captured: Captured,
    decisions: Mapping[str, Decision],
    catalogue: Catalogue,
    *,
    id_: str,
    agent: str,
) -> Scenario:
    """Return the scenario that a *captured* home of *agent* makes.

    *decisions* map contracts to what they call for. Summary and origin stay to be written.

    :raises UsageError: the catalogue has no scenario that could be its control.
    """
    scenario = Scenario(
        id=id_,
        file=f"{id_}.toml",
        summary=SUMMARY,
        origin=ORIGIN,
        agent=agent,
        control={},
        expect={name: decision.verdicts for name, decision in decisions.items()},
        rules={name: (found.rule,) for name, found in decisions.items() if found.rule},
        entries=captured.entries,
        env=dict(captured.env),
        inputs=dict(captured.inputs),
    )
    scenario = replace(scenario, control=_controls(scenario, catalogue))
    _, lines = nearest(scenario, catalogue.scenarios)
    return replace(scenario, differs=DIFFERS if len(lines) > MOST_IN_HOME else "")


def _controls(scenario: Scenario, catalogue: Catalogue) -> dict[str, str]:
    """Return the nearest control under each contract; under ``""`` if one fits them all."""
    contracts = [catalogue.contracts[name] for name in scenario.expect]
    candidates = [other for other in catalogue.scenarios.values() if _is_plain(other, scenario)]
    lines = {other.id: len(against_control(scenario, other)) for other in candidates}
    order = sorted(candidates, key=lambda other: (lines[other.id], other.id))
    for other in order:
        if all(_fits(scenario, other, contract) for contract in contracts):
            return {"": other.id}
    return dict(_each(scenario, order, contracts))


def _each(
    scenario: Scenario, order: Iterable[Scenario], contracts: Iterable[Contract]
) -> Iterator[tuple[str, str]]:
    for contract in contracts:
        fitting = (other.id for other in order if _fits(scenario, other, contract))
        control = next(fitting, "")
        if not control:
            cause = f"no scenario of '{contract.name}' calls for another exit code than this home"
            raise UsageError(cause, hint="name a contract with scenarios, such as 'slot'")
        yield contract.name, control


def _is_plain(other: Scenario, scenario: Scenario) -> bool:
    more = other.steps or other.start is not None or other.login is not None or other.container
    return not more and other.agent == scenario.agent and other.cli == scenario.cli


def _fits(scenario: Scenario, other: Scenario, contract: Contract) -> bool:
    """Return whether *other* calls for another exit code under *contract*."""
    theirs = other.expected(contract)
    return bool(theirs) and contract.has_control(scenario.expected(contract), theirs)
