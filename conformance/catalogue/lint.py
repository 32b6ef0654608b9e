"""The catalogue held against its own rules: style, origins, controls, and that every rule of a contract has its cases.

What makes a file unreadable is found when it is read; here stands what makes a catalogue good.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from conformance.catalogue.catalogue import Catalogue
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.wording import against_control, expectation

__all__ = ["LONGEST_SUMMARY", "MOST_DIFFERENCES", "SCENARIOS_EACH", "Complaint", "lint"]

#: Characters of a summary: one line in a terminal beside an id, or two.
LONGEST_SUMMARY = 150
#: Lines of difference to a control; a failure is to be explained by what a person takes in at a glance.
MOST_DIFFERENCES = 8
#: Scenarios that expect each verdict of each contract for each agent: one or two can be passed by luck.
SCENARIOS_EACH = 3

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)+")
#: Where it was met, and what was met there: a public issue, say, or the contract that a rule stands in.
_ORIGIN = re.compile(r"[^:\s][^:]*: \S.*")


class Complaint(Struct, frozen=True, order=True):
    """One thing to be put right."""

    where: str
    """The id of a scenario, or a contract."""
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.check}: {self.message}"


def lint(catalogue: Catalogue) -> list[Complaint]:
    """Return what is wrong with *catalogue*, sorted."""
    scenarios = list(catalogue.scenarios.values())
    found = [complaint for scenario in scenarios for complaint in _scenario(scenario, catalogue)]
    found += _twins(scenarios)
    for contract in catalogue.contracts.values():
        found += _uncited(contract, scenarios)
        found += _verdicts(contract, catalogue)
    return sorted(found)


def _scenario(scenario: Scenario, catalogue: Catalogue) -> Iterator[Complaint]:
    id_, summary = scenario.id, scenario.summary
    if not _NAME.fullmatch(id_):
        yield Complaint(id_, "name", "write it as words with hyphens, below a directory: group/what-is-wrong")
    if len(summary) > LONGEST_SUMMARY:
        yield Complaint(id_, "summary", f"is {len(summary)} characters long; {LONGEST_SUMMARY} are enough")
    if summary.endswith((".", "!", "…")) or (summary[:1].islower() and summary.split()[0].isalpha()):
        yield Complaint(id_, "summary", "begins with a capital, and ends without a full stop")
    if not _ORIGIN.fullmatch(scenario.origin):
        yield Complaint(id_, "origin", "say where and what: owner/repository#number, or a contract; a colon; what was met there")
    for name in scenario.expect:
        contract = catalogue.contracts[name]
        yield from _control(scenario, contract, catalogue)
        yield from _rules(scenario, contract)


def _control(scenario: Scenario, contract: Contract, catalogue: Catalogue) -> Iterator[Complaint]:
    control = catalogue.scenarios.get(scenario.control_for(contract))
    if control is None:  # reading the files makes sure that there is one
        return
    ours, theirs = ({contract.code(verdict) for verdict in s.expected(contract)} for s in (scenario, control))
    everything = {verdict.code for verdict in contract.verdicts}
    if ours != everything and (not theirs or ours & theirs):  # where all is open, nothing can be told apart
        yield Complaint(scenario.id, "control", f"'{control.id}' does not call for another exit code under '{contract.name}'")
    if (count := len(against_control(scenario, control))) > MOST_DIFFERENCES:
        yield Complaint(
            scenario.id, "control", f"'{control.id}' differs in {count} things under '{contract.name}'; name a nearer one"
        )


def _rules(scenario: Scenario, contract: Contract) -> Iterator[Complaint]:
    expected = set(scenario.expected(contract))
    cited = scenario.cites(contract)
    if contract.rules and not cited:
        yield Complaint(scenario.id, "rules", f"cites no rule of '{contract.name}'")
    for name in cited:
        rule = contract.rules[name]
        if set(rule.expect) != expected:
            asks = expectation(contract, rule.expect) if rule.expect else "nothing of its own"
            wanted = expectation(contract, scenario.expected(contract))
            yield Complaint(scenario.id, "rules", f"'{name}' of '{contract.name}' calls for {asks}, the scenario for {wanted}")


def _twins(scenarios: Iterable[Scenario]) -> Iterator[Complaint]:
    seen: dict[bytes, str] = {}
    for s in scenarios:
        built = msgspec.msgpack.encode((s.agent, s.cli, sorted(s.env.items()), sorted(s.unset), s.container, sorted_entries(s)))
        first = seen.setdefault(built, s.id)
        if first != s.id:
            yield Complaint(s.id, "twin", f"builds the same home with the same environment as '{first}'")
    for summary, count in Counter(s.summary for s in scenarios).items():
        if count > 1:
            ids = [s.id for s in scenarios if s.summary == summary]
            yield Complaint(ids[-1], "summary", f"is also that of '{ids[0]}'")


def sorted_entries(scenario: Scenario) -> list[bytes]:
    """Return the entries of a home in an order that says nothing of how they were written."""
    return sorted(msgspec.msgpack.encode(entry, order="sorted") for entry in scenario.entries)


def _uncited(contract: Contract, scenarios: Iterable[Scenario]) -> Iterator[Complaint]:
    cited = {name for scenario in scenarios for name in scenario.cites(contract)}
    for name, rule in contract.rules.items():
        # What a contract inherits is shown under the one that lays it down; what holds everywhere, in every scenario.
        if rule.contract == contract.name and rule.expect and name not in cited:
            yield Complaint(f"contract {contract.name}", "rules", f"no scenario is about '{name}'")


def _verdicts(contract: Contract, catalogue: Catalogue) -> Iterator[Complaint]:
    found = Counter((scenario.agent, scenario.expected(contract)) for scenario in catalogue.in_contract(contract))
    for agent in contract.agents:
        for verdict in contract.verdicts:
            if (count := found[agent, (verdict.name,)]) < SCENARIOS_EACH:
                yield Complaint(
                    f"contract {contract.name}",
                    "verdicts",
                    f"{count} scenarios expect '{verdict.name}' of {agent}, fewer than {SCENARIOS_EACH}",
                )
