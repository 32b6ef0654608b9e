"""A process that makes homes and tries the probe in them, several at the same time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec import Struct

from conformance.discover.findings import Found, Tried, count
from conformance.discover.generation import BATCH, batch
from conformance.discover.trying import Attempt, Trier
from conformance.model.scenario import Scenario
from conformance.run.assembly import join_run

__all__ = ["LaneTask", "run_joined", "run_lane"]

#: How many homes a lane tries at the same time: in most a processor is busy with the probe, and in
#: the rest somebody waits for a CLI that hangs. An engine is busy with each container.
_AT_ONCE, _CONTAINERS_AT_ONCE = 8, 2
#: Seconds between two reports.
_REPORT_EVERY = 0.25
#: Seconds that what still runs has, when time is up.
_GRACE = 1.0

_encode = msgspec.msgpack.Encoder().encode

#: Takes what came of some homes, and returns whether to go on.
Report = Callable[[Tried], bool]


class LaneTask(Struct, frozen=True, kw_only=True):
    """Which homes one lane tries, in types that can be sent to other processes."""

    shared: str
    """The run of the probe, to be joined."""
    other: str
    """The run of the other probe; empty where there is none."""
    agents: tuple[str, ...]
    seed: int
    lane: int
    """Its number, from 0."""
    lanes: int
    """How many there are: each has every so many-th batch."""
    homes: int
    """The home at which to stop; 0 for none."""
    seconds: float
    """How long it looks, from when it has its first home."""


def run_joined(task: LaneTask, report: Report) -> None:
    """Run the lane of *task* in a process of its own; see :func:`run_lane`."""
    name = f"lane-{task.lane}"
    run = join_run(task.shared, name)
    other = join_run(task.other, name) if task.other else None
    try:
        run_lane(task, Trier(run, other), report)
    finally:
        run.end()
        if other is not None:
            other.end()


def run_lane(task: LaneTask, trier: Trier, report: Report) -> None:
    """Try the homes of *task*, and *report* several times a second what came of them."""
    at_once = _AT_ONCE if trier.run.request.image is None else _CONTAINERS_AT_ONCE
    lane = _Lane(trier, report, at_once)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="home")
    homes = _homes(task, trier)
    first = list(itertools.islice(homes, 1))  # it takes a while to load what makes them
    end = time.monotonic() + task.seconds
    try:
        for scenario in itertools.chain(first, homes):
            if not lane.start(pool, scenario, end):
                break
        lane.finish(end)
    finally:
        lane.over.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _homes(task: LaneTask, trier: Trier) -> Iterator[Scenario]:
    """Yield the homes of *task*, those of a batch once that are the same.

    What other batches have is not looked at: that would depend on which of them this lane has.
    """
    for number in itertools.count(task.lane, task.lanes):
        if task.homes and number * BATCH >= task.homes:
            return
        known: set[int] = set()
        for scenario in batch(trier.contract, task.agents, task.seed, number):
            if task.homes and number_of(scenario) >= task.homes:
                return
            key = hash(_encode(msgspec.structs.replace(scenario, id="", file="")))
            if key not in known:
                known.add(key)
                yield scenario


def number_of(scenario: Scenario) -> int:
    """Return which home *scenario* is."""
    return int(scenario.id.rpartition("-")[2])


class _Lane:
    """What is running, and what has come of it."""

    def __init__(self, trier: Trier, report: Report, at_once: int) -> None:
        self.over = threading.Event()
        """Whether what comes now counts no more."""
        self._trier = trier
        self._report = report
        self._lock = threading.Lock()
        self._at_once = at_once
        self._free = threading.Semaphore(at_once)
        self._tried = Tried()
        self._reported = time.monotonic()

    def start(self, pool: ThreadPoolExecutor, scenario: Scenario, end: float) -> bool:
        """Try *scenario* as soon as there is room; return whether that was before the *end*."""
        while not self._free.acquire(timeout=min(_REPORT_EVERY, max(0.0, end - time.monotonic()))):
            self._report_now()
            if time.monotonic() > end or self.over.is_set():
                return False
        if time.monotonic() > end or self.over.is_set():
            self._free.release()
            return False
        pool.submit(self._try, scenario)
        if time.monotonic() - self._reported > _REPORT_EVERY:
            self._report_now()
        return True

    def finish(self, end: float) -> None:
        """Wait for what still runs; a little beyond the *end*."""
        for _ in range(self._at_once):
            while not self._free.acquire(timeout=_REPORT_EVERY):
                self._report_now()
                if time.monotonic() > end + _GRACE or self.over.is_set():
                    self.over.set()
                    return
        self._report_now()

    def _try(self, scenario: Scenario) -> None:
        try:
            attempt = self._trier.try_home(scenario)
            with self._lock:
                if not self.over.is_set():
                    self._note(attempt)
        except Exception as e:  # a home that ends the search is a fault of ours, to be seen
            with self._lock:
                count(self._tried.broke, {f"{scenario.id}: {type(e).__name__}: {e}": 1})
        finally:
            self._free.release()

    def _note(self, attempt: Attempt) -> None:
        tried, wanted = self._tried, attempt.wanted
        tried.homes += 1
        if wanted is None:
            tried.undecided += 1
        elif not wanted.verdicts:
            count(tried.unsupported, {f"the other probe: {wanted.why}": 1})
        elif attempt.result is not None:
            self._note_result(attempt, wanted.rule, len(wanted.verdicts) > 1)

    def _note_result(self, attempt: Attempt, rule: str, is_open: bool) -> None:
        tried, result = self._tried, attempt.result
        assert result is not None
        if result.result == "unsupported":
            count(tried.unsupported, {result.reason: 1})
            return
        if result.result == "broke":
            count(tried.broke, {result.reason: 1})
            return
        count(tried.rules, {rule: 1})
        tried.open += is_open
        if attempt.sign is not None:
            first = next(one for one in result.findings if one.level == "must")
            found = Found(
                number=number_of(attempt.scenario),
                scenario=attempt.scenario,
                sign=attempt.sign,
                message=first.message,
            )
            tried.add_found(found)

    def _report_now(self) -> None:
        with self._lock:
            news, self._tried = self._tried, Tried()
        self._reported = time.monotonic()
        if not self._report(news):
            self.over.set()
