"""Run every wrong probe of a bank, and note the scenarios that catch it.

Worker processes try one wrong probe after the other. A wrong probe runs until a scenario about its
vice has caught it, or in every scenario where all is to be known.
"""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder

from conformance.catalogue.catalogue import Catalogue, select
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.gate_command import gate_in_file
from conformance.drivers.local.hosts import PythonScript
from conformance.errors import CannotJudge, UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import Bank, WrongProbe

__all__ = ["Task", "Trial", "TrialContext", "baseline_tasks", "run_trials", "tasks"]

#: After so many scenarios without an answer a probe is given up; those that only wait do not count.
_SILENCES = 2
#: How many of the scenarios that only wait are run at the same time.
_WAITING = 16
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


class TrialContext(Struct, frozen=True, kw_only=True):
    """What all trials share, in types that can be sent to other processes."""

    scenarios: list[Scenario]
    contracts: dict[str, Contract]
    context: Context
    directory: str


class _Worker:
    """One process that tries wrong probes."""

    def __init__(self, context: TrialContext) -> None:
        scenarios = {scenario.id: scenario for scenario in context.scenarios}
        self.catalogue = Catalogue(scenarios, context.contracts)
        self.context = context.context
        name = f"worker-{os.getpid()}-"
        self.directory = Path(tempfile.mkdtemp(prefix=name, dir=context.directory))
        # A probe that runs as somebody else has to read its own program.
        self.directory.chmod(0o755)
        self.driver = LocalDriver((), self.directory, cwd=self.directory)
        self._numbers = itertools.count(1)

    def run(self, task: Task) -> Trial:
        """Run one wrong probe in the scenarios of its *task*."""
        started = time.monotonic()
        probe = task.probe
        command = probe.install(self.directory / f"probe-{next(self._numbers)}")
        script = None
        if task.contract.in_steps and probe.program:
            command = gate_in_file(command[-1])  # whose clock can be set
        elif probe.program.endswith(".py"):
            script = PythonScript(command[-1])  # it starts faster than the command, and is the same
        runner = ScenarioRunner(
            self.driver.with_command(command, script),
            self.catalogue,
            task.contract,
            self.context,
            repeat=probe.repeat,
            strict=True,  # a vice may be one that is only advised against
        )
        trial_run = _TrialRun(runner, task)
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


_CONTEXT, _TASK, _TRIAL = Decoder(TrialContext), Decoder(Task), Decoder(Trial)
_worker: _Worker | None = None


def _start(context: bytes) -> None:
    """Make this process a worker; only its parent is interrupted."""
    global _worker  # noqa: PLW0603 - the only place for what an executor's initializer makes
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    _worker = _Worker(_CONTEXT.decode(context))


def _end_after(parent: int) -> None:
    """End this process, and what it runs, when its *parent* has ended in whatever way."""
    multiprocessing.connection.wait([parent])
    os._exit(1)


def _work(task: bytes) -> bytes:
    assert _worker is not None
    return msgspec.msgpack.encode(_worker.run(_TASK.decode(task)))


class _TrialRun:
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
        with ThreadPoolExecutor(_WAITING) as pool:
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


def tasks(
    banks: Sequence[Bank],
    catalogue: Catalogue,
    patterns: Sequence[str] = (),
    *,
    full: bool,
) -> list[Task]:
    """Return a task for every wrong probe, in the scenarios that *patterns* name.

    Scenarios that need a container are left out.

    :raises UsageError: a pattern names nothing under any contract of the *banks*.
    """
    found = []
    for bank, chosen in zip(banks, _chosen(banks, catalogue, patterns), strict=True):
        local = [scenario.id for scenario in chosen if scenario.container is None]
        for probe in bank.wrong:
            task = Task(
                probe=probe,
                contract=bank.contract,
                first=tuple(id_ for id_ in probe.about if id_ in local),
                then=tuple(id_ for id_ in local if id_ not in probe.about),
                full=full,
            )
            found.append(task)

    def is_quick(task: Task) -> bool:
        return not any(catalogue.scenarios[id_].waits for id_ in task.first)

    # What takes long begins first, so that nobody has to wait for the last of it alone.
    return sorted(found, key=is_quick)


def _chosen(
    banks: Sequence[Bank],
    catalogue: Catalogue,
    patterns: Sequence[str],
) -> list[list[Scenario]]:
    """Return the scenarios for each of *banks*.

    A pattern has to name some under the contract of one of them, and not of all.
    """
    if not patterns:
        return [catalogue.in_contract(bank.contract) for bank in banks]
    chosen: list[dict[str, Scenario]] = [{} for _ in banks]
    for pattern in patterns:
        refusals = []
        for bank, here in zip(banks, chosen, strict=True):
            try:
                named = select(catalogue, [pattern], bank.contract)
            except UsageError as e:
                refusals.append(e)
            else:
                here.update({scenario.id: scenario for scenario in named})
        if refusals and len(refusals) == len(banks):
            raise refusals[-1]
    return [list(here.values()) for here in chosen]


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


def run_trials(context: TrialContext, todo: Sequence[Task], workers: int) -> Iterator[Trial]:
    """Yield a trial for every task of *todo* as it ends.

    So many *workers* try them; with 0 of them, this process does.

    :raises CannotJudge: a worker was lost.
    """
    if not workers:
        worker = _Worker(context)
        try:
            yield from (worker.run(task) for task in todo)
        finally:
            worker.driver.close()
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("forkserver"),
        initializer=_start,
        initargs=(msgspec.msgpack.encode(context),),
    )
    try:
        futures = [pool.submit(_work, msgspec.msgpack.encode(task)) for task in todo]
        for future in as_completed(futures):
            yield _TRIAL.decode(future.result())
    except BrokenProcessPool:
        raise CannotJudge("a worker was lost", hint="try it with fewer, or with -n 0") from None
    finally:
        # After an interrupt nobody waits for probes that hang.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
            child.join()
