"""The one place that runs a scenario: observe the probe, judge it, keep or remove the home."""

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
from conformance.model.contract import USUAL, Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context, expand
from conformance.model.scenario import Scenario

__all__ = ["ScenarioRunner"]


class ScenarioRunner:
    """Runs scenarios with one driver under one contract. Safe to use from several threads.

    Homes of scenarios that deviate move to *keep*, if that is given. All others are removed, unless
    *leave* says to leave them where they were built. With *strict*, advice counts.
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
        strict: bool = False,
        keep: Path | None = None,
        leave: bool = False,
    ) -> None:
        self.driver = driver
        self.catalogue = catalogue
        self.contract = contract
        self.context = context
        self.repeat = repeat
        """How often the probe is executed in each scenario."""
        self._strict = strict
        self._known_failures = known_failures or KnownFailures({})
        self._keep = keep
        self._leave = leave

    def run(self, scenario: Scenario) -> ScenarioResult:
        """Run *scenario* and judge it."""
        return self.judge(scenario, self.observe(scenario))

    def observe(self, scenario: Scenario) -> list[Execution]:
        """Execute the probe in *scenario* as often as the run repeats it."""
        return [self.execute(scenario, number) for number in range(self.repeat)]

    def execute(self, scenario: Scenario, number: int = 0) -> Execution:
        """Execute the probe once in the home of *scenario*; *number* counts executions from 0."""
        return self.driver.execute(scenario, self.contract, self.context, number)

    def judge(self, scenario: Scenario, executions: Sequence[Execution]) -> ScenarioResult:
        """Judge what was seen, and keep or remove the homes."""
        control = self.catalogue.scenarios.get(scenario.control_for(self.contract))
        secrets = self.secrets(scenario)
        result = judge(scenario, self.contract, executions, secrets, control, strict=self._strict)
        if self._leave:
            return self._known(replace(result, kept=executions[0].kept))
        if result.result != "deviates":
            self._dispose(scenario, executions, None)
            return result
        kept = self._dispose(scenario, executions, self._telling(scenario, executions, secrets))
        if not kept and self._keep is not None:
            kept = self._build_again(scenario)
        return self._known(replace(result, kept=kept))

    def _telling(
        self, scenario: Scenario, executions: Sequence[Execution], secrets: dict[str, str]
    ) -> Execution:
        """Return the execution whose home tells most: the first that deviates by itself."""
        for execution in executions:
            seen = judge(scenario, self.contract, [execution], secrets, strict=self._strict)
            if seen.result == "deviates":
                return execution
        return executions[0]

    def _known(self, result: ScenarioResult) -> ScenarioResult:
        """Return *result*, as a known failure if it is one."""
        if result.result != "deviates" or not self._known_failures.covers(result):
            return result
        reason = self._known_failures.reason(result.id)
        return replace(result, result="known-failure", reason=reason)

    def _dispose(
        self, scenario: Scenario, executions: Sequence[Execution], telling: Execution | None
    ) -> str:
        """Move the homes of the *telling* execution to where the user wants them; remove the rest.

        Return where the homes are then; empty if none is kept.
        """
        kept = ""
        for execution in executions:
            if not execution.kept:
                continue
            if execution is not telling or self._keep is None:
                remove(Path(execution.kept))
                continue
            target = self._keep / scenario.id
            target.mkdir(parents=True, exist_ok=True)
            # It may be there: the id of another scenario can lie below this one. The run's
            # directory is on the same file system, so that all can be moved.
            for part in sorted(Path(execution.kept).iterdir()):
                part.rename(target / part.name)
            Path(execution.kept).rmdir()
            kept = str(target)
        return kept

    def _build_again(self, scenario: Scenario) -> str:
        """Build the home of a container on disk; return where, or nothing if that fails."""
        assert self._keep is not None
        target = self._keep / scenario.id
        context = replace(self.context, scenario=scenario.id, home=str(target / "home"))
        try:
            build(plan(scenario.entries, context), target / "home")
        except CannotJudge:
            return ""
        return str(target)

    def secrets(self, scenario: Scenario) -> dict[str, str]:
        """Return the credential values in the homes of *scenario*, by their names in reports."""
        context = replace(self.context, scenario=scenario.id)
        homes = (
            *(scenario.entries, scenario.earlier, scenario.env, scenario.inputs),
            *(scenario.start, scenario.login),
        )
        text = msgspec.json.encode(homes).decode()
        if self.contract.inputs.token:
            text += USUAL["token"]
        named = re.findall(r"\{secret:([a-z0-9-]+)\}", text)
        # In order, so that findings come in the same order in every run.
        of_login = ["init-token", "operator-code"] if scenario.login is not None else []
        labels = dict.fromkeys(["", "refresh", *of_login, *named])
        found = {}
        for label in labels:
            name = f"{{secret:{label}}}" if label else "{secret}"
            found[name] = context.secret(label)
        # A token is a credential as a whole: each part of it, and not only the one that is random.
        tokens = dict.fromkeys(re.findall(r"\{now[^{}\s\"]*:jwt\}", text))
        found |= {token: expand(token, context) for token in tokens}
        if not tokens:
            found["{secret:jwt}"] = context.secret("jwt")
        return found
