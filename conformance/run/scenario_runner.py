"""The one place that runs a scenario: observe the probe in its home, judge what was seen, keep or remove the home."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.drivers import Driver
from conformance.errors import CannotJudge
from conformance.home import build, plan, remove
from conformance.judge.judge import judge
from conformance.judge.known_failures import KnownFailures
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["ScenarioRunner"]


class ScenarioRunner:
    """Runs scenarios with one driver under one contract. Safe to use from several threads.

    Homes of scenarios that deviate move to *keep*, where that is given; all others are removed, unless they are to be
    left where they were built (*leave*).
    """

    def __init__(
        self,
        driver: Driver,
        catalogue: Catalogue,
        contract: Contract,
        context: Context,
        *,
        known_failures: KnownFailures | None = None,
        repeat: int = 1,
        keep: Path | None = None,
        leave: bool = False,
    ) -> None:
        self.driver = driver
        self.catalogue = catalogue
        self.contract = contract
        self.context = context
        self.repeat = repeat
        """How often the probe is executed in each scenario."""
        self._known_failures = known_failures or KnownFailures({})
        self._keep = keep
        self._leave = leave

    def run(self, scenario: Scenario) -> ScenarioResult:
        """Run *scenario* and judge it."""
        return self.judge(scenario, self.observe(scenario))

    def observe(self, scenario: Scenario) -> list[Execution]:
        """Execute the probe in *scenario* as often as is asked for."""
        return [self.execute(scenario, number) for number in range(self.repeat)]

    def execute(self, scenario: Scenario, number: int = 0) -> Execution:
        """Execute the probe once in the home of *scenario*; *number* counts the executions, from 0."""
        return self.driver.execute(scenario, self.contract, self.context, number)

    def judge(self, scenario: Scenario, executions: Sequence[Execution]) -> ScenarioResult:
        """Judge what was seen, and keep or remove the homes."""
        control = self.catalogue.scenarios.get(scenario.control_for(self.contract))
        secrets = self.secrets(scenario)
        result = judge(scenario, self.contract, executions, secrets, control)
        if self._leave:
            return self._known(replace(result, kept=executions[0].kept))
        telling = None
        if result.result == "deviates":
            # The first home in which the probe deviated tells most.
            deviating = (e for e in executions if judge(scenario, self.contract, [e], secrets).findings)
            telling = next(deviating, executions[0])
        kept = ""
        for execution in executions:
            if execution.kept:
                kept = self._dispose(scenario, Path(execution.kept), keep=execution is telling) or kept
        if telling is not None and self._keep is not None and not kept:
            kept = self._build_again(scenario)
        return self._known(replace(result, kept=kept))

    def _known(self, result: ScenarioResult) -> ScenarioResult:
        """Return *result* as a known failure, where it is one."""
        if result.result != "deviates" or not self._known_failures.covers(result):
            return result
        return replace(result, result="known-failure", reason=self._known_failures.reason(result.id))

    def _dispose(self, scenario: Scenario, place: Path, *, keep: bool) -> str:
        """Move the homes in *place* to where the user wants them, or remove them; return where they are then."""
        if not keep or self._keep is None:
            remove(place)
            return ""
        target = self._keep / scenario.id
        target.parent.mkdir(parents=True, exist_ok=True)
        place.rename(target)  # the run's directory lies on the same file system for this reason
        return str(target)

    def _build_again(self, scenario: Scenario) -> str:
        """Build on disk the home that a container had; return where, or nothing where that is not possible."""
        assert self._keep is not None
        target = self._keep / scenario.id
        context = replace(self.context, scenario=scenario.id, home=str(target / "home"))
        try:
            build(plan(scenario.entries, context), target / "home")
        except CannotJudge:
            return ""
        return str(target)

    def secrets(self, scenario: Scenario) -> dict[str, str]:
        """Return the credential values in the homes of *scenario*, by the names that reports give them."""
        context = replace(self.context, scenario=scenario.id)
        text = msgspec.json.encode((scenario.entries, scenario.env)).decode()
        labels = {"", "refresh", "jwt", *re.findall(r"\{secret:([a-z0-9-]+)\}", text)}
        return {f"{{secret:{label}}}" if label else "{secret}": context.secret(label) for label in labels}
