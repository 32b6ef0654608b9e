"""Scenario files as pytest items."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
import pytest

from conformance.errors import ConformanceError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.wording import answer
from conformance.report.story import asked_in_steps, event_lines, step_lines
from conformance.text import printable

if TYPE_CHECKING:
    from conformance.run.assembly import Run

__all__ = ["Broke", "Deviation", "ScenarioFile", "ScenarioItem", "item_name"]


class _Session(Protocol):
    """What items need of the session that they belong to."""

    run: Run

    def scenarios(self, path: Path) -> list[Scenario]:
        """Return the scenarios in *path* that are to be run."""

    def result_of(self, scenario: Scenario) -> ScenarioResult:
        """Run *scenario*, or judge what was seen of it before."""


class Broke(Exception):
    """The suite or its surroundings failed; pytest shows an error, not a failure."""


class Deviation(Exception):
    """The probe deviates from its contract."""


class ScenarioFile(pytest.File):
    """A scenario file: an item for each scenario in it that is part of the contract."""

    def __init__(self, *, scenarios_of: _Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._session = scenarios_of

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items; a family is named like the cases of a parametrized test."""
        try:
            scenarios = self._session.scenarios(self.path)
        except ConformanceError as e:
            raise self.CollectError("\n".join(e.lines())) from None
        for scenario in scenarios:
            name = item_name(self._session.run.contract, scenario)
            yield ScenarioItem.from_parent(
                self,
                name=name,
                scenario=scenario,
                runs_in=self._session,
            )


def item_name(contract: Contract, scenario: Scenario) -> str:
    """Return the name of the item of *scenario* within its file."""
    return f"{contract.name}[{scenario.variant}]" if scenario.variant else contract.name


class ScenarioItem(pytest.Item):
    """One scenario under one contract. Its setup runs the probe, its call judges what was seen."""

    def __init__(self, *, scenario: Scenario, runs_in: _Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self._session = runs_in
        self.conformance_result: dict[str, Any] | None = None
        self._result: ScenarioResult | None = None

    def setup(self) -> None:
        """Build the home and run the probe; a failure here is not the probe's fault."""
        result = self._session.result_of(self.scenario)
        self._result = result
        self.conformance_result = msgspec.to_builtins(result)
        self.user_properties += [
            ("conformance.scenario", result.id),
            ("conformance.contract", self._session.run.contract.name),
            ("conformance.result", result.result),
            ("conformance.control", result.control),
            ("conformance.expected", " ".join(result.expected)),
            ("conformance.code", result.code),
        ]
        for finding in result.findings:
            what = "finding" if finding.level == "must" else "advice"
            self.user_properties.append((f"conformance.{what}.{finding.kind}", finding.message))
        if result.result == "broke":
            raise Broke(result.reason)

    def runtest(self) -> None:
        """Pass, skip, or fail as the result says."""
        result, run = self._result, self._session.run
        assert result is not None
        if result.result == "unsupported":
            pytest.skip(f"unsupported: {result.reason}")
        if result.result == "known-failure":
            pytest.xfail(result.reason)
        if result.result == "deviates":
            raise Deviation("\n".join(_explain(result, run.contract, run.catalogue.scenarios)))
        if result.id in run.known_failures.entries:
            raise Deviation(f"it conforms: take it out of {run.known_failures.file}")

    def report(self) -> pytest.TestReport:
        """Run the scenario, and return all there is to say about it in one report."""
        start = time.time()
        when: Literal["setup", "call"] = "setup"
        outcome: Literal["passed", "failed", "skipped"] = "passed"
        longrepr: Any = None
        extra: dict[str, Any] = {}
        try:
            self.setup()
            when = "call"
            self.runtest()
        except (pytest.skip.Exception, pytest.xfail.Exception) as e:
            outcome, longrepr = "skipped", (str(self.path), 0, str(e))
            extra = {"wasxfail": str(e)} if isinstance(e, pytest.xfail.Exception) else {}
        except Exception:
            outcome = "failed"
            longrepr = str(self.repr_failure(pytest.ExceptionInfo.from_current()))
        stop = time.time()
        return pytest.TestReport(
            nodeid=self.nodeid,
            location=self.location,
            keywords={},
            outcome=outcome,
            longrepr=longrepr,
            when=when,
            duration=stop - start,
            start=start,
            stop=stop,
            user_properties=self.user_properties,
            conformance=self.conformance_result,
            **extra,
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what people need; a traceback only if the fault is ours."""
        if isinstance(excinfo.value, Broke | Deviation):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the file of the scenario, and its id."""
        return self.path, None, self.scenario.id


def _explain(
    result: ScenarioResult, contract: Contract, scenarios: dict[str, Scenario]
) -> Iterator[str]:
    """Yield, line by line, what deviated and how the scenario differs from its control."""
    for finding in result.findings:
        advice = "" if finding.level == "must" else "advice: "
        yield f"{advice}{finding.kind}: {finding.message}"
    if result.control in scenarios:
        expected = scenarios[result.control].expected(contract)
        answers = " or ".join(answer(contract, verdict) for verdict in expected) or "nothing here"
        yield f"control: {result.control} expects {answers}; this home, against that one:"
        for line in result.difference:
            yield f"    {line}"
    for heading, line in (*step_lines(result), *event_lines(result)):
        yield f"{heading}: {line}" if heading else f"  {line}"
    told = result.stdout if not asked_in_steps(result) else ""  # of a gate, the answers again
    for name, text in (("stdout", told), ("stderr", result.stderr)):
        for line in text.splitlines()[:20]:
            if line.strip():
                yield f"{name}: {printable(line.expandtabs())}"
    if result.kept:
        yield f"home: {result.kept}/home"
