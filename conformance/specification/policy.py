"""What a contract of one's own expects: its rules are combined anew, as a probe would do it.

A scenario cites the rules that decide in its home under a bundled contract. Where another contract
changes one of them, more may matter: a home without a login, in which the CLI fails, is decided by
the missing login as soon as a CLI that fails lets a slot be ready.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.errors import CannotJudge
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.specification.case import case_of
from conformance.specification.decide import decide, specified
from conformance.specification.steps import Decision

__all__ = ["under_policy"]


def under_policy(
    scenarios: Sequence[Scenario], contract: Contract, catalogue: Catalogue, context: Context
) -> list[Scenario]:
    """Return *scenarios* of *catalogue* with what *contract* calls for in them.

    They are the same unless the contract changes what rules of a bundled one call for, which are
    written down. What a scenario says of the contract itself stays, and so does an expectation that
    never followed from these rules. A scenario in whose home nothing is called for is left out.
    """
    base = specified(contract)
    own = contract.lineage[: contract.lineage.index(base)] if base else ()
    if not any(rule.decided_by in own for rule in contract.rules.values() if not rule.findings):
        return list(scenarios)
    bundled = catalogue.contracts[base]
    anew = (
        _anew(scenario, contract, bundled, context)
        if scenario.expect.keys().isdisjoint(own)
        else scenario
        for scenario in scenarios
    )
    return [scenario for scenario in anew if scenario.expected(contract)]


def _anew(scenario: Scenario, contract: Contract, base: Contract, context: Context) -> Scenario:
    """Return *scenario* with what *contract*, which extends *base*, calls for in it."""
    found = _called_for(scenario, contract, context)
    if {*found.verdicts} == {*scenario.expected(contract)}:
        return scenario
    if {*_called_for(scenario, base, context).verdicts} != {*scenario.expected(base)}:
        return scenario
    return replace(
        scenario,
        expect={**scenario.expect, contract.name: found.verdicts},
        rules={**scenario.rules, contract.name: (found.rule,) if found.rule else ()},
    )


def _called_for(scenario: Scenario, contract: Contract, context: Context) -> Decision:
    """Return what *contract* calls for in *scenario*; no verdict where nothing is written."""
    try:
        decision = decide(case_of(scenario, contract, context), contract)
    except CannotJudge:  # its entries make no home
        decision = None
    return decision or Decision(rule="", verdicts=(), why="")
