"""The environment of a probe: an allow-list, never the caller's own."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.errors import UsageError
from conformance.model.contract import USUAL, Contract
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import PATH_PLACEHOLDER, Scenario

__all__ = ["FIXED", "check_extra", "environment", "fixed_for", "unset_variables"]

#: Fixed values, so that no answer depends on where the suite runs.
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC"}
#: Seconds between two questions for an operator's code, unless somebody says otherwise.
_POLL = "0.1"


def fixed_for(contract: Contract, fixed: Mapping[str, str] = FIXED) -> dict[str, str]:
    """Return what is in the environment of every probe, unless somebody says otherwise.

    That is what is *fixed*, and what a contract adds.
    """
    poll = contract.inputs.poll if contract.requests is not None else ""
    return {**fixed, poll: _POLL} if poll else dict(fixed)


def environment(
    scenario: Scenario,
    contract: Contract,
    context: Context,
    *,
    path: str,
    opposite: str = "",
    extra: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] = FIXED,
) -> dict[str, str]:
    """Return the variables of a probe.

    These are the *fixed* ones, the user's *extra* ones, the inputs of the contract, and the changes
    of the scenario. Later ones win, because the scenario says what the case is about.
    """
    inputs = contract.inputs
    result = {**fixed, **(extra or {}), "PATH": path, inputs.home: context.home}
    if inputs.agent:
        result[inputs.agent] = scenario.agent
    if inputs.opposite_home:
        result[inputs.opposite_home] = opposite
    for role, usual in USUAL.items():
        if variable := inputs.variable(role):
            result[variable] = expand(usual, context)
    for role, text in scenario.inputs.items():
        result[inputs.variable(role)] = expand(contract.input_value(role, text), context)
    for name, value in scenario.env.items():
        parts = value.split(PATH_PLACEHOLDER) if name == "PATH" else [value]
        result[name] = path.join(expand(part, context) for part in parts)
    for name in unset_variables(scenario, contract):
        result.pop(name, None)
    return result


def unset_variables(scenario: Scenario, contract: Contract) -> tuple[str, ...]:
    """Return the variables that the probe of *scenario* must not have."""
    inputs = (contract.inputs.variable(role) for role in scenario.inputs_unset)
    return (*inputs, *scenario.unset)


def check_extra(extra: Mapping[str, str], contract: Contract) -> None:
    """Refuse variables that the contract sets.

    :raises UsageError: the contract sets one; the error names it.
    """
    inputs = contract.inputs
    usual = (inputs.variable(role) for role in USUAL)
    decided = {inputs.home, inputs.agent, inputs.opposite_home, *usual} - {""}
    for name in sorted(decided & extra.keys()):
        raise UsageError(
            f"{name} is set by the contract '{contract.name}'",
            hint="leave it out of --env and --pass-env",
        )
