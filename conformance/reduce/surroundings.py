"""Take away what is said of the surroundings of a HOME: CLI, environment, inputs, container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from conformance.model.agent import HEALTHY
from conformance.model.scenario import ContainerNeeds, Process, Scenario
from conformance.reduce.search import Search

__all__ = ["plain_surroundings"]

_Change = Callable[[Scenario], Scenario]


def plain_surroundings(search: Search) -> None:
    """Take away what is said of the surroundings, where it does not matter."""
    search.drop(list(_changes(search.best)), _after)


def _after(base: Scenario, changes: Sequence[_Change]) -> Scenario:
    for change in changes:
        base = change(base)
    return base


def _changes(scenario: Scenario) -> Iterator[_Change]:
    """Yield what makes one thing around the HOME of *scenario* as usual, each thing in turn."""
    # A CLI that hangs makes every run slow.
    if scenario.cli != HEALTHY:
        yield partial(replace, cli=HEALTHY, cli_file="", waits=False)
    for table in ("env", "inputs"):
        for name in getattr(scenario, table):
            yield partial(_without_key, table, name)
    for names in ("unset", "inputs_unset"):
        for name in getattr(scenario, names):
            yield partial(_without_name, names, name)
    if scenario.earlier is not None:
        yield partial(replace, earlier=None)
    if scenario.home_name:
        yield partial(replace, home_name="")
    yield from _parts_as_usual(scenario, "process", Process())
    if scenario.container is not None:
        yield from _parts_as_usual(scenario, "container", ContainerNeeds())


def _parts_as_usual(
    scenario: Scenario, part: str, usual: Process | ContainerNeeds
) -> Iterator[_Change]:
    for name in usual.__struct_fields__:
        if getattr(getattr(scenario, part), name) != getattr(usual, name):
            yield partial(_with_part, part, name, getattr(usual, name))


def _without_key(table: str, name: str, scenario: Scenario) -> Scenario:
    left = {key: value for key, value in getattr(scenario, table).items() if key != name}
    return replace(scenario, **{table: left})


def _without_name(names: str, name: str, scenario: Scenario) -> Scenario:
    left = tuple(other for other in getattr(scenario, names) if other != name)
    return replace(scenario, **{names: left})


def _with_part(part: str, name: str, value: Any, scenario: Scenario) -> Scenario:
    changed = replace(getattr(scenario, part), **{name: value})
    # A container that nothing is asked of is none: any driver can run the scenario.
    return replace(scenario, **{part: None if changed == ContainerNeeds() else changed})
