"""What is to be tried with one wrong probe, and what became of it.

A wrong probe runs until a scenario about its vice has caught it. Where all is to be known, it runs
in every scenario: see ``full.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from conformance.catalogue.catalogue import Catalogue, select
from conformance.errors import UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import Bank, WrongProbe

__all__ = ["WAITING", "Task", "Trial", "TrialRun", "baseline_tasks", "chosen", "tasks"]

#: After so many scenarios without an answer a probe is given up; those that only wait do not count.
_SILENCES = 2
#: How many of the scenarios that only wait are run at the same time.
WAITING = 16
#: In how many scenarios a right probe runs at one go; workers share what there is.
_BATCH = 8


class Task(Struct, frozen=True, kw_only=True):
    """One wrong probe to be tried, and in which scenarios."""

    probe: WrongProbe
    contract: Contract
    first: tuple[str, ...]
    """Scenarios about its vice: one that catches it is enough, unless all is to be known."""
    then: tuple[str, ...]
    """The others, in order."""
    full: bool = False


class Trial(Struct, frozen=True, kw_only=True):
    """What became of one wrong probe."""

    probe: WrongProbe
    catches: dict[str, tuple[str, ...]]
    """Scenario that catches it to the kinds of findings."""
    broke: dict[str, str]
    """Scenario that could not be judged to the reason."""
    executions: int
    seconds: float
    gave_up: bool = False
    """It gave no answer so often that it was not asked any more."""

    def about(self) -> list[str]:
        """Return the scenarios about its vice that catch it."""
        return [id_ for id_ in self.probe.about if id_ in self.catches]


class TrialRun:
    """Runs scenarios with one runner, and stops when it knows enough."""

    def __init__(self, runner: ScenarioRunner, task: Task) -> None:
        self._runner = runner
        self._full = task.full
        self._silences = 0
        self.scenarios = 0
        """How many have run."""
        self.catches: dict[str, tuple[str, ...]] = {}
        self.broke: dict[str, str] = {}

    def gives_up(self) -> bool:
        """Tell whether the probe gave no answer so often that it is not asked any more."""
        return self._silences >= _SILENCES

    def run(self, scenarios: Sequence[Scenario]) -> bool:
        """Run *scenarios*, and return whether one caught the probe.

        Those that only wait run at the same time.
        """
        quick = [scenario for scenario in scenarios if not scenario.waits]
        waiting = [scenario for scenario in scenarios if scenario.waits]
        with ThreadPoolExecutor(WAITING) as pool:
            futures = []
            if self._full:
                # All of them run in any case: they wait while the quick ones run.
                futures = [pool.submit(self._runner.run, scenario) for scenario in waiting]
            caught = self._run_quick(quick)
            if not self._full and not caught and not self.gives_up():
                futures = [pool.submit(self._runner.run, scenario) for scenario in waiting]
            for future in futures:
                caught |= self._note(future.result())
        return caught

    def _run_quick(self, scenarios: Iterable[Scenario]) -> bool:
        """Run *scenarios* one after the other until enough is known."""
        caught = False
        for scenario in scenarios:
            if self.gives_up():
                break
            result = self._runner.run(scenario)
            self._silences += "timed-out" in result.kinds()
            caught |= self._note(result)
            if caught and not self._full:
                break
        return caught

    def _note(self, result: ScenarioResult) -> bool:
        """Note a result, and return whether it caught the probe."""
        self.scenarios += 1
        if result.findings:
            self.catches[result.id] = tuple(dict.fromkeys(result.kinds()))
        if result.result == "broke":
            self.broke[result.id] = result.reason
        return bool(result.findings)


def tasks(banks: Sequence[Bank], catalogue: Catalogue, patterns: Sequence[str] = ()) -> list[Task]:
    """Return a task for every wrong probe, in the scenarios that *patterns* name.

    Scenarios that need a container are left out.

    :raises UsageError: a pattern names nothing under any contract of the *banks*.
    """
    found = []
    for bank, here in zip(banks, chosen(banks, catalogue, patterns), strict=True):
        local = [scenario.id for scenario in here if scenario.container is None]
        for probe in bank.wrong:
            task = Task(
                probe=probe,
                contract=bank.contract,
                first=tuple(id_ for id_ in probe.about if id_ in local),
                then=tuple(id_ for id_ in local if id_ not in probe.about),
            )
            found.append(task)

    def is_quick(task: Task) -> bool:
        return not any(catalogue.scenarios[id_].waits for id_ in task.first)

    # What takes long begins first, so that nobody has to wait for the last of it alone.
    return sorted(found, key=is_quick)


def chosen(
    banks: Sequence[Bank],
    catalogue: Catalogue,
    patterns: Sequence[str],
) -> list[list[Scenario]]:
    """Return the scenarios for each of *banks*.

    A pattern has to name some under the contract of one of them, and not of all.
    """
    if not patterns:
        return [catalogue.in_contract(bank.contract) for bank in banks]
    found: list[dict[str, Scenario]] = [{} for _ in banks]
    for pattern in patterns:
        refusals = []
        for bank, here in zip(banks, found, strict=True):
            try:
                named = select(catalogue, [pattern], bank.contract)
            except UsageError as e:
                refusals.append(e)
            else:
                here.update({scenario.id: scenario for scenario in named})
        if refusals and len(refusals) == len(banks):
            raise refusals[-1]
    return [list(here.values()) for here in found]


def baseline_tasks(banks: Iterable[Bank], trials: Iterable[Trial]) -> list[Task]:
    """Return tasks for the right probe of every bank.

    It has to conform in the scenarios that catch something; in the others it need not be run.
    """
    caught: dict[str, set[str]] = {}
    for trial in trials:
        caught.setdefault(trial.probe.contract, set()).update(trial.catches)
    found = []
    for bank in banks:
        if bank.right is None:
            continue
        for ids in batched(sorted(caught.get(bank.contract.name, ())), _BATCH):
            task = Task(probe=bank.right, contract=bank.contract, first=ids, then=(), full=True)
            found.append(task)
    return found


def batched(ids: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield *ids* in groups of *size*; the last may be smaller."""
    for start in range(0, len(ids), size):
        yield tuple(ids[start : start + size])
