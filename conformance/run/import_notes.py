"""What the first lines of a run say of the module of a Python callable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.model.contract import Contract
from conformance.model.scenario import Scenario

__all__ = ["import_notes"]


def import_notes(
    described: Mapping[str, Any], contract: Contract, scenarios: Iterable[Scenario]
) -> list[str]:
    """Return why the module of the callable *described* is imported anew, and where.

    Nothing is said where it is imported once for all *scenarios*.
    """
    imported, module = described["imported"], described["callable"].partition(":")[0]
    if imported["anew"]:
        return [f"{module} is imported anew in each scenario: it {imported['anew']} while imported"]
    differing = {"PATH", *contract.inputs.variables()}
    differing.update(name for scenario in scenarios for name in (*scenario.env, *scenario.unset))
    if read := [name for name in imported["reads"] if name in differing]:
        names = ", ".join(read)
        return [f"{module} is imported anew where {names} differs: it is read while imported"]
    return []
