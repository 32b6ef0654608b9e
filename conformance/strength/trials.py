"""How strong the catalogue is: every wrong probe of a bank is run, and the scenarios that catch it are noted.

Wrong probes are tried in processes of their own, each for one at a time. Unless all is to be known, a wrong probe is
tried no longer than until a scenario about its vice has caught it.
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
from conformance.errors import CannotJudge, UsageError
from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario
from conformance.run.scenario_runner import ScenarioRunner
from conformance.strength.bank import Bank, WrongProbe

__all__ = ["Trial", "TrialContext", "run_trial", "run_trials", "tasks"]

#: A probe that lets so many scenarios end without an answer, of those in which a right one need not wait, is not asked on.
_SILENCES = 2
#: How many of the scenarios that only wait are run beside each other.
_WAITING = 16
#: Scenarios that a right probe is run in at one go, so that the workers share what there is of them.
_BATCH = 8


class Task(Struct, frozen=True, kw_only=True):
    """One wrong probe to be tried, and in which scenarios."""

    probe: WrongProbe
    contract: Contract
    first: tuple[str, ...]
    """Scenarios to begin with; when one of them catches it, that is enough unless all is to be known."""
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
    """It gave no answer so often that it was not asked on."""

    def about(self) -> list[str]:
        """Return the scenarios about its vice that catch it."""
        return [id_ for id_ in self.probe.about if id_ in self.catches]


class TrialContext(Struct, frozen=True, kw_only=True):
    """What all trials share, and plain enough to travel to other processes."""

    scenarios: list[Scenario]
    contracts: dict[str, Contract]
    context: Context
    directory: str


class _Worker:
    """One process that tries wrong probes."""

    def __init__(self, ground: TrialContext) -> None:
        self.catalogue = Catalogue({scenario.id: scenario for scenario in ground.scenarios}, ground.contracts)
        self.context = ground.context
        self.directory = Path(tempfile.mkdtemp(prefix=f"worker-{os.getpid()}-", dir=ground.directory))
        self.directory.chmod(0o755)  # a probe that runs as somebody else has to get at its own program
        self.driver = LocalDriver((), self.directory, cwd=self.directory)
        self.numbers = itertools.count(1)


_CONTEXT, _TASK, _TRIAL = Decoder(TrialContext), Decoder(Task), Decoder(Trial)
_worker: _Worker | None = None


def _start(ground: bytes) -> None:
    """Make this process a worker; it leaves it to its parent to be interrupted."""
    global _worker  # noqa: PLW0603 - what an executor's initializer makes has no other place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    _worker = _Worker(_CONTEXT.decode(ground))


def _end_after(parent: int) -> None:
    """End this process when its *parent* has ended, however that came: what it runs goes with it."""
    multiprocessing.connection.wait([parent])
    os._exit(1)


def _work(task: bytes) -> bytes:
    assert _worker is not None
    return msgspec.msgpack.encode(run_trial(_worker, _TASK.decode(task)))


def run_trial(worker: _Worker, task: Task) -> Trial:
    """Run one wrong probe in the scenarios of its *task*."""
    started = time.monotonic()
    driver = worker.driver.with_command(task.probe.install(worker.directory / f"probe-{next(worker.numbers)}"))
    runner = ScenarioRunner(driver, worker.catalogue, task.contract, worker.context, repeat=task.probe.repeat)
    trial_run = _TrialRun(runner, task)
    for ids in (task.first, task.then):
        if trial_run.run([worker.catalogue.scenarios[id_] for id_ in ids]) and not task.full:
            break
    return Trial(
        probe=task.probe,
        catches={result.id: tuple(dict.fromkeys(result.kinds())) for result in trial_run.results if result.findings},
        broke={result.id: result.reason for result in trial_run.results if result.result == "broke"},
        executions=len(trial_run.results) * task.probe.repeat,
        seconds=round(time.monotonic() - started, 3),
        gave_up=trial_run.silences >= _SILENCES,
    )


class _TrialRun:
    """Runs scenarios with one runner, and stops when it knows enough."""

    def __init__(self, runner: ScenarioRunner, task: Task) -> None:
        self._runner = runner
        self._full = task.full
        self.results: list[ScenarioResult] = []
        self.silences = 0

    def run(self, scenarios: Sequence[Scenario]) -> bool:
        """Run *scenarios*, those in which there is only waiting beside each other; return whether one caught the probe."""
        quick = [scenario for scenario in scenarios if not scenario.waits]
        waiting = [scenario for scenario in scenarios if scenario.waits]
        caught = False
        with ThreadPoolExecutor(_WAITING) as pool:
            early = [pool.submit(self._runner.run, scenario) for scenario in waiting] if self._full else []
            for scenario in quick:
                if self.silences >= _SILENCES:
                    break
                result = self._runner.run(scenario)
                self.silences += "timed-out" in result.kinds()
                caught |= self._note(result)
                if caught and not self._full:
                    return True
            late = (
                []
                if self._full or self.silences >= _SILENCES
                else [pool.submit(self._runner.run, scenario) for scenario in waiting]
            )
            for future in (*early, *late):
                caught |= self._note(future.result())
        return caught

    def _note(self, result: ScenarioResult) -> bool:
        self.results.append(result)
        return bool(result.findings)


def tasks(banks: Sequence[Bank], catalogue: Catalogue, patterns: Sequence[str] = (), *, full: bool) -> list[Task]:
    """Return a task for every wrong probe, in the scenarios that *patterns* name; what takes a container has no part in it.

    :raises UsageError: a pattern names nothing under any contract of the *banks*.
    """
    found = []
    for bank, chosen in zip(banks, _chosen(banks, catalogue, patterns), strict=True):
        local = {scenario.id: scenario for scenario in chosen if scenario.container is None}
        for probe in bank.wrong:
            first = tuple(id_ for id_ in probe.about if id_ in local)
            then = tuple(id_ for id_ in local if id_ not in probe.about)
            found.append(Task(probe=probe, contract=bank.contract, first=first, then=then, full=full))
    # Those that take long begin first, so that nobody has to wait for the last of them alone.
    return sorted(found, key=lambda task: not any(catalogue.scenarios[id_].waits for id_ in task.first))


def _chosen(banks: Sequence[Bank], catalogue: Catalogue, patterns: Sequence[str]) -> list[list[Scenario]]:
    """Return the scenarios for each of *banks*; a pattern need not name any under all of their contracts."""
    if not patterns:
        return [catalogue.in_contract(bank.contract) for bank in banks]
    chosen: list[list[Scenario]] = [[] for _ in banks]
    for pattern in patterns:
        refusal: UsageError | None = None
        named = False
        for bank, here in zip(banks, chosen, strict=True):
            try:
                here += [scenario for scenario in select(catalogue, [pattern], bank.contract) if scenario not in here]
                named = True
            except UsageError as e:
                refusal = e
        if refusal is not None and not named:
            raise refusal
    return chosen


def baseline_tasks(banks: Iterable[Bank], trials: Iterable[Trial]) -> list[Task]:
    """Return tasks for the right probe of every bank: only the scenarios that catch something, in which it has to conform."""
    caught: dict[str, dict[str, None]] = {}
    for trial in trials:
        caught.setdefault(trial.probe.contract, {}).update(dict.fromkeys(trial.catches))
    return [
        Task(probe=bank.right, contract=bank.contract, first=ids, then=(), full=True)
        for bank in banks
        if bank.right is not None
        for ids in batched(sorted(caught.get(bank.contract.name, ())), _BATCH)
    ]


def batched(ids: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield *ids* in groups of *size*, the last of which may be smaller."""
    for start in range(0, len(ids), size):
        yield tuple(ids[start : start + size])


def run_trials(ground: TrialContext, todo: Sequence[Task], workers: int) -> Iterator[Trial]:
    """Yield a trial for every task of *todo* as it ends, tried by so many *workers*; none of them: in this process.

    :raises CannotJudge: a worker was lost.
    """
    if not workers:
        worker = _Worker(ground)
        try:
            yield from (run_trial(worker, task) for task in todo)
        finally:
            worker.driver.close()
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("forkserver"),
        initializer=_start,
        initargs=(msgspec.msgpack.encode(ground),),
    )
    try:
        futures = [pool.submit(_work, msgspec.msgpack.encode(task)) for task in todo]
        for future in as_completed(futures):
            yield _TRIAL.decode(future.result())
    except BrokenProcessPool:
        raise CannotJudge("a worker was lost", hint="try it with fewer, or with -n 0") from None
    finally:
        # Whoever leaves early does not wait for probes that hang.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
            child.join()
