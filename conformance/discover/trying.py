"""Try one home: what it calls for, what the probe does there, and whether that is a fault."""

from __future__ import annotations

import time

from msgspec import Struct
from msgspec.structs import replace

from conformance.compare.rows import meanings
from conformance.discover.findings import Sign, sign_of
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.model.wording import describe_ending
from conformance.run.assembly import Run
from conformance.run.scenario_runner import ScenarioRunner
from conformance.specification import case_of, decide

__all__ = ["Attempt", "Trier", "Wanted", "calling_for", "written_down"]


class Wanted(Struct, frozen=True, kw_only=True):
    """What is right in one home."""

    rule: str
    """The rule that decides; empty where none is known."""
    verdicts: tuple[str, ...]
    """The verdicts that conform."""
    why: str = ""
    """Why nothing was found out, where there are no verdicts."""


class Attempt(Struct, frozen=True, kw_only=True):
    """What came of one home."""

    scenario: Scenario
    """With what it calls for."""
    wanted: Wanted | None
    """None where nothing says what is right; then the probe was not started."""
    result: ScenarioResult | None = None
    sign: Sign | None = None
    """The sign of the fault; None where the probe was right, or could not be judged."""


class Trier:
    """Tries homes with the probe of *run*; with the probe of *other* beside it, if there is one.

    Safe to use from several threads.
    """

    def __init__(self, run: Run, other: Run | None = None) -> None:
        self.run = run
        self.contract = run.contract
        self._other = other

    def try_home(self, scenario: Scenario) -> Attempt:
        """Return what comes of *scenario*, whatever it has called for so far."""
        # Its logins have as long to live as in any other home, however late in the search it comes.
        context = replace(self.run.context, now=time.time())
        wanted = written_down(scenario, self.contract, context)
        if wanted is not None:
            scenario = calling_for(scenario, wanted, self.contract)
        if self._other is not None:
            wanted = self._with_other(scenario, context, wanted)
            scenario = calling_for(scenario, wanted, self.contract)
        if wanted is None or not wanted.verdicts:
            return Attempt(scenario=scenario, wanted=wanted)
        runner = _runner(self.run, context)
        execution = runner.execute(scenario)
        result = runner.judge(scenario, [execution])
        sign = None
        if result.result == "deviates":
            sign = sign_of(result, wanted.rule, _ending(execution))
        return Attempt(scenario=scenario, wanted=wanted, result=result, sign=sign)

    def _with_other(self, scenario: Scenario, context: Context, written: Wanted | None) -> Wanted:
        """Return what the other probe says; where it may say another thing as well, all of these.

        *written* is what the contract calls for.
        """
        assert self._other is not None, "only then is it asked"
        rule = written.rule if written is not None else ""
        runner = _runner(self._other, context)
        execution = runner.execute(scenario)
        result = runner.judge(scenario, [execution])
        known = {verdict.name for verdict in self.contract.verdicts}
        said = meanings(result, self._other.contract) & known
        if not said:
            why = result.reason or _ending(execution)
            return Wanted(rule=rule, verdicts=(), why=why)
        if written is not None and len(written.verdicts) > 1 and said & {*written.verdicts}:
            return written
        in_order = (verdict.name for verdict in self.contract.verdicts if verdict.name in said)
        return Wanted(rule=rule, verdicts=tuple(in_order))


def calling_for(scenario: Scenario, wanted: Wanted, contract: Contract) -> Scenario:
    """Return *scenario* with what is *wanted* in it under *contract*."""
    rule = contract.rules.get(wanted.rule)
    cited = rule is not None and set(rule.expect) == set(wanted.verdicts)
    return replace(
        scenario,
        expect={contract.name: wanted.verdicts},
        rules={contract.name: (wanted.rule,)} if cited else {},
    )


def written_down(scenario: Scenario, contract: Contract, context: Context) -> Wanted | None:
    """Return what *contract* calls for in *scenario*; None where nothing is written about that."""
    decision = decide(case_of(scenario, contract, context), contract)
    if decision is None or not decision.verdicts:
        return None
    return Wanted(rule=decision.rule, verdicts=decision.verdicts)


def _runner(run: Run, context: Context) -> ScenarioRunner:
    return ScenarioRunner(
        run.driver, run.catalogue, run.contract, context, strict=run.request.strict
    )


def _ending(execution: Execution) -> str:
    return describe_ending(execution.outcome.ending)
