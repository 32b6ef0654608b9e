"""What reality says: what each contract demands of a home, and what the released CLI says of it."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.bundled import fixtures_dir
from conformance.compare.sides import Row, meanings
from conformance.judge.tally import INTERRUPTED
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.report.view import some
from conformance.text import one_line

__all__ = ["RealityReport", "disagree", "reasons"]

#: The contracts whose demands stand beside what the CLI says.
DEMANDS = ("slot", "slot-strict", "preflight")
_STRICT = "slot-strict"
#: Columns of the table where nobody has a terminal.
_WIDTH = 150


def reasons() -> dict[str, str]:
    """Return why the CLI and slot-strict disagree: by the id of a scenario, a glob of ids, or a rule of slot-strict."""
    found: dict[str, str] = tomllib.loads((fixtures_dir() / "reality.toml").read_text(encoding="utf-8"))["reasons"]
    return found


def reason_key(scenario: Scenario, strict: Contract, known: Mapping[str, str]) -> str:
    """Return the key among *known* that tells why *scenario* is one of the disagreements; empty where none does."""
    patterns = [key for key in known if "/" in key and fnmatch.fnmatchcase(scenario.id, key)]
    return next((key for key in (*patterns, *scenario.cites(strict)) if key in known), "")


def disagree(said: frozenset[str], demanded: Sequence[str]) -> bool:
    """Tell whether what the CLI said, ready or not, cannot be what is *demanded*."""
    ready = "ready" in said
    return ("ready" not in demanded) if ready else set(demanded) == {"ready"}


class RealityReport:
    """What released CLIs said of the homes of scenarios."""

    def __init__(self, contracts: Mapping[str, Contract], releases: Mapping[str, str], total: int) -> None:
        self.contracts = contracts
        self.releases = dict(releases)
        self.total = total
        self.rows: list[Row] = []
        self.seconds = 0.0
        self.interrupted = False
        self._status = contracts["cli-status"]
        self._reasons = reasons()

    def _sorted(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: (not self._changed(row), not self._apart(row), row.scenario.id))

    def _changed(self, row: Row) -> bool:
        return row.results[0].result == "deviates"

    def _apart(self, row: Row) -> bool:
        demanded = row.scenario.expected(self.contracts[_STRICT])
        return bool(demanded) and disagree(meanings(row.results[0], self._status), demanded)

    def changed(self) -> list[Row]:
        """Return the rows in which the CLI did not say what the contract cli-status has on record."""
        return [row for row in self._sorted() if self._changed(row)]

    def apart(self) -> list[Row]:
        """Return the rows in which the CLI and slot-strict disagree."""
        return [row for row in self._sorted() if self._apart(row)]

    def unexplained(self) -> list[Row]:
        """Return those of them for which no reason is known, as long as the CLI says what is on record."""
        return [row for row in self.apart() if not self._changed(row) and not self._reason(row)]

    def _reason(self, row: Row) -> str:
        key = reason_key(row.scenario, self.contracts[_STRICT], self._reasons)
        return self._reasons.get(key, "")

    def exit_status(self) -> int:
        """Return 130 interrupted, 3 where something could not be judged, 1 where the CLI changed its mind, else 0."""
        if self.interrupted:
            return INTERRUPTED
        if len(self.rows) < self.total or any(row.results[0].result == "broke" for row in self.rows):
            return 3
        return 1 if self.changed() or self.unexplained() else 0

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "clis": self.releases,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "scenarios": [
                {
                    "id": row.scenario.id,
                    "demands": {name: list(row.scenario.expected(self.contracts[name])) for name in DEMANDS},
                    "on_record": list(row.scenario.expected(self._status)),
                    "code": row.results[0].code,
                    "result": row.results[0].result,
                    "disagrees_with_slot_strict": self._apart(row),
                    "reason": self._reason(row) if self._apart(row) else "",
                }
                for row in self._sorted()
            ],
        }

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
        for name in ("scenario", *DEMANDS, "the CLI said", ""):
            table.add_column(name, no_wrap=True)
        for row in self._sorted():
            demands = [" or ".join(row.scenario.expected(self.contracts[name])) or "-" for name in DEMANDS]
            result = row.results[0]
            code = f" ({result.code})" if result.code is not None else ""
            said = (
                "ready" if result.code == 0 else "not ready" if result.code == 1 else next(iter(meanings(result, self._status)))
            )
            mark = "CHANGED" if self._changed(row) else "disagrees" if self._apart(row) else ""
            if result.result in ("unsupported", "broke"):
                said, code, mark = one_line(result.reason), "", result.result.upper()
            table.add_row(row.scenario.id, *demands, f"{said}{code}", Text(mark, style="red" if mark == "CHANGED" else "yellow"))
        return table

    def _lines(self) -> Iterator[tuple[str, str]]:
        by_reason: dict[str, list[str]] = {}
        for row in self.apart():
            by_reason.setdefault(self._reason(row) or "NO REASON IS KNOWN", []).append(row.scenario.id)
        if by_reason:
            yield "Where the CLI and slot-strict disagree:", "bold"
        for reason, ids in by_reason.items():
            yield f"  {reason}", ""
            yield f"    {', '.join(ids)}", "dim"
        for row in self.changed():
            result = row.results[0]
            told = " or ".join(row.scenario.expected(self._status))
            finding = "; ".join(finding.message for finding in result.findings)
            yield f"CHANGED ITS MIND {row.scenario.id}: on record is {told}; {finding}", "bold red"
        releases = ", ".join(f"{cli} {release}" for cli, release in self.releases.items())
        as_recorded = len(self.rows) - len(self.changed())
        words = f"{releases}: {as_recorded} of {some(self.total, 'scenario')} as on record"
        words += f", {len(self.apart())} disagree with slot-strict; {self.seconds:.1f} s"
        words += ": INTERRUPTED" if self.interrupted else ""
        yield words, "bold red" if self.exit_status() else "bold green"
