"""What a contract of one's own expects: its rules are combined anew, as a probe would do it.

A scenario cites the rules that decide in its home under a bundled contract. Where another contract
changes one of them, more may matter: a home without a login, in which the CLI fails, is decided by
the missing login as soon as a CLI that fails lets a slot be ready.
"""

from __future__ import annotations

from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.errors import CannotJudge
from conformance.model.agent import AGENT_CLIS, HEALTHY
from conformance.model.contract import Contract
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.specification.case import Case, case_of
from conformance.specification.decide import decide, specified
from conformance.specification.steps import Decision

__all__ = ["may_matter", "under_policy"]


def under_policy(catalogue: Catalogue, contract: Contract, context: Context) -> Catalogue:
    """Return *catalogue* with what *contract* calls for in its scenarios, and by which rule.

    It is the same unless the contract changes what rules of a bundled one call for, which are
    written down. What a scenario says of the contract itself stays, and so does an expectation that
    never followed from these rules.
    """
    base = specified(contract)
    if not base:
        return catalogue
    bundled = catalogue.contracts[base]
    own = contract.lineage[: contract.lineage.index(base)]
    changed = [
        name
        for name, rule in bundled.rules.items()
        if rule.expect and contract.rules[name].decided_by in own
    ]
    anew = {
        id_: _anew(scenario, contract, bundled, context)
        for id_, scenario in catalogue.scenarios.items()
        if scenario.expect.keys().isdisjoint(own) and scenario.expected(bundled)
        if any(may_matter(rule, scenario) for rule in changed)
    }
    return catalogue.with_scenarios({**catalogue.scenarios, **anew})


def may_matter(rule: str, scenario: Scenario) -> bool:
    """Return whether the *rule* of that name may say anything in *scenario*.

    Names begin with what rules are about, which spares most scenarios a look into their homes: the
    credentials of one agent matter to no other, and a CLI that just runs meets one rule only.
    """
    subject = rule.partition("-")[0]
    if subject in AGENT_CLIS:
        return subject == scenario.inputs.get("agent", scenario.agent)
    if subject == "cli":
        return scenario.cli != HEALTHY or rule == "cli-runs"
    return True


def _anew(scenario: Scenario, contract: Contract, base: Contract, context: Context) -> Scenario:
    """Return *scenario* with what *contract*, which extends *base*, calls for in it."""
    case = _case(scenario, contract, context)
    found = _called_for(case, contract)
    same = {*found.verdicts} == {*scenario.expected(contract)}
    # An inherited scenario cites rules of the contract that it names, some of which another has in
    # the place of them: a login of slot is none that slot-strict decides by.
    if same and scenario.decided_by(contract) in found.rules:
        return scenario
    if (contract.inputs, contract.limits) != (base.inputs, base.limits):
        case = _case(scenario, base, context)
    if {*_called_for(case, base).verdicts} != {*scenario.expected(base)}:
        return scenario
    return replace(
        scenario,
        expect={**scenario.expect, contract.name: found.verdicts},
        rules={**scenario.rules, contract.name: (found.rule,) if found.rule else ()},
    )


def _case(scenario: Scenario, contract: Contract, context: Context) -> Case | None:
    """Return the case that *scenario* makes; None where its entries make no home."""
    try:
        return case_of(scenario, contract, context)
    except CannotJudge:
        return None


def _called_for(case: Case | None, contract: Contract) -> Decision:
    """Return what *contract* calls for in *case*; no verdict where nothing is written."""
    decision = decide(case, contract) if case is not None else None
    return decision or Decision(rule="", verdicts=(), why="")
