"""One scenario of a saved report, with what the catalogue knows of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from conformance.model.contract import Contract
from conformance.model.login_wording import login_lines
from conformance.model.scenario import Scenario
from conformance.model.story_wording import story_lines
from conformance.model.wording import expectation
from conformance.report.answers import expected_words, got_words
from conformance.report.facts import condition, whole_difference
from conformance.report.known import Known
from conformance.report.page.shown import Block
from conformance.report.page.tree import Node, tree
from conformance.report.page.values import Answer, Link, Origin
from conformance.report.saved import SavedRow
from conformance.text import join

__all__ = ["Anchors", "answer_view", "origin_view", "rule_name", "rule_text", "story"]

#: Ids of scenarios and names of rules that can stand in a link as they are.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]{0,199}")


class Anchors:
    """The fragments by which a page finds what it has: the ids themselves, where they can be."""

    def __init__(self, ids: Iterable[str], prefix: str = "") -> None:
        self._anchors = {
            id_: f"{prefix}{id_}" if _PLAIN.fullmatch(id_) else f"{prefix or 'scenario-'}{number}"
            for number, id_ in enumerate(dict.fromkeys(ids))
        }

    def link(self, id_: str) -> Link:
        """Return the link to *id_*; without an anchor, if the page does not have it."""
        return Link(id_, self._anchors.get(id_, ""))


def answer_view(row: SavedRow, contract: Contract | None) -> Answer:
    """Return what was answered; without the *contract*, in the words of the report."""
    return Answer(
        result=row.result,
        expected=expected_words(row, contract),
        got=got_words(row, contract),
        reason=row.reason,
        findings=tuple((one.kind, one.message, one.level == "should") for one in row.findings),
        seconds=row.seconds,
        stdout=Block(row.stdout),
        stderr=Block(row.stderr),
        changes=row.changes,
        outside=row.outside,
        steps=row.steps,
        events=row.events,
        repeat=join(row.repeat),
    )


def rule_name(row: SavedRow, known: Known, contract: Contract | None) -> str:
    """Return the rule that decides: as the report says, else as the catalogue does."""
    scenario = known.scenarios.get(row.id)
    if row.rule or scenario is None or contract is None or not scenario.expected(contract):
        return row.rule
    return contract.rule_name(scenario.decided_by(contract))


def rule_text(name: str, known: Known) -> str:
    """Return the text of a rule such as ``slot:claude-login``; empty where it is not known."""
    contract, _, short = name.partition(":")
    found = known.contracts.get(contract)
    return found.rules[short].text if found is not None and short in found.rules else ""


def origin_view(row: SavedRow, known: Known, contract: Contract | None, anchors: Anchors) -> Origin:
    """Return what the scenario of *row* is."""
    scenario = known.scenarios.get(row.id)
    control = known.scenarios.get(row.control)
    rule = rule_name(row, known, contract)
    difference = row.difference
    if not difference and scenario is not None and control is not None:
        difference = whole_difference(scenario, control)
    expects = ""
    if control is not None and contract is not None:
        expects = expectation(contract, control.expected(contract))
    return Origin(
        headline=_headline(row, scenario, known) or rule_text(rule, known),
        agent=row.agent,
        origin=row.origin or (scenario.origin if scenario is not None else ""),
        rule=rule,
        rule_text=rule_text(rule, known),
        control=anchors.link(row.control),
        control_expects=expects,
        difference=difference,
        condition=_around(scenario) if scenario is not None else [],
        home=_home(scenario, control),
        # Where the answer has steps, these say it.
        story=story(scenario, contract) if scenario is not None and not row.steps else (),
    )


def _headline(row: SavedRow, scenario: Scenario | None, known: Known) -> str:
    """Return the summary of a scenario where it fits every contract that names it, else nothing.

    It is written with one of them in mind; another may call for the opposite.
    """
    if scenario is None:
        return row.summary
    named = (known.contracts[name] for name in scenario.expect if name in known.contracts)
    calls = {scenario.expected(contract) for contract in named} - {()}
    return scenario.summary if len(calls) == 1 else ""


def _home(scenario: Scenario | None, control: Scenario | None) -> list[Node] | None:
    if scenario is None:
        return None
    return tree(scenario.entries, control.entries if control is not None else None)


def _around(scenario: Scenario) -> list[tuple[str, str]]:
    return [("CLI", scenario.cli), *condition(scenario)]


def story(scenario: Scenario, contract: Contract | None) -> tuple[str, ...]:
    """Return what happens to a gate under *contract*, or in a login, one line each."""
    lines: tuple[str, ...] = ()
    if scenario.steps and contract is not None and scenario.expected(contract):
        lines += tuple(story_lines(scenario, contract))
    if scenario.login is not None:
        lines += tuple(login_lines(scenario.login))
    return lines
