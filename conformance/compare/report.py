"""What the command compare says, to people and to machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.compare.rows import Row, meanings
from conformance.compare.sides import Side
from conformance.compare.tally import CompareTally
from conformance.model.outcome import LostEngine, ScenarioResult, lost_engines
from conformance.model.wording import against_control, lost_note
from conformance.report.view import some
from conformance.text import one_line, printable

__all__ = ["CompareReport"]

#: Columns of the table where the output is not a terminal.
_WIDTH = 130


class CompareReport:
    """Renders the tally of a comparison; those scenarios come first in which probes disagree."""

    def __init__(self, tally: CompareTally, sides: Sequence[Side]) -> None:
        self._tally = tally
        self._sides = list(sides)

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        tally = self._tally
        rows = (*tally.apart(), *tally.together(), *tally.unjudged())
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "sides": [{"name": side.name, **side.document()} for side in self._sides],
            "shard": msgspec.to_builtins(tally.shard),
            "interrupted": tally.interrupted,
            "seconds": round(tally.seconds, 3),
            "disagree": len(tally.apart()),
            "agree": len(tally.together()),
            "not_judged": tally.not_judged(),
            "lost_engines": msgspec.to_builtins(self._lost()),
            "scenarios": [self._row_document(row) for row in rows],
        }

    def _row_document(self, row: Row) -> dict[str, Any]:
        judged = row.judged()
        answers = []
        for side, result in zip(self._sides, row.results, strict=True):
            answer = {
                "side": side.name,
                "code": result.code,
                "signal": result.signal,
                "meanings": sorted(meanings(result, side.run.contract)) if judged else [],
                "result": result.result,
                "reason": result.reason,
            }
            answers.append(answer)
        agree = row.agree(self._tally.contracts) if judged else None
        return {"id": row.scenario.id, "agree": agree, "answers": answers}

    def show(self, stream: TextIO, *, complete: bool) -> None:
        """Write the table; with *complete*, also the rows in which all agree."""
        tally = self._tally
        console = Console(file=stream, highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = _WIDTH
        for line in self._heading():
            console.print(Text(line))
        apart = tally.apart()
        if apart:
            console.print(self.table(apart))
        if len(apart) == 1:
            for line in self._explained(apart[0]):
                console.print(Text(line))
        if complete and tally.together():
            console.print(self.table(tally.together()))
        for row in tally.unjudged():
            reasons = {one_line(result.reason) for result in row.results if result.reason}
            line = f"NOT JUDGED {row.scenario.id}: {'; '.join(sorted(reasons))}"
            console.print(Text(line, style="magenta"))
        for lost in self._lost():
            console.print(Text(f"NOTE {lost_note(lost)}", style="bold yellow"))
        style = "bold red" if tally.exit_status() else "bold green"
        console.print(Text(self._verdict(), style=style))

    def _heading(self) -> Iterator[str]:
        """Yield what is compared, and which letter stands for which probe."""
        scenarios = some(self._tally.total, "scenario")
        part = f", {self._tally.shard.words}" if self._tally.shard else ""
        yield f"probe-conformance {__version__}, compare: {scenarios}{part}"
        for side in self._sides:
            yield f"  {side.name}  {side.run.contract.name:<12} {printable(side.words)}"
        if self._tally.shard is not None and self._tally.shard.note:
            yield f"note: {self._tally.shard.note}"
        yield ""

    def table(self, rows: Sequence[Row]) -> Table:
        """Return *rows* as a table, with a column for each side."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("scenario")
        for side in self._sides:
            table.add_column(side.name, no_wrap=True)
        for row in rows:
            answers = zip(row.results, self._sides, strict=True)
            table.add_row(row.scenario.id, *(self._cell(result, side) for result, side in answers))
        return table

    def _cell(self, result: ScenarioResult, side: Side) -> Text:
        words = " or ".join(sorted(meanings(result, side.run.contract)))
        if result.code is not None and not words.startswith(("exit code", "step ")):
            words += f" ({result.code})"
        # The mark shows which side is wrong by its own contract.
        if result.result != "conforms":
            return Text(f"{words} !", style="red")
        return Text(words)

    def _explained(self, row: Row) -> Iterator[str]:
        """Yield what the only scenario in which they disagree is about."""
        first = self._sides[0].run
        yield f"  {row.scenario.summary}"
        control = first.catalogue.scenarios.get(row.scenario.control_for(first.contract))
        if control is not None:
            yield f"  against {control.id}, it has"
            for line in against_control(row.scenario, control):
                yield f"    {printable(line)}"
        yield ""

    def _verdict(self) -> str:
        tally = self._tally
        line = f"disagree in {len(tally.apart())}, agree in {len(tally.together())}"
        if left := tally.not_judged():
            line += f", not judged: {left}"
        if self._has_marks():
            line += "; ! is not what the side's contract calls for"
        line += f"; {tally.seconds:.1f} s"
        if tally.interrupted:
            line += ": INTERRUPTED"
        return line

    def _lost(self) -> list[LostEngine]:
        return lost_engines(result for row in self._tally.rows for result in row.results)

    def _has_marks(self) -> bool:
        results = [result for row in self._tally.apart() for result in row.results]
        return any(result.result == "deviates" for result in results)
