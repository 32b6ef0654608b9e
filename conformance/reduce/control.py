"""The control of a reduced scenario: the nearest of the catalogue in which the fault is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from conformance.catalogue.differences import differences
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.wording import against_control

__all__ = ["nearest_control"]

#: So many of the nearest are tried; a probe that is wrong in all of them is wrong in most.
_TRIED = 5


def nearest_control(
    scenario: Scenario,
    scenarios: Iterable[Scenario],
    contract: Contract,
    is_right: Callable[[Scenario], bool],
) -> tuple[Scenario | None, bool]:
    """Return the nearest of *scenarios* that calls for another answer, and whether it is right.

    That is the nearest in which the probe *is_right*, of the first few; else the nearest of all.
    None where no scenario calls for another answer.
    """
    wanted = scenario.expected(contract)
    candidates = [
        other
        for other in scenarios
        if other.agent == scenario.agent
        and other.id != scenario.id
        and not other.takes_long
        and contract.has_control(wanted, other.expected(contract))
    ]
    ordered = sorted(candidates, key=lambda other: (*_distance(scenario, other), other.id))
    for other in islice(ordered, _TRIED):
        if is_right(other):
            return other, True
    return (ordered[0] if ordered else None), False


def _distance(scenario: Scenario, other: Scenario) -> tuple[int, int]:
    return (
        len(against_control(scenario, other)),
        len(differences(scenario.entries, other.entries)),
    )
