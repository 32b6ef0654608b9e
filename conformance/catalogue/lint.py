"""Check the catalogue against its own rules: style, origins, controls, a case for every rule.

Reading a file finds what makes it unusable; this module finds what makes a catalogue poor.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from conformance.catalogue.agents import cli_state, cli_states, own_states, state_in
from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.controls import by_distance, fits
from conformance.catalogue.differences import nearest
from conformance.model.contract import STEP_FINDINGS, Contract
from conformance.model.scenario import Entry, Scenario
from conformance.model.story import ChangeCli, Check, Claim, Counters
from conformance.model.story_wording import steps_against
from conformance.model.wording import against_control, expectation

__all__ = [
    "LONGEST_SUMMARY",
    "MOST_DIFFERENCES",
    "MOST_IN_HOME",
    "SCENARIOS_EACH",
    "Complaint",
    "about_scenario",
    "fingerprint",
    "lint",
]

#: Characters of a summary: one or two lines in a terminal beside an id.
LONGEST_SUMMARY = 150
#: Lines of difference to a control: they should explain a failure at a glance.
MOST_DIFFERENCES = 8
#: Differences of a home to the nearest one without its fault, if the file does not say why.
MOST_IN_HOME = 1
#: Scenarios for each verdict of each contract and agent: one or two can be passed by luck.
SCENARIOS_EACH = 3

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)+")
#: Where the case was found, such as a public issue or a contract, and what was found there.
_ORIGIN = re.compile(r"[^:\s][^:]*: \S.*")


class Complaint(Struct, frozen=True, order=True):
    """One thing to fix."""

    where: str
    """The id of a scenario, a state or a contract."""
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.check}: {self.message}"


def lint(catalogue: Catalogue, asked: Catalogue | None = None) -> list[Complaint]:
    """Return what is wrong with *catalogue*, as its files say it, sorted.

    *asked* is the same with what a contract of the user's own calls for in it, if there is one.
    """
    asked = asked or catalogue
    scenarios = list(catalogue.scenarios.values())
    found = list(_twins(scenarios))
    for scenario in scenarios:
        found += about_scenario(scenario, asked)
    found += _states(catalogue)
    for contract in catalogue.contracts.values():
        found += _uncited(contract, scenarios)
        found += _without_effect(contract, scenarios)
        found += _verdicts(contract, asked)
    return sorted(found)


def about_scenario(scenario: Scenario, catalogue: Catalogue) -> Iterator[Complaint]:
    """Yield what is wrong with one *scenario*, whose controls are in *catalogue*."""
    id_, summary = scenario.id, scenario.summary
    if not _NAME.fullmatch(id_):
        message = "write it as words with hyphens, below a directory: group/what-is-wrong"
        yield Complaint(id_, "name", message)
    yield from _summary(id_, summary)
    if not _ORIGIN.fullmatch(scenario.origin):
        where = "owner/repository#number or a contract"
        message = f"say where and what: {where}, a colon, and what was found there"
        yield Complaint(id_, "origin", message)
    yield from _home(scenario, catalogue)
    for name in scenario.expect:
        contract = catalogue.contracts[name]
        yield from _control(scenario, contract, catalogue)
        yield from _rules(scenario, contract)
        yield from _inputs(scenario, contract)
        yield from _steps(scenario, contract)


def _summary(where: str, summary: str) -> Iterator[Complaint]:
    if len(summary) > LONGEST_SUMMARY:
        message = f"is {len(summary)} characters long; {LONGEST_SUMMARY} are enough"
        yield Complaint(where, "summary", message)
    lower_case_word = summary[:1].islower() and summary.split(maxsplit=1)[0].isalpha()
    if lower_case_word or summary.endswith((".", "!", "…")):
        message = "must begin with a capital and end without a full stop"
        yield Complaint(where, "summary", message)


def _home(scenario: Scenario, catalogue: Catalogue) -> Iterator[Complaint]:
    """Yield a complaint if a home has more than one fault, or says why it has and has not."""
    name, lines = nearest(scenario, catalogue.scenarios)
    if len(lines) > MOST_IN_HOME and not scenario.differs:
        message = f"differs from {name} in {len(lines)} things: {'; '.join(lines)}"
        way_out = "leave one, or say why with 'differs'"
        yield Complaint(scenario.id, "home", f"{message}; {way_out}")
    if len(lines) <= MOST_IN_HOME and scenario.differs:
        message = f"has no need of 'differs': it differs from {name} in {len(lines)} thing"
        yield Complaint(scenario.id, "home", message)


def _control(scenario: Scenario, contract: Contract, catalogue: Catalogue) -> Iterator[Complaint]:
    control = catalogue.scenarios.get(scenario.control_for(contract))
    if control is None:  # reading the files has refused that
        return
    ours, theirs = scenario.expected(contract), control.expected(contract)
    if not contract.has_control(ours, theirs):
        message = f"'{control.id}' does not call for another exit code under '{contract.name}'"
        yield Complaint(scenario.id, "control", message)
    steps = {line.partition(", ")[2] for line in steps_against(scenario, control)}
    count = len(against_control(scenario, control)) + len(steps)
    if count <= MOST_DIFFERENCES:
        return
    message = f"'{control.id}' differs in {count} things under '{contract.name}'"
    candidates = by_distance(scenario, catalogue.scenarios.values())
    near = next((one for one in candidates if fits(one.scenario, scenario, contract)), None)
    if near is not None and near.count < count:
        message += f"; name a nearer one, such as '{near.scenario.id}' with {near.count}"
        yield Complaint(scenario.id, "control", message)
    elif not scenario.differs:  # which says why nothing is near
        yield Complaint(scenario.id, "control", f"{message}; name a nearer one")


def _rules(scenario: Scenario, contract: Contract) -> Iterator[Complaint]:
    if scenario.steps:
        return
    wanted = scenario.expect[contract.name]
    cited = scenario.cites(contract)
    all_open = {*wanted} == {verdict.name for verdict in contract.verdicts}
    if contract.rules and not cited and not all_open:  # where nothing is called for, no rule does
        yield Complaint(scenario.id, "rules", f"cites no rule of '{contract.name}'")
    for place, name in enumerate(cited):
        rule = contract.rules[name]
        if scenario.start is not None and rule.findings and place:
            continue  # what breaks such a rule is a finding of that scenario
        # The rules behind the first decide only where it is off.
        if not rule.expect or (place == 0 and set(rule.expect) != set(wanted)):
            asks = expectation(contract, rule.expect) if rule.expect else "nothing of its own"
            calls = f"the scenario for {expectation(contract, wanted)}"
            message = f"'{name}' of '{contract.name}' calls for {asks}, {calls}"
            yield Complaint(scenario.id, "rules", message)


def _steps(scenario: Scenario, contract: Contract) -> Iterator[Complaint]:
    """Yield steps whose answer no rule decides, or another than the one that they cite."""
    for number, step in enumerate(scenario.steps, 1):
        if not isinstance(step.action, Check | Claim | Counters):
            continue
        where = f"step {number}"
        rules = {name: contract.rules[name] for name in step.rules}
        verdicts = [name for name, rule in rules.items() if rule.expect]
        if isinstance(step.action, Counters):
            if step.action.same and not rules:
                yield Complaint(scenario.id, "steps", f"{where} cites no rule of '{contract.name}'")
        elif not verdicts:
            message = f"{where} cites no rule of '{contract.name}' with verdicts"
            yield Complaint(scenario.id, "steps", message)
        else:
            first = contract.rules[verdicts[0]].expect
            wanted = scenario.expected_in(step, contract)
            if contract.truths(first) != contract.truths(wanted):
                asks, calls = expectation(contract, first), expectation(contract, wanted)
                message = f"'{verdicts[0]}' calls for {asks}, {where} for {calls}"
                yield Complaint(scenario.id, "steps", message)


def _inputs(scenario: Scenario, contract: Contract) -> Iterator[Complaint]:
    """Yield variables of the environment that are an input, which a role should name."""
    for variable in sorted({*scenario.env, *scenario.unset} & {*contract.inputs.variables()}):
        if variable == contract.inputs.switch and variable in scenario.env:
            ways = {contract.inputs.switch_on, contract.inputs.switch_off}
            if scenario.env[variable] not in ways:
                continue  # which the role cannot say
        message = f"'{variable}' carries an input of '{contract.name}': name its role in [inputs]"
        yield Complaint(scenario.id, "inputs", message)


def _twins(scenarios: Iterable[Scenario]) -> Iterator[Complaint]:
    """Yield scenarios that build the same home as another, and summaries used twice."""
    homes: dict[bytes, str] = {}
    summaries: dict[str, list[str]] = {}
    for scenario in scenarios:
        first = homes.setdefault(fingerprint(scenario), scenario.id)
        if first != scenario.id:
            message = f"builds the same home with the same environment as '{first}'"
            yield Complaint(scenario.id, "twin", message)
        summaries.setdefault(scenario.summary, []).append(scenario.id)
    for ids in summaries.values():
        if len(ids) > 1:
            yield Complaint(ids[-1], "summary", f"is also that of '{ids[0]}'")


def _states(catalogue: Catalogue) -> Iterator[Complaint]:
    """Yield states of a CLI that no scenario is about.

    :raises FileError: the file of a state is wrong.
    """
    used = {scenario.cli_file or scenario.cli for scenario in catalogue.scenarios.values()}
    for scenario in catalogue.scenarios.values():
        changes = [step.action for step in scenario.steps if isinstance(step.action, ChangeCli)]
        used |= {change.file or change.state for change in changes}
    states = {name: name for name in cli_states()}
    for root in catalogue.roots:
        states |= {str(path): name for name, path in own_states(root).items()}
    for key, name in states.items():
        state = state_in(Path(key)) if key != name else cli_state(name)
        where = f"state {name}"
        if key not in used:
            yield Complaint(where, "states", "no scenario is about it")
        yield from _summary(where, state.summary)


def fingerprint(scenario: Scenario) -> bytes:
    """Return bytes that are equal for scenarios that look the same to a probe."""
    return msgspec.msgpack.encode(
        (
            scenario.agent,
            scenario.cli,
            sorted(scenario.inputs.items()),
            sorted(scenario.inputs_unset),
            sorted(scenario.env.items()),
            sorted(scenario.unset),
            scenario.process,
            scenario.home_name,
            scenario.container,
            sorted_entries(scenario.entries),
            scenario.earlier and sorted_entries(scenario.earlier),
            scenario.steps,
            scenario.start,
            scenario.login,
        )
    )


def sorted_entries(entries: Iterable[Entry]) -> list[bytes]:
    """Return the entries of a home in an order that does not depend on how they were written."""
    return sorted(msgspec.msgpack.encode(entry, order="sorted") for entry in entries)


def _uncited(contract: Contract, scenarios: Iterable[Scenario]) -> Iterator[Complaint]:
    cited = {name for scenario in scenarios for name in scenario.cites(contract)[:1]}
    in_steps: set[str] = set()
    for scenario in scenarios:
        if scenario.expected(contract):
            in_steps.update(name for step in scenario.steps for name in step.rules)
    for name, rule in contract.rules.items():
        # A rule needs cases only under the contract that states it. Every scenario shows a rule
        # without verdicts, but for those that only steps are about.
        needs_case = rule.expect or STEP_FINDINGS.intersection(rule.findings)
        if rule.contract == contract.name and needs_case and name not in cited | in_steps:
            yield Complaint(f"contract {contract.name}", "rules", f"no scenario is about '{name}'")


def _without_effect(contract: Contract, scenarios: Iterable[Scenario]) -> Iterator[Complaint]:
    """Yield the rules that *contract* changes and on which nothing that it asks for rests.

    It inherits such rules of a contract which another one has replaced: ``codex-no-file`` of slot
    in slot-strict, whose own is ``codex-missing``.
    """
    rested_on = {name for scenario in scenarios for name in scenario.cites(contract)}
    for name, rule in contract.rules.items():
        changed = rule.decided_by == contract.name != rule.contract
        if changed and not rule.findings and name not in rested_on:
            message = f"no scenario rests on '{name}', so changing it changes nothing"
            yield Complaint(f"contract {contract.name}", "rules", message)


def _verdicts(contract: Contract, catalogue: Catalogue) -> Iterator[Complaint]:
    scenarios = catalogue.in_contract(contract)
    found = Counter((scenario.agent, scenario.expected(contract)) for scenario in scenarios)
    for agent in contract.agents:
        for verdict in contract.verdicts:
            count = found[agent, (verdict.name,)]
            if count < SCENARIOS_EACH:
                expecting = "scenario expects" if count == 1 else "scenarios expect"
                few = f"{count} {expecting} '{verdict.name}' of {agent}"
                message = f"{few}, fewer than {SCENARIOS_EACH}"
                yield Complaint(f"contract {contract.name}", "verdicts", message)
