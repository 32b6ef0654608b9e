"""What compare says: the answers of several probes side by side, those that disagree first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.compare.sides import Row, Side, meanings
from conformance.judge.tally import INTERRUPTED
from conformance.model.outcome import ScenarioResult
from conformance.model.wording import against_control
from conformance.report.view import some
from conformance.text import one_line, printable

__all__ = ["CompareReport"]

#: Columns of the table where nobody has a terminal.
_WIDTH = 130


class CompareReport:
    """The rows of a comparison."""

    def __init__(self, sides: Sequence[Side], total: int) -> None:
        self.sides = list(sides)
        self.total = total
        self.rows: list[Row] = []
        self.seconds = 0.0
        self.interrupted = False
        self._contracts = [side.run.contract for side in sides]

    def apart(self) -> list[Row]:
        """Return the rows in which the sides disagree."""
        return [row for row in self._sorted() if row.judged() and not row.agree(self._contracts)]

    def together(self) -> list[Row]:
        """Return the rows in which they agree."""
        return [row for row in self._sorted() if row.judged() and row.agree(self._contracts)]

    def unjudged(self) -> list[Row]:
        """Return the rows in which a side has no answer that could be held against the others."""
        return [row for row in self._sorted() if not row.judged()]

    def _sorted(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: row.scenario.id)

    def exit_status(self) -> int:
        """Return 130 interrupted, 3 where something could not be judged, 1 where they disagree, else 0."""
        if self.interrupted:
            return INTERRUPTED
        if len(self.rows) < self.total or any(result.result == "broke" for row in self.rows for result in row.results):
            return 3
        return 1 if self.apart() else 0

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "sides": [
                {
                    "name": side.name,
                    "contract": {"name": side.run.contract.name, "version": side.run.contract.version},
                    "probe": side.run.driver.describe(),
                }
                for side in self.sides
            ],
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "disagree": len(self.apart()),
            "agree": len(self.together()),
            "not_judged": len(self.unjudged()) + self.total - len(self.rows),
            "scenarios": [self._document_row(row) for row in (*self.apart(), *self.together(), *self.unjudged())],
        }

    def _document_row(self, row: Row) -> dict[str, Any]:
        return {
            "id": row.scenario.id,
            "agree": row.agree(self._contracts) if row.judged() else None,
            "answers": [
                {
                    "side": side.name,
                    "code": result.code,
                    "signal": result.signal,
                    "meanings": sorted(meanings(result, side.run.contract)) if row.judged() else [],
                    "result": result.result,
                    "reason": result.reason,
                }
                for side, result in zip(self.sides, row.results, strict=True)
            ],
        }

    def show(self, stream: TextIO, *, complete: bool) -> None:
        """Write the table; with *complete*, also the rows in which all agree."""
        console = Console(file=stream, highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = _WIDTH
        console.print(Text(f"probe-conformance {__version__}, compare: {some(self.total, 'scenario')}"))
        for side in self.sides:
            console.print(Text(f"  {side.name}  {side.run.contract.name:<12} {printable(side.words)}"))
        console.print()
        apart = self.apart()
        if apart:
            console.print(self._table(apart))
            for row in apart if len(apart) == 1 else ():
                for line in self._explained(row):
                    console.print(Text(line))
        if complete and self.together():
            console.print(self._table(self.together()))
        for row in self.unjudged():
            reasons = {one_line(result.reason) for result in row.results if result.reason}
            console.print(Text(f"NOT JUDGED {row.scenario.id}: {'; '.join(sorted(reasons))}", style="magenta"))
        console.print(Text(self._verdict(), style="bold red" if self.exit_status() else "bold green"))

    def _table(self, rows: Sequence[Row]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("scenario")
        for side in self.sides:
            table.add_column(side.name, no_wrap=True)
        for row in rows:
            cells = [self._cell(result, side) for result, side in zip(row.results, self.sides, strict=True)]
            table.add_row(row.scenario.id, *cells)
        return table

    def _cell(self, result: ScenarioResult, side: Side) -> Text:
        words = " or ".join(sorted(meanings(result, side.run.contract)))
        code = f" ({result.code})" if result.code is not None and not words.startswith("exit code") else ""
        # What a contract does not call for is marked, so that one sees which side is in the wrong.
        mark = "" if result.result == "conforms" else " !"
        return Text(f"{words}{code}{mark}", style="red" if mark else "")

    def _explained(self, row: Row) -> Iterator[str]:
        """Yield, for the one scenario in which they disagree, what it is about."""
        yield f"  {row.scenario.summary}"
        control = self.sides[0].run.catalogue.scenarios.get(row.scenario.control_for(self._contracts[0]))
        if control is not None:
            yield f"  against {control.id}, it has"
            for line in against_control(row.scenario, control):
                yield f"    {printable(line)}"
        yield ""

    def _verdict(self) -> str:
        words = f"disagree in {len(self.apart())}, agree in {len(self.together())}"
        left = len(self.unjudged()) + self.total - len(self.rows)
        words += f", not judged: {left}" if left else ""
        words += "; ! is not what the side's contract calls for" if self._marked() else ""
        return f"{words}; {self.seconds:.1f} s" + (": INTERRUPTED" if self.interrupted else "")

    def _marked(self) -> bool:
        return any(result.result == "deviates" for row in self.apart() for result in row.results)
