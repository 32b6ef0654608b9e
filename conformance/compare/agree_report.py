"""What the command agree says, to people and to machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.compare.agree import AgreeRow, AgreeTally
from conformance.compare.rows import meanings
from conformance.compare.sides import Side
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.wording import expectation
from conformance.report.view import some
from conformance.text import one_line, printable

__all__ = ["AgreeReport"]

#: So many disagreements are shown with all there is to say; of more, each has a line.
_FEW = 8
_SIDES = {
    "login": "it sides with the login program",
    "probe": "it sides with the probe",
    "either": "it leaves that open, so either may change",
}


class AgreeReport:
    """Renders the tally; the homes come first in which the two disagree."""

    def __init__(self, tally: AgreeTally, login: Side, probe: Side) -> None:
        self._tally = tally
        self._login = login
        self._probe = probe

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types (schema version 1)."""
        tally = self._tally
        rows = (*tally.apart(), *tally.together(), *tally.unjudged())
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "login": self._login.document(),
            "probe": self._probe.document(),
            "interrupted": tally.interrupted,
            "seconds": round(tally.seconds, 3),
            "disagree": len(tally.apart()),
            "agree": len(tally.together()),
            "not_judged": tally.not_judged(),
            "scenarios": [self._row_document(row) for row in rows],
        }

    def _row_document(self, row: AgreeRow) -> dict[str, Any]:
        tally, judged = self._tally, row.judged()
        apart = judged and not tally.agree(row)
        return {
            "id": row.scenario.id,
            "agree": tally.agree(row) if judged else None,
            "login": {**_answer_document(row.login), "login": judged and tally.logged_in(row)},
            "probe": {**_answer_document(row.probe), "ready": judged and tally.ready(row)},
            "expected": list(row.scenario.expected(tally.probe)),
            "sides_with": tally.right(row) if apart else None,
        }

    def show(self, stream: TextIO, *, complete: bool) -> None:
        """Write where the two disagree; with *complete*, also where they agree."""
        tally = self._tally
        console = Console(file=stream, highlight=False, soft_wrap=True)
        console.print(f"probe-conformance {__version__}, agree: {some(tally.total, 'scenario')}")
        for name, side in (("login", self._login), ("probe", self._probe)):
            words = f"  {name}  {side.run.contract.name:<12} {printable(side.words)}"
            console.print(Text(words))
        console.print()
        apart = tally.apart()
        for row in apart if len(apart) <= _FEW else ():
            console.print(Text(f"DISAGREE {row.scenario.id}", style="bold red"))
            for heading, text in self._details(row):
                console.print(Text(f"  {heading:<16} {printable(text)}"))
            console.print()
        for row in apart if len(apart) > _FEW else ():
            sides = f"contract {tally.probe.name}: {_SIDES[tally.right(row)]}"
            line = f"DISAGREE {row.scenario.id}: {self._both(row)}; {sides}"
            console.print(Text(line, style="red"))
        for row in tally.together() if complete else ():
            console.print(Text(f"agree {row.scenario.id}: {self._both(row)}"))
        for row in tally.unjudged():
            reasons = {one_line(one.reason) for one in (row.login, row.probe) if one.reason}
            line = f"NOT JUDGED {row.scenario.id}: {'; '.join(sorted(reasons))}"
            console.print(Text(line, style="magenta"))
        style = "bold red" if tally.exit_status() else "bold green"
        console.print(Text(self._verdict(), style=style))

    def _details(self, row: AgreeRow) -> Iterator[tuple[str, str]]:
        tally = self._tally
        yield "about", row.scenario.summary
        said = "a login" if tally.logged_in(row) else "no login"
        yield "login", f"{said}: {_words(row.login, tally.login)}"
        said = "ready" if tally.ready(row) else "not ready"
        yield "probe", f"{said}: {_words(row.probe, tally.probe)}"
        calls = expectation(tally.probe, row.scenario.expected(tally.probe))
        yield f"contract {tally.probe.name}", f"calls for {calls}: {_SIDES[tally.right(row)]}"

    def _both(self, row: AgreeRow) -> str:
        login, probe = (
            _words(row.login, self._tally.login),
            _words(row.probe, self._tally.probe),
        )
        return f"{login}, {probe}"

    def _verdict(self) -> str:
        tally = self._tally
        line = f"disagree in {len(tally.apart())}, agree in {len(tally.together())}"
        if left := tally.not_judged():
            line += f", not judged: {left}"
        line += f"; {tally.seconds:.1f} s"
        if tally.interrupted:
            line += ": INTERRUPTED"
        return line


def _words(result: ScenarioResult, contract: Contract) -> str:
    words = " or ".join(sorted(meanings(result, contract)))
    bare = result.code is None or words.startswith("exit code")
    return words if bare else f"{words} ({result.code})"


def _answer_document(result: ScenarioResult) -> dict[str, Any]:
    return {
        "code": result.code,
        "signal": result.signal,
        "result": result.result,
        "reason": result.reason,
    }
