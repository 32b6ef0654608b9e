"""The results of a run as they come in, and the exit status they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from conformance import __version__
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.model.contract import Contract
from conformance.model.outcome import Result, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import answer

__all__ = ["INTERRUPTED", "NOT_RUN", "RunReport"]

INTERRUPTED = 130
#: Why there is no result, where none came in.
NOT_RUN = "not run"


class RunReport:
    """The results of one run, as they come in."""

    def __init__(
        self, contract: Contract, selected: Sequence[Scenario], probe: Mapping[str, Any], now: float, known: KnownFailures
    ) -> None:
        self.contract = contract
        self.selected = list(selected)
        self.probe = dict(probe)
        self.now = now
        self.known = known
        self.seconds = 0.0
        self.interrupted = False
        self.trouble: list[str] = []
        """What went wrong with the run as a whole, a line each."""
        self.left_out: set[str] = set()
        """Scenarios that were selected and are not judged."""
        self.diagnosis = ""
        """What all deviations have in common, where that is known."""
        self._results: dict[str, ScenarioResult] = {}

    def add(self, result: ScenarioResult) -> None:
        """Take a result. One that broke gives way to none, and to no other: a lost worker's item may be run again."""
        self._results[result.id] = result

    def broke(self, id_: str, reason: str) -> None:
        """Note that the scenario *id_* could not be judged."""
        self.add(msgspec.structs.replace(self._blank(next(s for s in self.selected if s.id == id_)), reason=reason))

    def results(self) -> list[ScenarioResult]:
        """Return a result for every selected scenario, in order; one that was never reported broke."""
        return [self._results.get(scenario.id) or self._blank(scenario) for scenario in self.selected]

    def leave_out(self, reason: str) -> int:
        """Take out of the selection what was not run for this *reason*; return how much that was."""
        gone = self.left_out = {result.id for result in self._results.values() if result.reason == reason}
        self.selected = [scenario for scenario in self.selected if scenario.id not in gone]
        self._results = {id_: result for id_, result in self._results.items() if id_ not in gone}
        return len(gone)

    def reported(self) -> list[ScenarioResult]:
        """Return the results that have come in."""
        return list(self._results.values())

    def done(self) -> int:
        """Return how many results have come in."""
        return len(self._results)

    def _blank(self, scenario: Scenario) -> ScenarioResult:
        return ScenarioResult(
            id=scenario.id,
            agent=scenario.agent,
            expected=scenario.expected(self.contract),
            control=scenario.control_for(self.contract),
            reason=f"{NOT_RUN}: interrupted" if self.interrupted else NOT_RUN,
        )

    def counts(self) -> dict[Result, int]:
        """Return how many scenarios have each result."""
        found = Counter(result.result for result in self.results())
        kinds: tuple[Result, ...] = ("conforms", "deviates", "unsupported", "broke", "known-failure")
        return {kind: found[kind] for kind in kinds}

    def stale(self) -> list[str]:
        """Return the known failures that conform by now."""
        return [result.id for result in self.results() if result.result == "conforms" and result.id in self.known.entries]

    def conformant(self) -> bool:
        """Return whether every selected scenario conforms or is unsupported, and at least one conforms."""
        counts = self.counts()
        against = counts["deviates"] or counts["broke"] or counts["known-failure"] or self.left_out or self.trouble
        return counts["conforms"] > 0 and not against

    def exit_status(self) -> int:
        """Return 130 interrupted, 3 something could not be judged, 1 something deviates or is known and conforms, else 0."""
        counts = self.counts()
        if self.interrupted:
            return INTERRUPTED
        if counts["broke"] or self.trouble or not counts["conforms"] + counts["deviates"] + counts["known-failure"]:
            return CannotJudge.exit_status
        return 1 if counts["deviates"] or self.stale() or self.left_out else 0

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types."""
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "contract": {"name": self.contract.name, "version": self.contract.version},
            "probe": self.probe,
            "started": datetime.fromtimestamp(self.now, UTC).isoformat(timespec="milliseconds"),
            "now": self.now,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "exit_status": self.exit_status(),
            "conformant": self.conformant(),
            "counts": self.counts(),
            "stale_known_failures": self.stale(),
            "trouble": self.trouble,
            "diagnosis": self.diagnosis,
            "scenarios": [self._row(result) for result in self.results()],
        }

    def _row(self, result: ScenarioResult) -> dict[str, Any]:
        row: dict[str, Any] = msgspec.to_builtins(result)
        row["expected_codes"] = sorted({self.contract.code(verdict) for verdict in result.expected})
        return row

    def control_words(self, result: ScenarioResult, scenarios: Mapping[str, Scenario]) -> str:
        """Return what the control of *result* expects."""
        verdicts: Iterable[str] = scenarios[result.control].expected(self.contract) if result.control in scenarios else ()
        return " or ".join(answer(self.contract, verdict) for verdict in verdicts) or "nothing here"
