"""What lockstep says: the table of verdicts, codes and actions, what is wrong in it, and who has moved."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from msgspec import to_builtins
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.errors import CannotJudge
from conformance.judge.tally import INTERRUPTED, RunReport
from conformance.lockstep.faults import Fault, contract_faults, manager_faults, ranges, seen_code, treatment_faults
from conformance.lockstep.managers.answers import CODES, Answers, code_words
from conformance.lockstep.witness import change, moves, observed
from conformance.model.contract import Contract, Verdict
from conformance.model.outcome import ScenarioResult
from conformance.text import join, printable

__all__ = ["LockstepReport"]

#: Columns of the table where nobody has a terminal.
_WIDTH = 130


class LockstepReport:
    """Contract, Manager and, where it came to that, what the probe was seen to answer."""

    def __init__(self, contract: Contract, manager: dict[str, Any], answers: Answers, run: RunReport | None) -> None:
        self.contract = contract
        self.manager = manager
        self.answers = answers
        self._run = run
        results = run.results() if run else []
        self._seen = observed(results)
        self._codes = Counter(code for result in results if (code := seen_code(result)) is not None)
        self.faults = [
            *contract_faults(contract),
            *manager_faults(contract, answers),
            *treatment_faults(contract, results, answers),
        ]
        self.moves = list(moves(contract, self._seen, answers))
        self.change = change(contract, self.moves)
        self._elsewhere = sum(1 for result in results if result.result == "deviates" and self._fits(result))

    def _fits(self, result: ScenarioResult) -> bool:
        return bool({self.contract.code(name) for name in result.expected} & {result.code})

    @property
    def lost(self) -> str:
        """Why the Manager could not be asked to the end, or for anything; empty where it could."""
        return self.answers.lost()

    def exit_status(self) -> int:
        """Return 3 where something could not be judged, 130 interrupted, 1 where there is a fault, else 0."""
        status = self._run.exit_status() if self._run else 0
        if self.lost or status not in (0, 1):
            return CannotJudge.exit_status if self.lost else status
        return 1 if self.faults or self.moves else 0

    def unproduced(self) -> list[int]:
        """Return the codes of the contract that no scenario was seen to produce."""
        return sorted({verdict.code for verdict in self.contract.verdicts} - self._codes.keys())

    def unreached(self) -> list[str]:
        """Return the actions, of the contract and of the Manager, that no scenario reaches."""
        reached = {str(action) for code in self._codes if (action := self.answers.action(code))}
        asked = [str(verdict.asks) for verdict in self.contract.verdicts]
        done = [str(answer.action) for answer in self.answers.by_code.values() if answer.action]
        return [action for action in dict.fromkeys((*asked, *done)) if action not in reached]

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        run = self._run
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "contract": {"name": self.contract.name, "version": self.contract.version},
            "manager": self.manager,
            "probe": run.probe if run else None,
            "exit_status": self.exit_status(),
            "in_lockstep": self.exit_status() == 0,
            "not_judged": self.lost or ("; ".join(run.trouble) if run else ""),
            "counts": run.counts() if run else {},
            "deviate_otherwise": self._elsewhere,
            "table": [self._row(verdict) for verdict in self.contract.verdicts],
            "actions": {str(code): str(a.action) if a.action else None for code, a in self.answers.by_code.items()},
            "faults": [to_builtins(fault) for fault in self.faults],
            "moves": [to_builtins(move) for move in self.moves],
            "contract_change": self.change,
            "codes_not_produced": self.unproduced(),
            "actions_not_reached": self.unreached(),
            "words_not_used": list(self.answers.unsaid),
            "scenarios": [self._scenario(result) for result in (run.results() if run else [])],
        }

    def _row(self, verdict: Verdict) -> dict[str, Any]:
        answer = self.answers.by_code.get(verdict.code)
        return {
            "verdict": verdict.name,
            "code": verdict.code,
            "meaning": verdict.meaning,
            "asked": str(verdict.asks),
            "observed": {str(code): times for code, times in self._seen.get(verdict.name, Counter()).most_common()},
            "action": str(answer.action) if answer and answer.action else None,
            "faults": [fault.kind for fault in self._faults_of(verdict)],
        }

    def _scenario(self, result: ScenarioResult) -> dict[str, Any]:
        code = seen_code(result)
        action = self.answers.action(code) if code is not None else None
        return {
            "id": result.id,
            "result": result.result,
            "expected": list(result.expected),
            "code": code,
            "action": str(action) if action else None,
            "asked": sorted({str(self.contract.verdict(name).asks) for name in result.expected}),
        }

    def _faults_of(self, verdict: Verdict) -> list[Fault]:
        """Return what is wrong with the code of *verdict*, or where a scenario calls for it."""
        expected = {r.id for r in (self._run.results() if self._run else []) if r.expected == (verdict.name,)}
        return [
            fault
            for fault in self.faults
            if (not fault.scenarios and verdict.code in fault.codes) or expected.intersection(fault.scenarios)
        ]

    def show(self, stream: TextIO) -> None:
        """Write the table, and all that is wrong, for people."""
        console = Console(file=stream, highlight=False, soft_wrap=True)
        manager = self.manager
        console.print(Text(f"manager: {manager['kind']} {manager['file'] or join(manager['command'])}"))
        if not console.is_terminal:
            console.width = _WIDTH
        console.print(self._table(), soft_wrap=False)
        for text, style in self._lines():
            console.print(Text(printable(text) if text else "", style=style))

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("", "verdict", "code", "meaning", "the contract asks", "the probe answered", "the Manager does"):
            table.add_column(heading, max_width=34 if heading == "meaning" else None)
        for verdict in self.contract.verdicts:
            faults = self._faults_of(verdict)
            seen = self._seen.get(verdict.name, Counter())
            answers = ", ".join(f"{code_words(code)} ({times}×)" for code, times in seen.most_common()) or "–"
            self._add(table, verdict.name, str(verdict.code), verdict.meaning, str(verdict.asks), answers, faults, verdict.code)
        known = {verdict.code for verdict in self.contract.verdicts}
        asked = " or ".join(self.contract.otherwise)
        for name, meaning, codes in (
            ("crash", "the probe fell over", {1} - known),
            ("any other", "a passing fault of the probe", {*CODES} - known - {1}),
        ):
            if codes:
                faults = [fault for fault in self.faults if codes & {*fault.codes} and not fault.scenarios]
                seen = Counter({code: self._codes[code] for code in sorted(codes) if self._codes[code]})
                answers = ", ".join(f"{code_words(code)} ({times}×)" for code, times in seen.most_common(5)) or "–"
                self._add(table, name, "1" if codes == {1} else "…", meaning, asked, answers, faults, *sorted(codes))
        return table

    def _add(
        self, table: Table, name: str, code: str, meaning: str, asked: str, answers: str, faults: list[Fault], *codes: int
    ) -> None:
        """Add a row; what the Manager does with *codes* is said once for all that are alike."""
        done: dict[str, list[int]] = {}
        for number in codes:
            if number in self.answers.by_code:
                done.setdefault(self.answers.by_code[number].general(number).words, []).append(number)
        usual = max(done, key=lambda words: len(done[words]), default="(was not asked)")
        others = [f"{words} on {ranges(listed)}" for words, listed in done.items() if words != usual]
        does = "; ".join([usual, *others[:5], *(["…"] if len(others) > 5 else [])])
        cells = ("✗" if faults else "", name, code, meaning, asked, answers, does)
        table.add_row(*(Text(printable(cell)) for cell in cells), style="bold red" if faults else "")

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Yield a text and its style for each line below the table."""
        for move in self.moves:
            yield f"MOVED {move.verdict}: {move.message}", "bold"
        if self.change:
            yield "the change of the contract that makes all three agree:", ""
            yield from ((f"    {line}", "") for line in self.change.splitlines())
        if self.moves:
            yield "", ""
        for fault in self.faults:
            yield f"FAULT {fault.kind:<23} {fault.message}", "red"
        if self.faults:
            yield "", ""
        yield from ((f"note: {note}", "") for note in self._notes())
        yield self._verdict()

    def _notes(self) -> Iterator[str]:
        if self._run is None:
            yield "no probe was run"
            return
        counts = self._run.counts()
        if codes := self.unproduced():
            yield f"codes that no scenario produced: {', '.join(map(str, codes))}"
        if actions := self.unreached():
            yield f"actions that no scenario reaches: {', '.join(actions)}"
        if self.answers.unsaid:
            yield f"words of --actions that the Manager did not use: {', '.join(self.answers.unsaid)}"
        if self._elsewhere:
            yield f"deviations that no exit code shows: {self._elsewhere}; see probe-conformance run"
        for kind in ("broke", "unsupported"):
            if counts[kind]:
                reasons = Counter(result.reason for result in self._run.results() if result.result == kind)
                yield f"{kind}: {counts[kind]} scenarios, such as: {reasons.most_common(1)[0][0]}"
        yield from filter(None, (self._run.diagnosis, *self._run.trouble))

    def _verdict(self) -> tuple[str, str]:
        status = self.exit_status()
        count = f"{len(self.faults)} fault{'' if len(self.faults) == 1 else 's'}"
        if status == 0:
            return "IN LOCKSTEP", "bold green"
        if status == INTERRUPTED:
            return "INTERRUPTED", "bold yellow"
        if status == 1:
            return f"NOT IN LOCKSTEP: {count}", "bold red"
        return f"NOT JUDGED: {self.lost}" if self.lost else "NOT JUDGED", "bold magenta"

    def text(self) -> str:
        """Return the document as JSON."""
        return json.dumps(self.document(), indent=2) + "\n"
