"""What the command reality says, to people and to machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.compare.reality import RealityTally
from conformance.compare.rows import Row, meanings
from conformance.model.contract import Contract
from conformance.report.view import some
from conformance.text import one_line

__all__ = ["RealityReport"]

#: The contracts whose demands stand beside what the CLI says.
_DEMANDS = ("slot", "slot-strict", "preflight")
#: Columns of the table where the output is not a terminal.
_WIDTH = 150
_CHANGED = "CHANGED"


class RealityReport:
    """Renders what released CLIs said of the homes, beside what contracts demand."""

    def __init__(
        self,
        tally: RealityTally,
        contracts: Mapping[str, Contract],
        releases: Mapping[str, str],
    ) -> None:
        """Take what is to be shown, and which release of each CLI was asked."""
        self._tally = tally
        self._contracts = contracts
        self._releases = dict(releases)

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        tally = self._tally
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "clis": self._releases,
            "interrupted": tally.interrupted,
            "seconds": round(tally.seconds, 3),
            "scenarios": [self._row_document(row) for row in tally.sorted()],
        }

    def _row_document(self, row: Row) -> dict[str, Any]:
        tally = self._tally
        [result] = row.results
        apart = tally.apart(row)
        return {
            "id": row.scenario.id,
            "demands": {name: list(demanded) for name, demanded in self._demands(row).items()},
            "on_record": list(row.scenario.expected(tally.record)),
            "code": result.code,
            "result": result.result,
            "disagrees_with_slot_strict": apart,
            "reason": tally.reason(row) if apart else "",
        }

    def _demands(self, row: Row) -> dict[str, tuple[str, ...]]:
        return {name: row.scenario.expected(self._contracts[name]) for name in _DEMANDS}

    def show(self, stream: TextIO) -> None:
        """Write the table, then the disagreements with their reasons."""
        console = Console(file=stream, highlight=False, soft_wrap=True)
        if not console.is_terminal:
            console.width = _WIDTH
        console.print(self._table())
        for line, style in self._lines():
            console.print(Text(line, style=style))

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("scenario", *_DEMANDS, "the CLI said", ""):
            table.add_column(name, no_wrap=True)
        for row in self._tally.sorted():
            demands = [" or ".join(verdicts) or "-" for verdicts in self._demands(row).values()]
            mark = self._mark(row)
            style = "red" if mark == _CHANGED else "yellow"
            table.add_row(row.scenario.id, *demands, self._said(row), Text(mark, style=style))
        return table

    def _said(self, row: Row) -> str:
        """Return what the CLI said, or why it could not be asked."""
        [result] = row.results
        if result.result in ("unsupported", "broke"):
            return one_line(result.reason)
        if result.code is None:
            return next(iter(meanings(result, self._tally.record)))
        # The record has other names for the same two answers.
        answers = {0: "ready", 1: "not ready"}
        said = answers.get(result.code) or next(iter(meanings(result, self._tally.record)))
        return f"{said} ({result.code})"

    def _mark(self, row: Row) -> str:
        [result] = row.results
        if result.result in ("unsupported", "broke"):
            return result.result.upper()
        if self._tally.changed(row):
            return _CHANGED
        return "disagrees" if self._tally.apart(row) else ""

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Yield a text and its style for each line below the table."""
        by_reason: dict[str, list[str]] = {}
        for row in self._tally.all_apart():
            reason = self._tally.reason(row) or "NO REASON IS KNOWN"
            by_reason.setdefault(reason, []).append(row.scenario.id)
        if by_reason:
            yield "Where the CLI and slot-strict disagree:", "bold"
        for reason, ids in by_reason.items():
            yield f"  {reason}", ""
            yield f"    {', '.join(ids)}", "dim"
        for row in self._tally.all_changed():
            yield self._change(row), "bold red"
        yield self._verdict(), "bold red" if self._tally.exit_status() else "bold green"

    def _change(self, row: Row) -> str:
        [result] = row.results
        recorded = " or ".join(row.scenario.expected(self._tally.record))
        findings = "; ".join(finding.message for finding in result.findings)
        return f"CHANGED ITS MIND {row.scenario.id}: on record is {recorded}; {findings}"

    def _verdict(self) -> str:
        tally = self._tally
        releases = ", ".join(f"{cli} {release}" for cli, release in self._releases.items())
        as_recorded = len(tally.rows) - len(tally.all_changed())
        line = (
            f"{releases}: {as_recorded} of {some(tally.total, 'scenario')} as on record,"
            f" {len(tally.all_apart())} disagree with slot-strict; {tally.seconds:.1f} s"
        )
        if tally.interrupted:
            line += ": INTERRUPTED"
        return line
