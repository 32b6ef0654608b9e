"""What there is to say about one scenario of the catalogue, each with its heading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from conformance.model.contract import Contract
from conformance.model.login_wording import login_against
from conformance.model.scenario import Scenario
from conformance.model.story_wording import steps_against
from conformance.model.wording import (
    against_control,
    describe_inputs,
    describe_needs,
    describe_surroundings,
    expectation,
)

__all__ = ["condition", "expectations", "whole_difference"]


def expectations(
    scenario: Scenario, contracts: Mapping[str, Contract], names: Iterable[str]
) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Yield what conforms in *scenario*, and by which rules, under each contract of these *names*.

    Those that the scenario names come first. Of each rule that is its name and its text.
    *contracts* has every contract that may be named.
    """
    wanted = [*names]
    for name in sorted(wanted, key=lambda name: name not in scenario.expect):
        known = contracts[name]
        rules = [(rule, known.rules[rule].text) for rule in scenario.shows(known)]
        expected = expectation(known, scenario.expected(known))
        yield name, expected or "nothing: all rules about it are off", rules


def condition(scenario: Scenario) -> list[tuple[str, str]]:
    """Return what is around the probe beside the files of its HOME, each with its heading."""
    rows = [("input", words) for words in describe_inputs(scenario).values()]
    rows += [("set", f"{name}={value!r}") for name, value in scenario.env.items()]
    rows += [("unset", name) for name in scenario.unset]
    rows += [("with", words) for words in describe_surroundings(scenario).values()]
    rows += [("container", need) for need in describe_needs(scenario.container).values()]
    if scenario.layers:
        rows.append(("layers", ", ".join(scenario.layers)))
    if scenario.differs:
        rows.append(("differs", scenario.differs))
    return rows


def whole_difference(scenario: Scenario, control: Scenario) -> tuple[str, ...]:
    """Return what *scenario* has (+) and lacks (-) against *control*, one line each.

    That is all of it: home, environment, CLI, steps and login.
    """
    return (
        *against_control(scenario, control),
        *steps_against(scenario, control),
        *login_against(scenario, control),
    )
