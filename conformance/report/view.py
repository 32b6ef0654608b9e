"""What a run shows while it lasts: what is judged by what, and how far it has come."""

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
    """Writes to *stream*: with colours and a moving bar where that is a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO, report: RunReport) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._bar = Bar(self._console, len(report.selected), lines=True)

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def start(self, workers: int) -> None:
        """Say what is judged by what, and show the bar."""
        report = self._report
        words = some(len(report.selected), "scenario") + (f", {some(workers, 'worker')}" if workers else "")
        self._line(f"probe-conformance {__version__}, contract {report.contract.name} {report.contract.version}: {words}")
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
        """Say that the interrupt was seen: until everything has ended, seconds can go by."""
        self._bar.stop()
        self._line("interrupted: ending what runs", "bold yellow")
        self._line()

    def finish(self) -> None:
        """End the bar; what a run has come to is for others to add."""
        self._bar.stop()


def some(count: int, noun: str) -> str:
    """Return so many of a thing, in words."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
