"""What a run shows while it lasts: what is judged by what, and how far it has come."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from conformance import __version__
from conformance.explain import probe_lines
from conformance.report.document import RunReport

__all__ = ["View", "some"]


class View:
    """Writes to *stream*: with colours and a moving bar where that is a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO, report: RunReport) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._progress: Progress | None = None
        self._next_tenth = 1

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
        """End the bar; what a run has come to is for others to add."""
        if self._progress is not None:
            self._progress.stop()
        elif len(self._report.selected) >= 10:
            self._line()


def some(count: int, noun: str) -> str:
    """Return so many of a thing, in words."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
