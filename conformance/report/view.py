"""What a run shows while it lasts: what is judged by what, and how far it is."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.judge.tally import RunReport
from conformance.model.wording import probe_lines
from conformance.report.bar import Bar

__all__ = ["View", "some"]


class View:
    """Writes to *stream*: colours and a moving bar on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO, report: RunReport) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._bar = Bar(self._console, len(report.selected), lines=True)

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def start(self, workers: int) -> None:
        """Say what is judged by what, and show the bar."""
        report = self._report
        contract = f"contract {report.contract.name} {report.contract.version}"
        count = some(len(report.selected), "scenario")
        if workers:
            count += f", {some(workers, 'worker')}"
        self._line(f"probe-conformance {__version__}, {contract}: {count}")
        for line in probe_lines(report.probe):
            self._line(line)
        self._line()
        # Workers import pytest and collect the catalogue before the first of them can answer.
        self._bar.start(f"starting {some(workers, 'worker')}" if workers else "")

    def step(self) -> None:
        """Show that one more result has come in."""
        bad = self._report.counts().get("deviates", 0)
        self._bar.step(self._report.done(), f"{bad} deviate" if bad else "")

    def interrupt(self) -> None:
        """Say that the interrupt was seen, because ending everything can take seconds."""
        self._bar.stop()
        self._line("interrupted: ending what runs", "bold yellow")
        self._line()

    def finish(self) -> None:
        """End the bar; subclasses add the result of the run."""
        self._bar.stop()


def some(count: int, noun: str) -> str:
    """Return *count* and *noun*, in the plural if need be."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
