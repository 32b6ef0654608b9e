"""What a run shows to people: its progress, then what deviated, why, and how to repeat it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from conformance.judge.tally import NOT_RUN, RunReport
from conformance.model.outcome import Result, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import asked_note
from conformance.report.story import asked_in_steps, event_lines, step_lines
from conformance.report.view import View, some
from conformance.text import join, one_line, printable

__all__ = ["Terminal"]

_STYLES = {
    "conforms": "green",
    "deviates": "bold red",
    "broke": "bold magenta",
    "unsupported": "yellow",
    "known-failure": "cyan",
}
#: How many lines of a probe's output are shown below a deviation.
_OUTPUT_LINES = 8
#: With more findings than this, the most frequent are counted below. If more scenarios than this
#: broke for the same reason, they share a line.
_MANY = 5
#: Quoted parts of reasons, such as paths.
_QUOTED = re.compile(r"'[^']*'")


class Terminal(View):
    """The view of a run that judges a probe: at the end, what deviated, why, how to repeat it."""

    def __init__(
        self,
        stream: TextIO,
        report: RunReport,
        scenarios: Mapping[str, Scenario],
    ) -> None:
        super().__init__(stream, report)
        self._scenarios = scenarios

    def finish(self) -> None:
        """Write the summary."""
        super().finish()
        alike = self._alike()
        together = {id_ for ids in alike.values() for id_ in ids}
        explained = self._explained()
        together.update(explained[1:])
        for result in self._report.results():
            if result.result not in ("conforms", "known-failure") and result.id not in together:
                self._show(result)
        if explained:
            more = f"DEVIATES {some(len(explained) - 1, 'more scenario')}, as DIAGNOSIS says below"
            self._line(f"{more}: {', '.join(explained[1:4])}, …", _STYLES["deviates"])
            self._line()
        self._show_alike(alike)
        self._show_advice()
        for id_ in self._report.stale():
            way_out = f"take it out of {self._report.known.file}"
            self._line(f"CONFORMS {id_}, a known failure: {way_out}", "bold red")
        for line in self._report.trouble:
            self._line(f"TROUBLE {one_line(line)}", "bold magenta")
        self._patterns()
        for hint in self._report.hints:
            self._line(f"DIAGNOSIS {one_line(hint)}", "bold")
            self._line()
        if asked := self._report.asked():
            self._line(f"NOTE {asked_note(asked)}")
            self._line()
        self._verdict()

    def _explained(self) -> list[str]:
        """Return the ids of deviations that a hint explains, if they are many: one is shown."""
        deviating = [r.id for r in self._report.results() if r.result == "deviates"]
        found = [id_ for id_ in deviating if id_ in self._report.explained]
        return found if len(found) > _MANY else []

    def _show(self, result: ScenarioResult) -> None:
        self._line(f"{result.result.upper()} {result.id}", _STYLES[result.result])
        for name, line in self._details(result):
            self._line(f"  {name:<16} {one_line(line) if name else line}")
        self._line()

    def _alike(self) -> dict[str, list[str]]:
        """Return the ids of scenarios that broke for the same reason, if they are many.

        Scenarios that an interrupt kept from running share a line, however few they are.
        """
        found: dict[str, list[str]] = {}
        for result in self._report.results():
            if result.result == "broke":
                # On a full disk, each scenario names another file.
                found.setdefault(_QUOTED.sub("'…'", result.reason), []).append(result.id)

        def one_line_will_do(reason: str) -> bool:
            cut_short = self._report.interrupted and reason.startswith(NOT_RUN)
            return cut_short or len(found[reason]) > _MANY

        return {reason: ids for reason, ids in found.items() if one_line_will_do(reason)}

    def _show_alike(self, alike: Mapping[str, Sequence[str]]) -> None:
        for reason, ids in alike.items():
            if reason.startswith(NOT_RUN):
                self._line(f"{len(ids)} {reason}", _STYLES["broke"])
            else:
                line = f"BROKE {len(ids)} scenarios, such as {ids[0]}: {one_line(reason)}"
                self._line(line, _STYLES["broke"])
        if alike:
            self._line()

    def _show_advice(self) -> None:
        """Show what a probe should do and does not: one block for each rule, with its scenarios."""
        contract = self._report.contract
        found: dict[str, list[tuple[str, str]]] = {}
        for result in self._report.advice():
            for finding in result.advice():
                found.setdefault(finding.rule, []).append((result.id, finding.message))
        for rule, items in found.items():
            ids = list(dict.fromkeys(id_ for id_, _ in items))
            self._line(f"ADVICE {rule}: {one_line(contract.rules[rule].text)}", "bold yellow")
            more = f" and {len(ids) - _MANY} more" if len(ids) > _MANY else ""
            self._line(f"  {'in':<16} {some(len(ids), 'scenario')}: {', '.join(ids[:_MANY])}{more}")
            self._line(f"  {'such as':<16} {one_line(items[0][1])}")
            self._line()

    def _details(self, result: ScenarioResult) -> Iterator[tuple[str, str]]:
        """Yield a heading and a text for each line below a result."""
        if result.reason:
            yield "reason", result.reason
        for finding in result.findings:
            advice = "" if finding.level == "must" else "advice: "
            yield finding.kind, f"{advice}{finding.message}"
        if result.result == "unsupported":
            return
        if result.findings and result.id in self._scenarios:
            yield "rule", self._scenarios[result.id].summary
            expected = self._report.control_words(result, self._scenarios)
            yield "control", f"{result.control} expects {expected}; against it, this one has"
            for line in result.difference[:10]:
                yield "", f"  {printable(line)}"
        yield from step_lines(result)
        yield from event_lines(result)
        if not asked_in_steps(result):  # else it is the answers again
            yield from _output("stdout", result.stdout)
        yield from _output("stderr", result.stderr)
        for line in result.outside[:10]:
            yield "outside the HOME", printable(line)
        if result.kept:
            yield "home kept", f"{result.kept}/home"
        yield "repeat it with", join(self._report.repeat(result.id))

    def _patterns(self) -> None:
        """Show what many deviations have in common: often they are one defect."""
        findings: Counter[str] = Counter()
        explained = self._explained()  # a hint says of these what they have in common
        for result in self._report.results():
            if result.id in explained:
                continue
            counted = [finding for finding in result.findings if finding.level == "must"]
            findings.update(f"{finding.kind}: {finding.message}" for finding in counted)
        if findings.total() > _MANY:
            for line, count in findings.most_common(_MANY):
                self._line(f"{count:>4} times {one_line(line)}")
            self._line()

    def _verdict(self) -> None:
        report = self._report
        counts = [
            _count(kind, count)
            for kind, count in report.counts().items()
            if count or kind == "conforms"
        ]
        if advice := len(report.advice()):
            counts.append(f"{advice} with advice")
        line = f"{', '.join(counts)} in {report.seconds:.1f} s"
        status = report.exit_status()
        if report.interrupted:
            self._line(f"{line}: INTERRUPTED", "bold yellow")
        elif status == 0:
            verdict = "CONFORMANT" if report.conformant() else "no new failure"
            self._line(f"{line}: {verdict}", "bold green")
        else:
            verdict = "NOT CONFORMANT" if status == 1 else "NOT JUDGED"
            self._line(f"{line}: {verdict}", "bold red")


def _output(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the first lines of *text*, each below the heading *name*."""
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines[:_OUTPUT_LINES]:
        yield name, line
    if len(lines) > _OUTPUT_LINES:
        yield name, f"… {len(lines) - _OUTPUT_LINES} more lines"


def _count(kind: Result, count: int) -> str:
    if kind == "known-failure":
        return some(count, "known failure")
    return f"{count} {kind.removesuffix('s')}"
