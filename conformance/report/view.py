"""What a run shows while it lasts: what is judged by what, and how far it is."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.judge.tally import INTERRUPTED, RunReport
from conformance.model.outcome import Result
from conformance.model.wording import probe_lines
from conformance.report.bar import Bar
from conformance.report.changes import baseline_verdict
from conformance.report.lines import wrapped
from conformance.text import printable

__all__ = ["View", "some", "verdict"]


class View:
    """Writes to *stream*: colours and a moving bar on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO, report: RunReport) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._report = report
        self._bar = Bar(self._console, len(report.selected), lines=True)
        self._lines = 0

    @property
    def lines(self) -> int:
        """How many lines have been written, without a moving bar."""
        return self._lines + self._bar.lines

    def _line(self, text: str = "", style: str = "") -> None:
        self._console.print(Text(text, style=style))
        self._lines += 1

    def start(self, workers: int) -> None:
        """Say what is judged by what, and show the bar."""
        report = self._report
        as_of = "as of version " if report.as_of else ""
        contract = f"contract {report.contract.name} {as_of}{report.contract.version}"
        count = some(len(report.selected), "scenario")
        if workers:
            count += f", {some(workers, 'worker')}"
        if report.shard is not None:
            count += f", {report.shard.words}"
        if report.shards:
            count += f", merged from {some(len(report.shards), 'shard')}"
        self._line(f"probe-conformance {__version__}, {contract}: {count}")
        about = [*probe_lines(report.probe)]
        if report.shard is not None and report.shard.note:
            about.append(f"note: {report.shard.note}")
        if report.settings:
            about.append(f"settings: {printable(report.settings)}")
        for text in about:
            # In a log nothing has to fit a width, and a command stays in one piece.
            on_terminal = self._console.is_terminal
            for line in wrapped(text, hanging="  ") if on_terminal else [text]:
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

    def _verdict(self) -> None:
        """Write what the run came to, in one line."""
        styles = {0: "bold green", INTERRUPTED: "bold yellow"}
        self._line(verdict(self._report), styles.get(self._report.exit_status(), "bold red"))


def verdict(report: RunReport) -> str:
    """Return what a run came to, in one line."""
    counts = [
        _count(kind, count)
        for kind, count in report.counts().items()
        if count or kind == "conforms"
    ]
    if advice := len(report.advice()):
        counts.append(f"{advice} with advice")
    if report.left_out:
        counts.append(f"{len(report.left_out)} not run")
    words = {1: "NOT CONFORMANT", INTERRUPTED: "INTERRUPTED"}
    word = words.get(report.exit_status(), "NOT JUDGED")
    if report.exit_status() == 0:
        word = "CONFORMANT" if report.conformant() else "no new failure"
    word = baseline_verdict(report) or word
    if report.shard is not None:
        word += f" ({report.shard.words})"
    return f"{', '.join(counts)} in {report.seconds:.1f} s: {word}"


def some(count: int, noun: str) -> str:
    """Return *count* and *noun*, in the plural if need be."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _count(kind: Result, count: int) -> str:
    if kind == "known-failure":
        return some(count, "known failure")
    return f"{count} {kind.removesuffix('s')}"
