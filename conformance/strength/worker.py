"""A process that runs wrong probes, with all that they share."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.gate_command import gate_in_file
from conformance.drivers.local.hosts import PythonScript
from conformance.drivers.local.standing import StandingHome
from conformance.judge.dictionary import signature
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import WrongProbe
from conformance.strength.trials import WAITING, Task, Trial, TrialRun

__all__ = ["Answer", "Batch", "TrialContext", "Worker"]

#: Seconds after which a home is built anew: a login in it may have little time left.
_FRESH = 20.0


class TrialContext(Struct, frozen=True, kw_only=True):
    """What all trials share, in types that can be sent to other processes."""

    scenarios: list[Scenario]
    contracts: dict[str, Contract]
    context: Context
    directory: str
    probes: list[WrongProbe] = []
    """The probes that batches name."""


class Batch(Struct, frozen=True, kw_only=True):
    """What one worker does at one go: probes in scenarios."""

    pairs: tuple[tuple[str, str], ...]
    """The id of a probe, and that of a scenario. Those of the same scenario follow each other."""
    at_once: bool = False
    """Whether they run at the same time, because there is only waiting in them."""


class Answer(Struct, frozen=True, kw_only=True):
    """What one probe did in one scenario."""

    probe: str
    scenario: str
    kinds: tuple[str, ...]
    """The kinds of findings, each once; none where it conforms."""
    signature: str
    """What was answered, for the fault dictionary; empty where it conforms."""
    result: str
    reason: str
    """Why it was not judged."""
    executions: int
    seconds: float

    @property
    def pair(self) -> tuple[str, str]:
        """Which probe, and where."""
        return self.probe, self.scenario


class Worker:
    """One process that tries wrong probes."""

    def __init__(self, context: TrialContext) -> None:
        scenarios = {scenario.id: scenario for scenario in context.scenarios}
        self.catalogue = Catalogue(scenarios, context.contracts)
        self.context = context.context
        self.probes = {probe.id: probe for probe in context.probes}
        name = f"worker-{os.getpid()}-"
        self.directory = Path(tempfile.mkdtemp(prefix=name, dir=context.directory))
        # A probe that runs as somebody else has to read its own program.
        self.directory.chmod(0o755)
        self.driver = LocalDriver((), self.directory, cwd=self.directory)
        self._drivers: dict[str, LocalDriver] = {}
        self._numbers = itertools.count(1)

    def run(self, job: Task | Batch) -> Trial | list[Answer]:
        """Do a *job*, and return what came of it."""
        return self.run_task(job) if isinstance(job, Task) else self.run_batch(job)

    def run_task(self, task: Task) -> Trial:
        """Run one wrong probe in the scenarios of its *task*."""
        started = time.monotonic()
        probe = task.probe
        runner = ScenarioRunner(
            self._installed(probe, task.contract),
            self.catalogue,
            task.contract,
            self.context,
            repeat=probe.repeat,
            strict=True,  # a vice may be one that is only advised against
        )
        trial_run = TrialRun(runner, task)
        for ids in (task.first, task.then):
            caught = trial_run.run([self.catalogue.scenarios[id_] for id_ in ids])
            if caught and not task.full:
                break
        return Trial(
            probe=probe,
            catches=trial_run.catches,
            broke=trial_run.broke,
            executions=trial_run.scenarios * probe.repeat,
            seconds=round(time.monotonic() - started, 3),
            gave_up=trial_run.gives_up(),
        )

    def run_batch(self, batch: Batch) -> list[Answer]:
        """Run the probes of a *batch* in their scenarios."""
        if batch.at_once:
            for probe, _ in batch.pairs:
                self._driver(self.probes[probe])  # each is installed once, and not by two threads
            with ThreadPoolExecutor(WAITING) as pool:
                return list(pool.map(lambda pair: self._alone(*pair), batch.pairs))
        found: list[Answer] = []
        for scenario, pairs in itertools.groupby(batch.pairs, key=lambda pair: pair[1]):
            probes = [self.probes[probe] for probe, _ in pairs]
            found += self._one_after_the_other(self.catalogue.scenarios[scenario], probes)
        return found

    def _one_after_the_other(
        self, scenario: Scenario, probes: Iterable[WrongProbe]
    ) -> Iterator[Answer]:
        """Run *probes* in one home, as far as all that they need is a home."""
        home: StandingHome | None = None
        secrets: dict[str, str] = {}
        try:
            for probe in probes:
                contract = self._contract(probe)
                if not StandingHome.suits(scenario, contract):
                    yield self._alone(probe.id, scenario.id)
                    continue
                if home is None or home.seconds > _FRESH or home.contract.name != contract.name:
                    if home is not None:
                        home.close()
                    home = StandingHome(scenario, contract, self._now())
                    secrets = self._runner(self.driver, contract, home.context).secrets(scenario)
                started = time.monotonic()
                driver = self._driver(probe)
                seen = [home.execute(driver) for _ in range(probe.repeat)]
                result = judge(scenario, contract, seen, secrets, strict=True)
                yield _answer(probe, result, seen, time.monotonic() - started)
        finally:
            if home is not None:
                home.close()

    def _alone(self, name: str, id_: str) -> Answer:
        """Run the probe called *name* in a home of its own."""
        started = time.monotonic()
        probe, scenario = self.probes[name], self.catalogue.scenarios[id_]
        runner = self._runner(self._driver(probe), self._contract(probe), self._now(), probe.repeat)
        seen = runner.observe(scenario)
        result = runner.judge(scenario, seen)
        return _answer(probe, result, seen, time.monotonic() - started)

    def _runner(
        self, driver: LocalDriver, contract: Contract, context: Context, repeat: int = 1
    ) -> ScenarioRunner:
        return ScenarioRunner(driver, self.catalogue, contract, context, repeat=repeat, strict=True)

    def _contract(self, probe: WrongProbe) -> Contract:
        return self.catalogue.contracts[probe.contract]

    def _now(self) -> Context:
        """Return the context of a home that is built now: all together takes too long for one."""
        return replace(self.context, now=time.time())

    def _driver(self, probe: WrongProbe) -> LocalDriver:
        if probe.id not in self._drivers:
            self._drivers[probe.id] = self._installed(probe, self._contract(probe))
        return self._drivers[probe.id]

    def _installed(self, probe: WrongProbe, contract: Contract) -> LocalDriver:
        """Write the *probe* to a directory of its own, and return its driver."""
        command = probe.install(self.directory / f"probe-{next(self._numbers)}")
        script = None
        if contract.in_steps and probe.program:
            command = gate_in_file(command[-1])  # whose clock can be set
        elif probe.program.endswith(".py"):
            script = PythonScript(command[-1])  # it starts faster than the command, and is the same
        return self.driver.with_command(command, script)


def _answer(
    probe: WrongProbe, result: ScenarioResult, seen: list[Execution], seconds: float
) -> Answer:
    return Answer(
        probe=probe.id,
        scenario=result.id,
        kinds=tuple(dict.fromkeys(result.kinds())),
        signature=signature(result),
        result=result.result,
        reason=result.reason,
        executions=len(seen),
        seconds=round(seconds, 4),
    )
