"""What all formats for other programs say of one scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from conformance.judge.tally import RunReport
from conformance.model.outcome import Finding, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.story import asked_in_steps, event_lines, step_lines
from conformance.text import join, one_line, printable

__all__ = ["Case", "broken_rule", "cases", "details", "problems"]

#: What other programs know: a test passes or fails, could not be run to its end, was not run here,
#: or is known to fail.
Kind = Literal["pass", "fail", "error", "skip", "todo"]

_KINDS: dict[str, Kind] = {
    "conforms": "pass",
    "deviates": "fail",
    "unsupported": "skip",
    "broke": "error",
    "known-failure": "todo",
}
#: Why a deviation does not fail a run with a baseline, by what became of the scenario.
_EXCUSES = {
    "": "as in the baseline",
    "changed-answer": "deviates in the baseline, too",
    "new": "not in the baseline",
    "judged-again": "not judged in the baseline",
    "asked-otherwise": "asked otherwise than in the baseline",
}
#: So many lines of an output are shown among the details: the last ones, which name the error.
_OUTPUT_LINES = 20


class Case(Struct, frozen=True):
    """One scenario, as a test."""

    scenario: Scenario
    result: ScenarioResult
    kind: Kind
    type: str
    """The kind of the first finding that counts, else the result."""
    message: str
    """Why it is not a plain pass, on one line; empty where it is one."""

    @property
    def id(self) -> str:
        """The id of the scenario."""
        return self.result.id


def cases(report: RunReport) -> Iterator[Case]:
    """Yield the scenarios of *report*, in order."""
    stale, excused = {*report.stale()}, _excused(report)
    for scenario, result in zip(report.selected, report.results(), strict=True):
        kind, type_ = _KINDS[result.result], str(result.result)
        message = one_line(result.reason)
        if result.id in stale:
            kind, type_ = "fail", "stale-known-failure"
            message = one_line(f"it conforms: take it out of {report.known.file}")
        elif kind == "skip" and report.fail_on_unsupported:
            kind = "fail"
        elif kind == "fail":
            counted = [finding for finding in result.findings if finding.level == "must"]
            counted = counted or list(result.findings)
            type_ = counted[0].kind if counted else type_
            message = one_line("; ".join(f"{each.kind}: {each.message}" for each in counted))
            if why := excused.get(result.id):
                kind, message = "todo", f"{why}: {message}"
        yield Case(scenario, result, kind, type_, message)


def _excused(report: RunReport) -> dict[str, str]:
    """Return what deviates and is not worse than in the baseline, each with the reason for that."""
    if report.changes is None:
        return {}
    changes = {change.id: change for change in report.changes.changes}
    found = {}
    for result in report.results():
        change = changes.get(result.id)
        if result.result == "deviates" and not (change is not None and change.worse):
            kind = change.kind if change is not None else ""
            found[result.id] = _EXCUSES.get(kind, "no worse than in the baseline")
    return found


def broken_rule(report: RunReport, case: Case, finding: Finding | None = None) -> tuple[str, str]:
    """Return the name and the text of the rule that a *finding* breaks, or that decides a *case*.

    Both are empty where no rule is cited.
    """
    rule = finding.rule if finding is not None else ""
    rule = rule or case.scenario.decided_by(report.contract)
    known = report.contract.rules.get(rule)
    return report.contract.rule_name(rule), one_line(known.text) if known is not None else ""


def details(report: RunReport, case: Case) -> Iterator[str]:
    """Yield all there is to say about a *case* that is not a plain pass, a line each.

    Every line is printable: no control character, no colour.
    """
    result = case.result
    for finding in result.findings:
        advice = "" if finding.level == "must" else "advice: "
        yield one_line(f"{advice}{finding.kind}: {finding.message}")
    if not result.findings:
        yield case.message
    name, text = broken_rule(report, case)
    if name:
        yield f"rule: {name}: {text}"
    if result.findings:
        yield f"control: {result.control}; against it, this one has"
        yield from (f"    {printable(line)}" for line in result.difference)
    for heading, line in (*step_lines(result), *event_lines(result)):
        yield f"{heading}: {printable(line)}" if heading else f"  {printable(line)}"
    if not asked_in_steps(result):  # else it is the answers again
        yield from _last_lines("stdout", result.stdout)
    yield from _last_lines("stderr", result.stderr)
    if result.kept:
        yield f"home: {printable(result.kept)}/home"
    if again := report.repeat(result.id):
        yield f"repeat it with: {printable(join(again))}"


def problems(report: RunReport) -> list[str]:
    """Return what went wrong with the run as a whole, a line each."""
    lines = [one_line(line) for line in report.trouble]
    if report.interrupted:
        lines.append("interrupted")
    results = {result.result for result in report.results()}
    if not lines and results <= {"unsupported"}:
        lines.append("nothing was judged")
    return lines


def _last_lines(name: str, text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > _OUTPUT_LINES:
        yield f"{name}: … {len(lines) - _OUTPUT_LINES} lines before these"
    yield from (f"{name}: {printable(line.expandtabs())}" for line in lines[-_OUTPUT_LINES:])
