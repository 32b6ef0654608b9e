"""What the command lockstep says, to people and to machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from msgspec import to_builtins
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.judge.tally import INTERRUPTED
from conformance.lockstep.agreement import Agreement, Row
from conformance.lockstep.faults import ranges, seen_code
from conformance.lockstep.managers.answers import code_words
from conformance.model.outcome import ScenarioResult
from conformance.report.view import some
from conformance.text import join, printable

__all__ = ["LockstepReport"]

#: Columns of the table where the output is not a terminal.
_WIDTH = 130
#: Columns of the meaning of a verdict, which is a sentence.
_MEANING_WIDTH = 34
_HEADINGS = (
    "",
    "verdict",
    "code",
    "meaning",
    "the contract asks",
    "the probe answered",
    "the Manager does",
)
#: How many different answers or actions a row shows.
_SHOWN = 5


class LockstepReport:
    """Renders an agreement, or what is in its way."""

    def __init__(self, agreement: Agreement, manager: dict[str, Any]) -> None:
        """Take what is to be shown, and the description of the *manager*."""
        self._agreement = agreement
        self._manager = manager

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        agreement = self._agreement
        contract = agreement.contract
        actions = {str(code): self._action(code) for code in agreement.answers.by_code}
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "contract": {"name": contract.name, "version": contract.version},
            "manager": self._manager,
            "probe": agreement.run.probe if agreement.run else None,
            "shard": to_builtins(agreement.run.shard) if agreement.run else None,
            "exit_status": agreement.exit_status(),
            "in_lockstep": agreement.exit_status() == 0,
            "not_judged": agreement.not_judged,
            "counts": agreement.run.counts() if agreement.run else {},
            "deviate_otherwise": agreement.deviations_elsewhere(),
            "table": [self._row_document(row) for row in agreement.verdict_rows()],
            "actions": actions,
            "faults": [to_builtins(fault) for fault in agreement.faults],
            "moves": [to_builtins(move) for move in agreement.moves],
            "contract_change": agreement.change,
            "codes_not_produced": agreement.codes_not_produced(),
            "actions_not_reached": agreement.actions_not_reached(),
            "words_not_used": list(agreement.answers.unsaid),
            "scenarios": [self._scenario_document(result) for result in agreement.results],
        }

    def _row_document(self, row: Row) -> dict[str, Any]:
        code, *_ = row.codes
        return {
            "verdict": row.name,
            "code": code,
            "codes": list(row.codes),
            "meaning": row.meaning,
            "asked": row.asked,
            "observed": {str(seen): times for seen, times in row.observed.most_common()},
            "action": self._action(code),
            "actions": {str(one): self._action(one) for one in row.codes},
            "faults": [fault.kind for fault in row.faults],
        }

    def _scenario_document(self, result: ScenarioResult) -> dict[str, Any]:
        contract = self._agreement.contract
        code = seen_code(result)
        return {
            "id": result.id,
            "result": result.result,
            "expected": list(result.expected),
            "code": code,
            "action": None if code is None else self._action(code),
            "asked": sorted({str(contract.verdict(name).asks) for name in result.expected}),
        }

    def _action(self, code: int) -> str | None:
        action = self._agreement.answers.action(code)
        return None if action is None else str(action)

    def show(self, stream: TextIO) -> None:
        """Write the table, and all that is wrong, for people."""
        console = Console(file=stream, highlight=False, soft_wrap=True)
        manager = self._manager
        name = manager["file"] or join(manager["command"])
        console.print(Text(f"manager: {manager['kind']} {name}"))
        if not console.is_terminal:
            console.width = _WIDTH
        console.print(self._table(), soft_wrap=False)
        for text, style in self._lines():
            console.print(Text(printable(text), style=style))

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in _HEADINGS:
            table.add_column(heading, max_width=_MEANING_WIDTH if heading == "meaning" else None)
        for row in (*self._agreement.verdict_rows(), *self._agreement.other_rows()):
            cells = (
                "✗" if row.faults else "",
                row.name,
                ranges(row.codes) if len(row.codes) <= _SHOWN else "…",
                row.meaning,
                row.asked,
                self._answered(row),
                self._done(row),
            )
            style = "bold red" if row.faults else ""
            table.add_row(*(Text(printable(cell)) for cell in cells), style=style)
        return table

    def _answered(self, row: Row) -> str:
        """Return what the probe answered, the most frequent first."""
        # The answers to one verdict are what it is all about: they are never shortened.
        shown = None if len(row.codes) == 1 else _SHOWN
        answers = row.observed.most_common(shown)
        return ", ".join(f"{code_words(code)} ({times}×)" for code, times in answers) or "–"

    def _done(self, row: Row) -> str:
        """Return what the Manager does: with most codes of the row, then with the others."""
        treatment = self._agreement.treatment(row.codes)
        if not treatment:
            return "(was not asked)"
        usual = max(treatment, key=lambda words: len(treatment[words]))
        del treatment[usual]
        others = [f"{words} on {ranges(codes)}" for words, codes in treatment.items()]
        if len(others) > _SHOWN:
            others = [*others[:_SHOWN], "…"]
        return "; ".join([usual, *others])

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Yield a text and its style for each line below the table."""
        agreement = self._agreement
        for move in agreement.moves:
            yield f"MOVED {move.verdict}: {move.message}", "bold"
        if agreement.change:
            yield "the change of the contract that makes all three agree:", ""
            for line in agreement.change.splitlines():
                yield f"    {line}", ""
        if agreement.moves:
            yield "", ""
        for fault in agreement.faults:
            yield f"FAULT {fault.kind:<23} {fault.message}", "red"
        if agreement.faults:
            yield "", ""
        for note in self._notes():
            yield f"note: {note}", ""
        yield self._verdict()

    def _notes(self) -> Iterator[str]:
        agreement = self._agreement
        run = agreement.run
        if run is None:
            yield "no probe was run"
            return
        if run.shard is not None:
            yield f"this is {run.shard.words}: nothing is said of the others"
        if codes := agreement.codes_not_produced():
            yield f"codes that no scenario produced: {', '.join(map(str, codes))}"
        if actions := agreement.actions_not_reached():
            yield f"actions that no scenario reaches: {', '.join(actions)}"
        if words := agreement.answers.unsaid:
            yield f"words of --actions that the Manager did not use: {', '.join(words)}"
        if elsewhere := agreement.deviations_elsewhere():
            yield f"deviations that no exit code shows: {elsewhere}; see probe-conformance run"
        yield from self._unjudged()
        if run.diagnosis:
            yield run.diagnosis
        yield from run.trouble

    def _unjudged(self) -> Iterator[str]:
        """Yield how many scenarios have no answer, with the most frequent reason."""
        for kind in ("broke", "unsupported"):
            reasons = Counter(r.reason for r in self._agreement.results if r.result == kind)
            if reasons:
                [(reason, _)] = reasons.most_common(1)
                yield f"{kind}: {reasons.total()} scenarios, such as: {reason}"

    def _verdict(self) -> tuple[str, str]:
        status = self._agreement.exit_status()
        if status == 0:
            return "IN LOCKSTEP", "bold green"
        if status == INTERRUPTED:
            return "INTERRUPTED", "bold yellow"
        if status == 1:
            return f"NOT IN LOCKSTEP: {some(len(self._agreement.faults), 'fault')}", "bold red"
        lost = self._agreement.lost
        return f"NOT JUDGED: {lost}" if lost else "NOT JUDGED", "bold magenta"
