"""What is shown of one scenario, and of what many have in common: lines for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from conformance.judge.tally import RunReport
from conformance.model.cause import Cause
from conformance.model.contract import ANSWER_FINDINGS, Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import expectation
from conformance.report.lines import command_lines, heading_lines, ids_line
from conformance.report.story import asked_in_steps, event_lines, step_lines
from conformance.report.view import some
from conformance.text import printable

__all__ = ["Blocks", "cause_name"]

#: How many lines of a probe's output, and of a difference, are shown where room is scarce.
_FEW = 5
#: Otherwise: so many lines of a difference, and of what was changed outside the HOME.
_MANY = 10
#: A line of output is no longer than this: the second half of a longer one says no more.
_LONGEST = 2 * 60
#: What many languages begin the line with that names an error.
_NAMES_AN_ERROR = re.compile(
    r"^\s*(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Warning|panic|fatal|Fatal)\w*\b.{0,40}?:"
)


class Blocks:
    """Renders the results of a run, one block each."""

    def __init__(self, report: RunReport, scenarios: Mapping[str, Scenario]) -> None:
        self._report = report
        self._contract: Contract = report.contract
        self._scenarios = scenarios

    def result(self, result: ScenarioResult, *, brief: bool) -> list[str]:
        """Return the lines about a *result*; where it has to be *brief*, not all of them."""
        return [f"{result.result.upper()} {result.id}", *self._details(result, brief=brief)]

    def cause(
        self, cause: Cause, results: Mapping[str, ScenarioResult], *, short: bool
    ) -> list[str]:
        """Return the lines about a *cause*: its most basic scenario, and the ids of the others.

        A *short* one says what was found, and how to repeat it.
        """
        first, *others = cause.scenarios
        result = results[first]
        lines = [f"DEVIATES {first}{f' and {len(others)} more' if others else ''}"]
        if cause.kind == "vice":
            fit = f"; {cause.fit:.0%} of its deviations are seen here" if others else ""
            said = f"like the wrong probe {cause.name}: {cause.text}{fit}"
            lines += heading_lines("cause", said)
        elif cause.kind == "rule" and cause.name and cause.compared:
            lines += heading_lines("cause", "not like any known vice")
        if short:
            for finding in result.findings[:1]:
                lines += heading_lines(finding.kind, finding.message, _LONGEST)
            lines += self._repeat(result)
        else:
            lines += self._details(result, brief=True)
        if others:
            lines.append(ids_line("also in", others))
        return lines

    def _details(self, result: ScenarioResult, *, brief: bool) -> Iterator[str]:
        longest = 2 * _LONGEST if brief else None
        if result.reason:
            yield from heading_lines("reason", result.reason, longest)
        for finding in result.findings:
            advice = "" if finding.level == "must" else "advice: "
            yield from heading_lines(finding.kind, f"{advice}{finding.message}", longest)
        if result.result == "unsupported":
            return
        if result.findings and result.id in self._scenarios:
            yield from self._rules(result, 1 if brief else None)
            yield from self._control(result, _FEW if brief else _MANY)
        events = event_lines(result, brief=brief)
        for heading, line in (*step_lines(result, brief=brief), *events):
            yield from heading_lines(heading, line, longest)
        if not asked_in_steps(result):  # else it is the answers again
            yield from _output("stdout", result.stdout, brief=brief)
        yield from _output("stderr", result.stderr, brief=brief)
        for line in result.outside[: _FEW if brief else _MANY]:
            yield from heading_lines("outside the HOME", printable(line))
        if result.kept:
            yield from heading_lines("home kept", f"{result.kept}/home")
        yield from self._repeat(result)

    def _repeat(self, result: ScenarioResult) -> Iterator[str]:
        if argv := self._report.repeat(result.id):
            yield from command_lines("repeat it with", argv)

    def _rules(self, result: ScenarioResult, limit: int | None) -> Iterator[str]:
        """Yield the rules that are broken, each with its text: first the one that decides."""
        contract, scenario = self._contract, self._scenarios[result.id]
        names = [finding.rule for finding in result.findings]
        if ANSWER_FINDINGS & {finding.kind for finding in result.findings}:
            names.insert(0, scenario.decided_by(contract))
        for name in list(dict.fromkeys(filter(None, names)))[:limit]:
            rule = contract.rules[name]
            text = rule.text
            if rule.expect and rule.decided_by not in ("", rule.contract):
                # The text is of the contract that states the rule, whose answer is another.
                calls_for = expectation(contract, rule.expect)
                text = f"{contract.name} calls for {calls_for} where {rule.contract} says: {text}"
            yield from heading_lines("rule", f"{contract.rule_name(name)}: {text}")
        if not any(names) and contract.name in scenario.expect:
            # Under another contract, which inherits the scenario, it may say what is not expected.
            yield from heading_lines("scenario", scenario.summary)

    def _control(self, result: ScenarioResult, limit: int) -> Iterator[str]:
        expected = self._report.control_words(result, self._scenarios)
        yield from heading_lines("control", f"{result.control} expects {expected}; here:")
        lines = result.difference
        for line in lines[:limit]:
            yield from heading_lines("", f"  {printable(line)}", 2 * _LONGEST)
        if len(lines) > limit:
            yield from heading_lines("", f"  and {some(len(lines) - limit, 'more difference')}")


def _output(name: str, text: str, *, brief: bool) -> Iterator[str]:
    """Yield lines of *text*, a probe's output: its first, its last, and one that names an error."""
    lines = [line for line in text.splitlines() if line.strip()]
    shown = sorted(_chosen(lines, brief=brief))
    before = -1
    for number in shown:
        if number > before + 1:
            yield from heading_lines(name, f"… {some(number - before - 1, 'more line')}")
        yield from heading_lines(name, lines[number], _LONGEST)
        before = number


def _chosen(lines: Sequence[str], *, brief: bool) -> set[int]:
    """Return the numbers of the lines that are shown."""
    limit = _FEW if brief else 4 * _FEW
    if len(lines) <= limit:
        return set(range(len(lines)))
    first, last = limit // 2 - 1, limit // 2
    chosen = {*range(first), *range(len(lines) - last, len(lines))}
    named = (n for n, line in enumerate(lines) if _NAMES_AN_ERROR.match(line))
    return chosen | set([*named][-1:])


def cause_name(cause: Cause) -> str:
    """Return what a line about a *cause* begins with."""
    if cause.kind == "vice":
        return f"like {cause.name}: "
    return f"{cause.name}: " if cause.name else ""
