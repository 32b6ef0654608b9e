"""Several runs that were one: what each of them came to, and where their answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.compare.report import CompareReport
from conformance.compare.rows import Row
from conformance.compare.sides import Side
from conformance.compare.tally import CompareTally
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED
from conformance.model.wording import probe_lines
from conformance.report.bar import Bar
from conformance.report.terminal import Summary, Terminal
from conformance.report.view import some, verdict
from conformance.run.many import Part
from conformance.text import letters, printable

__all__ = ["ManyScreen", "Several"]

#: Columns of the table, and rows of it, that people still read.
_SIDES, _ROWS = 8, 20
_STYLES = {0: "bold green", 1: "bold red", INTERRUPTED: "bold yellow"}
#: What a run comes to, by its exit status, in the order in which it is said.
_WORDS = {
    0: "conformant",
    1: "not conformant",
    2: "with a wrong request",
    CannotJudge.exit_status: "not judged",
    INTERRUPTED: "interrupted",
}


class Several:
    """What *parts* came to, now that they have ended, and what could not be written of them."""

    def __init__(
        self, parts: Sequence[Part], *, interrupted: bool = False, unwritten: Sequence[str] = ()
    ) -> None:
        self.parts = list(parts)
        self.interrupted = interrupted
        self.unwritten = unwritten
        """Why files are not there that were asked for, a line each."""

    def exit_status(self) -> int:
        """Return the worst: 130 if interrupted, else 3 before 2 before 1 before 0.

        It is 3 where something could not be written, whatever the parts came to.
        """
        if self.unwritten:
            return CannotJudge.exit_status
        if self.interrupted:
            return INTERRUPTED
        return max(status for part in self.parts if (status := part.status()) is not None)

    def document(self, files: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        """Return it as built-in types (schema version 1), with the *files* of each by its name."""
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "interrupted": self.interrupted,
            "exit_status": self.exit_status(),
            "unwritten": list(self.unwritten),
            "runs": [self._run(part, files.get(part.job.name, {})) for part in self.parts],
        }

    def _run(self, part: Part, files: Mapping[str, str]) -> dict[str, Any]:
        request, report = part.job.subject.request, part.report
        image, contract = request.image, part.job.subject.contract
        return {
            "name": part.job.name,
            "image": image.reference if image is not None else "",
            "digest": str(report.probe.get("digest", "")) if report is not None else "",
            "contract": {"name": contract.name, "version": contract.version},
            "agent": request.agent,
            "exit_status": part.status(),
            "conformant": report is not None and report.conformant(),
            "counts": report.counts() if report is not None else {},
            "seconds": round(report.seconds, 3) if report is not None else 0.0,
            "trouble": part.trouble(),
            "files": dict(files) if report is not None else {},
        }

    @cached_property
    def compared(self) -> CompareTally:
        """The scenarios that all of them have, side by side."""
        judged = self.judged
        contracts = [side.run.contract for side in self.sides]
        results = [{r.id: r for r in part.report.reported()} for part in judged if part.report]
        first = judged[0].job.subject.selected if judged else ()
        tally = CompareTally(contracts, 0)
        for scenario in first:
            if all(scenario.id in found for found in results):
                tally.rows.append(Row(scenario, tuple(found[scenario.id] for found in results)))
        tally.total = len(tally.rows)
        return tally

    @cached_property
    def judged(self) -> list[Part]:
        """Those that have a report."""
        return [part for part in self.parts if part.run and part.report]

    @cached_property
    def sides(self) -> list[Side]:
        """They as the sides of a comparison, each with its letter."""
        names = dict(zip(self.parts, letters(len(self.parts)), strict=True))
        return [Side(names[part], part.job.name, part.run) for part in self.judged if part.run]


class ManyScreen:
    """Shows people how far *parts* have come, what each of them came to, and where they differ."""

    def __init__(self, stream: TextIO, parts: Sequence[Part], summary: Summary) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._parts = list(parts)
        self._letters = dict(zip(self._parts, letters(len(self._parts)), strict=True))
        self._summary = summary
        self._total = sum(len(part.job.subject.selected) for part in parts)
        self._done = self._bad = 0
        self._bar = Bar(self._console, self._total, lines=summary != "quiet")

    def start(self, workers: int, settings: str) -> None:
        """Say what is judged by what, and show the bar."""
        if self._summary != "quiet":
            counts = [some(len(self._parts), "image"), some(self._total, "scenario")]
            counts += [some(workers, "worker")] if workers else []
            self._line(f"probe-conformance {__version__}: {', '.join(counts)}")
            for part in self._parts:
                self._line(f"{self._label(part)}  {self._what(part)}")
                shard = part.job.subject.shard
                if shard is not None and shard.note:
                    self._line(f"{self._label(part)}  note: {shard.note}")
            if settings:
                self._line(f"settings: {printable(settings)}")
            self._line()
        self._bar.start()

    def step(self, *, deviates: bool) -> None:
        """Show that one more result has come in."""
        self._done += 1
        self._bad += deviates
        self._bar.step(self._done, f"{self._bad} deviate" if self._bad else "")

    def ended(self, part: Part) -> None:
        """Say what *part* came to; of one that is not conformant, all that a run alone says."""
        self._bar.stop()
        report = part.report
        if part.run and report and self._summary != "quiet":
            known, all_of_it = part.run.catalogue.scenarios, self._summary == "all"
            if report.exit_status() or all_of_it:
                self._line(f"{self._label(part)}  {self._what(part)}", "bold")
                for line in probe_lines(report.probe):
                    self._line(line)
                self._line()
                Terminal(self._stream, report, known, all_of_it=all_of_it).finish()
                self._line()
            else:
                notes = report.probe.get("notes", ())
                for note in notes:
                    self._line(f"{self._label(part)}  note: {printable(note)}")
                self._outcome(part)
        else:
            self._outcome(part)
        if any(not other.ended for other in self._parts):
            self._bar = Bar(self._console, self._total, lines=self._summary != "quiet")
            self._bar.start()

    def finish(self, several: Several) -> None:
        """Say what each came to, where they differ, and what they came to together."""
        self._bar.stop()
        if self._summary != "quiet":
            self._line()
            for part in self._parts:
                self._outcome(part)
            self._line()
            self._differences(several)
        found = Counter(part.status() for part in self._parts)
        counts = [f"{found[status]} {word}" for status, word in _WORDS.items() if found[status]]
        counts += [f"{found[None]} without a turn"] if found[None] else []
        status = several.exit_status()
        said = f"{some(len(self._parts), 'image')}: {', '.join(counts)}"
        self._line(said, _STYLES.get(status, "bold magenta"))

    def _differences(self, several: Several) -> None:
        apart = several.compared.apart()
        if len(several.judged) > 1 and not several.compared.total:
            self._line("No scenario was judged in all of them, so they are not compared")
            self._line()
        if not apart:
            return
        where = f"{some(len(apart), 'scenario')} of those that all have"
        if len(several.sides) > _SIDES:
            self._line(f"They differ in {where}: --html DIR has a table")
        else:
            self._line(f"They differ in {where}; ! is not what the contract calls for:")
            shown = apart if self._summary == "all" else apart[:_ROWS]
            self._console.print(CompareReport(several.compared, several.sides).table(shown))
            if len(shown) < len(apart):
                self._line(f"and in {len(apart) - len(shown)} more: -v shows all, as --html does")
        self._line()

    def _outcome(self, part: Part) -> None:
        status = part.status()
        style = _STYLES.get(INTERRUPTED if status is None else status, "bold magenta")
        if part.report is not None:
            words = verdict(part.report)
        else:
            words = f"NOT JUDGED: {'; '.join(part.trouble())}"
        self._line(f"{self._label(part)}  {words}", style)

    def _label(self, part: Part) -> str:
        width = max(len(other.job.name) for other in self._parts)
        return f"{self._letters[part]:<2} {part.job.name:<{width}}"

    def _what(self, part: Part) -> str:
        request, contract = part.job.subject.request, part.job.subject.contract
        image = f", image {request.image.reference}" if request.image is not None else ""
        agent = f", agent {request.agent}" if request.agent else ""
        return printable(f"{contract.name} {contract.version}{agent}{image}")

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))
