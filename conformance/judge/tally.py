"""The results of a run as they come in, and the exit status they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from conformance import __version__
from conformance.catalogue.digest import digest
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.model.cause import Cause
from conformance.model.change import Changes, changes_document
from conformance.model.contract import Contract
from conformance.model.outcome import LostEngine, Result, ScenarioResult, lost_engines
from conformance.model.scenario import Scenario
from conformance.model.shard import MergedShard, Shard
from conformance.model.wording import expectation

__all__ = ["INTERRUPTED", "NOT_RUN", "RunReport"]

INTERRUPTED = 130
#: The reason of a result that never came in.
NOT_RUN = "not run"


class RunReport:
    """The results of one run, as they come in."""

    def __init__(
        self,
        contract: Contract,
        selected: Sequence[Scenario],
        probe: Mapping[str, Any],
        now: float,
        known: KnownFailures,
        *,
        strict: bool = False,
        fail_on_unsupported: bool = False,
    ) -> None:
        """Expect a result for each of *selected*; with *strict*, advice counts.

        With *fail_on_unsupported*, a scenario that cannot be had here fails the run.
        """
        self.strict = strict
        self.fail_on_unsupported = fail_on_unsupported
        self.contract = contract
        self.selected = list(selected)
        self.probe = dict(probe)
        self.now = now
        self.known = known
        self.seconds = 0.0
        self.interrupted = False
        self.trouble: list[str] = []
        """What went wrong with the run as a whole, one line each."""
        self.left_out: set[str] = set()
        """Scenarios that were selected but not judged."""
        self.hints: list[str] = []
        """What many deviations have in common, if that is known, a line or two each."""
        self.causes: list[Cause] = []
        """What is to be mended, first what explains most."""
        self.repeat: Callable[[str], Sequence[str]] = lambda _: ()
        """Returns the command that repeats the scenario with an id."""
        self.as_of = ""
        """The version of the contract that was asked for; empty for the present one."""
        self.since: Callable[[], Mapping[str, str]] = dict
        """Returns the version of the contract that scenarios came with, by id, where known."""
        self.against: Callable[[dict[str, Any]], Changes] | None = None
        """Compares the document of this report with a baseline, where there is one."""
        self.changes: Changes | None = None
        """What changed against the baseline, once the run has ended; None where there is none."""
        self.shard: Shard | None = None
        """Which part of a run this is; None where it is the whole."""
        self.shards: tuple[MergedShard, ...] = ()
        """The shards that it was merged from; none where it is that of one run."""
        self.asked_elsewhere: Mapping[str, int] = {}
        """What stubs of CLIs were asked, in results that do not say it themselves."""
        self.settings = ""
        """The settings file, and what was taken from it; empty where there is none."""
        self._results: dict[str, ScenarioResult] = {}

    def add(self, result: ScenarioResult) -> None:
        """Record a result; a rerun, such as after a lost worker, replaces it."""
        self._results[result.id] = result

    def broke(self, id_: str, reason: str) -> None:
        """Note that the scenario *id_* could not be judged."""
        scenario = next(scenario for scenario in self.selected if scenario.id == id_)
        self.add(msgspec.structs.replace(self._blank(scenario), reason=reason))

    def results(self) -> list[ScenarioResult]:
        """Return a result for every selected scenario, in order; one that never came in broke."""
        found = self._results
        return [found.get(scenario.id) or self._blank(scenario) for scenario in self.selected]

    def leave_out(self, reason: str) -> int:
        """Remove what did not run for this *reason* from the selection; return how many."""
        results = self._results
        gone = {id_ for id_, result in results.items() if result.reason == reason}
        self.left_out = gone
        self.selected = [scenario for scenario in self.selected if scenario.id not in gone]
        self._results = {id_: result for id_, result in results.items() if id_ not in gone}
        return len(gone)

    def stop_short(self) -> None:
        """Remove what did not run from the selection, since the run ended before its turn."""
        self.left_out = self.left_out | {r.id for r in self.results() if r.reason == NOT_RUN}
        self.selected = [scenario for scenario in self.selected if scenario.id not in self.left_out]

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
        return {kind: found[kind] for kind in get_args(Result)}

    def advice(self) -> list[ScenarioResult]:
        """Return the results with findings that are advice, whatever else they have."""
        return [result for result in self.results() if result.advice()]

    def stale(self) -> list[str]:
        """Return the known failures that now conform."""
        conforming = [result.id for result in self.results() if result.result == "conforms"]
        return [id_ for id_ in conforming if id_ in self.known.entries]

    def asked(self) -> dict[str, int]:
        """Return what stubs of CLIs were asked beside their version, and how often: most first."""
        found = Counter(self.asked_elsewhere)
        found.update(question for result in self.reported() for question in result.asked)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def lost_engines(self) -> list[LostEngine]:
        """Return the engines that were lost in the middle, where others went on."""
        return lost_engines(self.reported())

    @property
    def diagnosis(self) -> str:
        """All hints as one text; empty where there is none."""
        return "; ".join(self.hints)

    def conformant(self) -> bool:
        """Return whether every selected scenario conforms or is unsupported, and one conforms."""
        counts = self.counts()
        failures = counts["deviates"] + counts["broke"] + counts["known-failure"]
        if failures or self.left_out or self.trouble or self._lacks_something():
            return False
        return counts["conforms"] > 0

    def conclude(self) -> None:
        """Compare with the baseline, where there is one: all results are in."""
        if self.against is not None:
            self.changes = self.against(self.document())

    def exit_status(self) -> int:
        """Return the exit status of the run.

        130: interrupted. 3: something could not be judged, or nothing was. 1: something deviates, a
        known failure conforms, something was left out, or is unsupported where that counts. 0: none
        of these. Against a baseline, 1 means that something got worse, that a known failure
        conforms, that something was left out, or is unsupported where that counts.
        """
        status = self._status_alone()
        if self.changes is None or status not in (0, 1):
            return status
        wrong = (self.changes.worse(), self.stale(), self.left_out, self._lacks_something())
        return 1 if any(wrong) else 0

    def _status_alone(self) -> int:
        """Return the exit status of the run where there is no baseline."""
        counts = self.counts()
        judged = counts["conforms"] + counts["deviates"] + counts["known-failure"]
        if self.interrupted:
            return INTERRUPTED
        if counts["broke"] or self.trouble or not judged:
            return CannotJudge.exit_status
        if counts["deviates"] or self.stale() or self.left_out or self._lacks_something():
            return 1
        return 0

    def _lacks_something(self) -> bool:
        """Return whether what is unsupported here fails the run."""
        return self.fail_on_unsupported and self.counts()["unsupported"] > 0

    def document(self) -> dict[str, Any]:
        """Return the report as built-in types."""
        compared = {"baseline": changes_document(self.changes)} if self.changes else {}
        return self._document() | compared

    def _document(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "suite": {"name": "probe-conformance", "version": __version__},
            "contract": {"name": self.contract.name, "version": self.contract.version},
            "as_of": self.as_of,
            "shard": msgspec.to_builtins(self.shard),
            "shards": msgspec.to_builtins(list(self.shards)),
            "probe": self.probe,
            "settings": self.settings,
            "started": datetime.fromtimestamp(self.now, UTC).isoformat(timespec="milliseconds"),
            "now": self.now,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "exit_status": self.exit_status(),
            "conformant": self.conformant(),
            "strict": self.strict,
            "fail_on_unsupported": self.fail_on_unsupported,
            "counts": self.counts(),
            "advice": len(self.advice()),
            "stale_known_failures": self.stale(),
            "left_out": sorted(self.left_out),
            "levels": self._levels(),
            "trouble": self.trouble,
            "diagnosis": self.diagnosis,
            "asked": self.asked(),
            "lost_engines": msgspec.to_builtins(self.lost_engines()),
            "causes": msgspec.to_builtins(self.causes),
            "scenarios": list(self._rows()),
        }

    def _levels(self) -> dict[str, str]:
        """Return the levels of the rules about findings that are not off, as they count here."""
        rules = self.contract.rules.items()
        found = {name: str(rule.level) for name, rule in rules if rule.findings and not rule.off}
        return dict.fromkeys(found, "must") if self.strict else found

    def _rows(self) -> Iterator[dict[str, Any]]:
        since = self.since()
        for scenario, result in zip(self.selected, self.results(), strict=True):
            yield self._row(scenario, result) | {"since": since.get(scenario.id, "")}

    def _row(self, scenario: Scenario, result: ScenarioResult) -> dict[str, Any]:
        row: dict[str, Any] = msgspec.to_builtins(result)
        # Scenarios that run at the same time share stubs, so only the sum is true.
        del row["asked"]
        contract = scenario.contract_here(self.contract)
        row["expected_codes"] = sorted(contract.codes(result.expected))
        row["summary"] = scenario.summary
        row["origin"] = scenario.origin
        row["digest"] = digest(scenario)
        row["rule"] = self.contract.rule_name(scenario.decided_by(self.contract))
        # What conforms is not repeated, and there is much of it.
        row["repeat"] = [] if result.result == "conforms" else list(self.repeat(result.id))
        return row

    def control_words(self, result: ScenarioResult, scenarios: Mapping[str, Scenario]) -> str:
        """Return what the control of *result* expects."""
        control = scenarios.get(result.control)
        verdicts = control.expected(self.contract) if control is not None else ()
        return expectation(self.contract, verdicts) or "nothing here"
