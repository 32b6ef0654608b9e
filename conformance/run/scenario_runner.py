"""One run: a probe, a contract and the fixed now, applied to one scenario after the other."""

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
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["Engine"]


class Engine:
    """Executes scenarios with one driver and judges them; safe to use from several threads."""

    def __init__(
        self,
        driver: Driver,
        catalogue: Catalogue,
        contract: Contract,
        context: Context,
        *,
        repeat: int = 1,
        keep: Path | None = None,
    ) -> None:
        self.driver = driver
        self.catalogue = catalogue
        self.contract = contract
        self.context = context
        self.repeat = repeat
        self.keep = keep

    def observe(self, scenario: Scenario, number: int = 0) -> Execution:
        """Run the probe in the home of *scenario*, for the time called *number*, from 0."""
        return self.driver.execute(scenario, self.contract, self.context, number)

    def judge(self, scenario: Scenario, executions: Sequence[Execution]) -> ScenarioResult:
        """Judge what was seen, and keep or remove the homes."""
        control = self.catalogue.scenarios.get(scenario.control_for(self.contract))
        secrets = self.secrets(scenario)
        result = judge(scenario, self.contract, executions, secrets, control)
        telling = None
        if result.result == "deviates":  # of several homes, the first that a deviating run has had; else any
            deviating = (e for e in executions if judge(scenario, self.contract, [e], secrets).findings)
            telling = next(deviating, executions[0])
        kept = ""
        for execution in executions:
            if execution.kept:
                kept = self._dispose(scenario, Path(execution.kept), keep=execution is telling) or kept
        if telling is not None and self.keep is not None and not kept:
            kept = self._build_again(scenario)
        return replace(result, kept=kept)

    def _dispose(self, scenario: Scenario, place: Path, *, keep: bool) -> str:
        """Put the homes in *place* where the user wants them, or away; return where they are then."""
        if not keep or self.keep is None:
            remove(place)
            return ""
        target = self.keep / scenario.id
        target.parent.mkdir(parents=True, exist_ok=True)
        place.rename(target)  # the run's directory lies on the same file system for this very reason
        return str(target)

    def _build_again(self, scenario: Scenario) -> str:
        """Build the home that a container had, where it can be looked at; return where, or nothing where that is not possible."""
        assert self.keep is not None
        target = self.keep / scenario.id
        context = replace(self.context, scenario=scenario.id, home=str(target / "home"))
        try:
            build(plan(scenario.entries, context), target / "home")
        except CannotJudge:
            return ""
        return str(target)

    def secrets(self, scenario: Scenario) -> dict[str, str]:
        """Return the credential values that lie in the homes of *scenario*, by the names reports give them."""
        context = replace(self.context, scenario=scenario.id)
        text = msgspec.json.encode((scenario.entries, scenario.env)).decode()
        labels = {"", "refresh", "jwt", *re.findall(r"\{secret:([a-z0-9-]+)\}", text)}
        return {f"{{secret:{label}}}" if label else "{secret}": context.secret(label) for label in labels}
