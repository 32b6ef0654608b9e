"""Scenarios that could be the control of one about a home, nearest first."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.wording import against_control

__all__ = ["Candidate", "by_distance", "fits"]


class Candidate(Struct, frozen=True):
    """A scenario of the same agent with the same CLI, in a home of its own."""

    scenario: Scenario
    count: int
    """How many lines it takes to say what sets the two apart."""


def by_distance(scenario: Scenario, others: Iterable[Scenario]) -> list[Candidate]:
    """Return which of *others* could be the control of *scenario*, the nearest first.

    They need not call for another answer: see :func:`fits`.
    """
    found = [
        Candidate(other, len(against_control(scenario, other)))
        for other in others
        if other.id != scenario.id and _is_comparable(other, scenario)
    ]
    return sorted(found, key=lambda one: (one.count, one.scenario.id))


def fits(other: Scenario, scenario: Scenario, contract: Contract) -> bool:
    """Return whether *other* calls for another exit code than *scenario* under *contract*."""
    theirs = other.expected(contract)
    return bool(theirs) and contract.has_control(scenario.expected(contract), theirs)


def _is_comparable(other: Scenario, scenario: Scenario) -> bool:
    more = other.steps or other.start is not None or other.login is not None or other.container
    return not more and other.agent == scenario.agent and other.cli == scenario.cli
