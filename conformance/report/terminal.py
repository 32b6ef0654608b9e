"""What a run says to people: progress while it lasts, then what deviated, why, and how to see it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from conformance import __version__
from conformance.errors import one_line, printable
from conformance.explain import probe_lines
from conformance.model import Scenario, ScenarioResult
from conformance.report.document import RunReport
from conformance.shell import join

__all__ = ["Terminal"]

_STYLES = {"conforms": "green", "deviates": "bold red", "broke": "bold magenta", "unsupported": "yellow", "known-failure": "cyan"}
#: How many lines of a probe's output stand below a deviation.
_OUTPUT_LINES = 8
#: From more findings than this on, the most frequent are counted below.
_MANY = 5


class Terminal:
    """Writes to *stream*: with colours and a moving bar where that is a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO, report: RunReport, scenarios: Mapping[str, Scenario], repro: Sequence[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._scenarios = scenarios
        self._repro = list(repro)
        self._progress: Progress | None = None
        self._next_tenth = 1

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def start(self, workers: int) -> None:
        """Say what is judged by what, and show the bar."""
        report = self._report
        words = _some(len(report.selected), "scenario") + (f", {_some(workers, 'worker')}" if workers else "")
        self._line(f"probe-conformance {__version__}, contract {report.contract.name} {report.contract.version}: {words}")
        for line in probe_lines(report.probe):
            self._line(line)
        self._line()
        if self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            # What else comes to standard output, such as pytest's own words, has been sent elsewhere on purpose.
            self._progress = Progress(
                *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._progress.add_task("", total=len(report.selected))
            self._progress.start()

    def step(self) -> None:
        """Show that one more result has come in."""
        done, total = self._report.done(), len(self._report.selected)
        if self._progress is not None:
            bad = sum(count for kind, count in self._report.counts().items() if kind == "deviates")
            self._progress.update(
                self._progress.task_ids[0], completed=done, description=f"[red]{bad} deviate[/red]" if bad else ""
            )
        elif total >= 10 and done * 10 >= total * self._next_tenth:
            self._next_tenth = done * 10 // total + 1
            self._line(f"  {done} of {total}")

    def finish(self) -> None:
        """Write the summary."""
        if self._progress is not None:
            self._progress.stop()
        elif len(self._report.selected) >= 10:
            self._line()
        for result in self._report.results():
            if result.result not in ("conforms", "known-failure"):
                self._show(result)
        for id_ in self._report.stale():
            self._line(f"CONFORMS {id_}, a known failure: take it out of {self._report.known.file}", "bold red")
        for line in self._report.trouble:
            self._line(f"TROUBLE {one_line(line)}", "bold magenta")
        self._patterns()
        if self._report.diagnosis:
            self._line(f"DIAGNOSIS {self._report.diagnosis}", "bold")
            self._line()
        self._verdict()

    def _show(self, result: ScenarioResult) -> None:
        self._line(f"{result.result.upper()} {result.id}", _STYLES[result.result])
        for name, line in self._details(result):
            self._line(f"  {name:<16} {one_line(line) if name else line}")
        self._line()

    def _details(self, result: ScenarioResult) -> Iterator[tuple[str, str]]:
        """Yield a heading and a text for each line below a result."""
        if result.reason:
            yield "reason", result.reason
        for finding in result.findings:
            yield finding.kind, finding.message
        if result.result == "unsupported":
            return
        if result.findings and result.id in self._scenarios:
            yield "rule", self._scenarios[result.id].summary
            yield (
                "control",
                f"{result.control} expects {self._report.control_words(result, self._scenarios)}; against it, this one has",
            )
            for line in result.difference[:10]:
                yield "", f"  {printable(line)}"
        for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
            lines = [line for line in text.splitlines() if line.strip()]
            for line in lines[:_OUTPUT_LINES]:
                yield name, line
            if len(lines) > _OUTPUT_LINES:
                yield name, f"… {len(lines) - _OUTPUT_LINES} more lines"
        for line in result.outside[:10]:
            yield "outside the HOME", printable(line)
        if result.kept:
            yield "home kept", f"{result.kept}/home"
        yield "repeat it with", join([*self._repro[:2], result.id, *self._repro[2:]])

    def _patterns(self) -> None:
        """Say what many deviations have in common: often they are one defect."""
        findings = [f"{finding.kind}: {finding.message}" for result in self._report.results() for finding in result.findings]
        if len(findings) > _MANY:
            for line, count in Counter(findings).most_common(_MANY):
                self._line(f"{count:>4} times {one_line(line)}")
            self._line()

    def _verdict(self) -> None:
        report = self._report
        words = [f"{count} {_PLURALS[kind]}" for kind, count in report.counts().items() if count or kind == "conforms"]
        line = f"{', '.join(words)} in {report.seconds:.1f} s"
        status = report.exit_status()
        if report.interrupted:
            self._line(f"{line}: INTERRUPTED", "bold yellow")
        elif status == 0:
            self._line(f"{line}: CONFORMANT" if report.conformant() else f"{line}: no new failure", "bold green")
        else:
            self._line(f"{line}: {'NOT CONFORMANT' if status == 1 else 'NOT JUDGED'}", "bold red")


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


_PLURALS = {
    "conforms": "conform",
    "deviates": "deviate",
    "unsupported": "unsupported",
    "broke": "broke",
    "known-failure": "known failures",
}
