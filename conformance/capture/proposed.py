"""A captured home as a whole scenario: what it calls for, by which rule, and against what."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from conformance.capture.captured import Captured
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.controls import Candidate, by_distance, fits
from conformance.catalogue.differences import nearest
from conformance.catalogue.lint import MOST_DIFFERENCES, MOST_IN_HOME
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.specification import Decision, specified

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
    what they may not call for. They have to know the *agent*, and the inputs that are set. Those of
    which nobody has written down what they call for, such as a gate's, inherit it.
    """
    near = [
        other
        for other in contracts.values()
        if contract.name in other.lineage[1:] and specified(other)
    ]
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
    """Return the nearest control under each contract; under ``""`` if one does for them all.

    :raises UsageError: there is none under one of them.
    """
    candidates = by_distance(scenario, catalogue.scenarios.values())
    contracts = [catalogue.contracts[name] for name in scenario.expect]
    nearest_ones: dict[str, Candidate] = {}
    for contract in contracts:
        fitting = (one for one in candidates if fits(one.scenario, scenario, contract))
        near = next(fitting, None)
        if near is None:
            cause = f"no scenario of '{contract.name}' calls for another exit code than this home"
            raise UsageError(cause, hint="name a contract with scenarios, such as 'slot'")
        nearest_ones[contract.name] = near
    for one in candidates:
        if all(fits(one.scenario, scenario, contract) for contract in contracts):
            # Lint asks for the nearest where what sets it apart is no longer seen at a glance.
            nearer = any(near.count < one.count for near in nearest_ones.values())
            if one.count <= MOST_DIFFERENCES or not nearer:
                return {"": one.scenario.id}
            break
    return {name: near.scenario.id for name, near in nearest_ones.items()}
