"""Several runs as one: what they share is paid once, and none waits for the end of another.

They go through the same workers, in order. While the scenarios of one that can only wait still do
so, the next has begun, and the one after that is made ready.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from msgspec import Struct

from conformance.errors import ConformanceError
from conformance.judge.tally import RunReport
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.evidence import Hint
from conformance.run.assembly import Run, open_run
from conformance.run.causes_in import add_causes
from conformance.run.conclusion import find_hints
from conformance.run.head_start import HeadStart
from conformance.run.subject import Subject
from conformance.run.worker_process import Unjudged, WorkerLost, WorkerProcess

__all__ = ["Job", "ManyRuns", "Part"]

#: Runs that are open at a time: one whose last scenarios wait, one at work, one made ready.
_OPEN = 3
#: Results with which a run ends that is to end at the first of them.
_BAD = ("deviates", "broke")


class Job(Struct, frozen=True, eq=False):
    """One of the runs that are asked for."""

    name: str
    """What people call it."""
    subject: Subject
    report: Callable[[Run], RunReport]
    """Makes its report, which has no results yet."""
    check: Callable[[Run], None] = lambda run: None
    """Refuses what cannot be had of the run, once it is open: it raises a ConformanceError."""


class Part:
    """One of the runs, and what came of it so far."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.run: Run | None = None
        self.report: RunReport | None = None
        """None until it gets its turn."""
        self.error: ConformanceError | None = None
        """Why it could not be opened."""
        self.ended = False
        """Whether all there is to say of it is in its report, or it has an error."""
        self.told = False
        """Whether whoever asked for it knows."""
        self.closed = False
        self._todo: list[Scenario] = []
        self._head_start: HeadStart | None = None
        self._open = ExitStack()
        self._started = 0.0

    def status(self) -> int | None:
        """Return the exit status that a run of its own has; None where it did not get its turn."""
        if self.error is not None:
            return self.error.exit_status
        return self.report.exit_status() if self.report is not None else None

    def trouble(self) -> list[str]:
        """Return what went wrong with it as a whole, a line each."""
        if self.error is not None:
            return self.error.lines()
        if self.report is None:
            return ["it did not get its turn"]
        return list(self.report.trouble)

    def open(self) -> None:
        """Make everything ready. What is wrong is kept as the error."""
        try:
            self.run = self._open.enter_context(open_run(self.job.subject))
            self.job.check(self.run)
            self.run.publish_catalogue()
        except ConformanceError as e:
            self.error = e
            self._open.close()

    def begin(self) -> Iterator[ScenarioResult]:
        """Start what takes long, and return an iterator that waits for it."""
        assert self.run is not None
        run, self._started = self.run, time.monotonic()
        run.begin()
        self.report = self.job.report(run)
        long = [scenario for scenario in run.selected if scenario.takes_long]
        self._todo = [scenario for scenario in reversed(run.selected) if not scenario.takes_long]
        head_start = self._head_start = HeadStart(run.runner.execute, run.concurrent)
        head_start.start(long, run.runner.repeat)
        return (run.runner.judge(scenario, head_start.wait(scenario.id)) for scenario in long)

    def next(self) -> Scenario | None:
        """Return a scenario for a worker; None where there is no more."""
        return self._todo.pop() if self._todo else None

    def conclude(self, *, short: bool = False) -> None:
        """Say what it came to: all results are in, or it has ended early; *short*, by itself."""
        run, report = self.run, self.report
        assert run is not None
        assert report is not None
        report.seconds = time.monotonic() - self._started
        hints: list[Hint] = []
        if not report.interrupted:
            hints = find_hints(run, report)
        if short:
            report.stop_short()
        add_causes(report, run.catalogue.contracts, hints)
        report.conclude()
        self.ended = True

    def end(self) -> None:
        """End what still runs."""
        self._todo.clear()
        if self._head_start is not None:
            self._head_start.cancel()
        if self.run is not None:
            self.run.end()

    def close(self) -> None:
        """End what still runs, and remove what was written or made."""
        self.end()
        if self._head_start is not None:
            self._head_start.join()
        self._open.close()
        self.closed = True


#: What the thread that collects results is told: a part has begun or failed, a result of it, or
#: why there is none; or the error of another thread, which is a fault of ours.
_Event = tuple[Part, ScenarioResult | Unjudged | None] | BaseException


class ManyRuns:
    """Runs *jobs* in order, with so many *workers*; with 0 of them, in this process.

    *on_result* is called after each result, and *on_end* when a part has ended, or cannot begin:
    both in the thread that executes, in which an interrupt arrives.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        workers: int,
        *,
        on_result: Callable[[ScenarioResult | Unjudged], None],
        on_end: Callable[[Part], None],
        exitfirst: bool = False,
    ) -> None:
        self.parts = [Part(job) for job in jobs]
        self.interrupted = False
        self.stopped = False
        """Whether it was ended by the first result that is wrong."""
        self._workers = workers
        self._on_result, self._on_end = on_result, on_end
        self._exitfirst = exitfirst
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._ready: SimpleQueue[Part | None] = SimpleQueue()
        self._slots = threading.Semaphore(_OPEN)
        self._stopping = threading.Event()
        self._taking = threading.Lock()
        self._current: Part | None = None
        self._processes: set[WorkerProcess] = set()
        self._threads: list[threading.Thread] = []
        self._closer = ThreadPoolExecutor(1)

    def execute(self) -> None:
        """Run everything; after an interrupt, say what the parts that had begun came to."""
        try:
            try:
                self._start(self._open_all)
                for number in range(max(1, self._workers)):
                    self._start(self._serve, number)
                self._collect()
            except KeyboardInterrupt:
                self.interrupted = True
                self._end_early()
        finally:
            self._stop()
            for thread in self._threads:
                thread.join()
            self._closer.shutdown(wait=True)
            for part in self.parts:
                if not part.closed:
                    part.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as e:  # a fault of ours: raised where somebody sees it
                self._events.put(e)

        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _open_all(self) -> None:
        """Open each part when there is room for it."""
        for part in self.parts:
            self._slots.acquire()
            if self._stopping.is_set():
                break
            part.open()
            self._ready.put(part)
        self._ready.put(None)

    def _serve(self, number: int) -> None:
        """Give one worker a scenario after the other."""
        process: WorkerProcess | None = None
        try:
            while (taken := self._take()) is not None:
                part, scenario = taken
                assert part.run is not None
                if not self._workers:
                    self._events.put((part, part.run.runner.run(scenario)))
                    continue
                if process is None:
                    process = WorkerProcess(f"gw{number}")
                    self._processes.add(process)
                try:
                    self._events.put((part, process.run(part.run, scenario.id)))
                except WorkerLost as e:
                    self._events.put((part, Unjudged(scenario.id, str(e))))
                    process.close()
                    process = None
                    number += self._workers  # what the one that was lost has left is not in its way
        finally:
            if process is not None:
                process.close()

    def _take(self) -> tuple[Part, Scenario] | None:
        """Return what a worker is to do next; None where nothing is left."""
        with self._taking:
            while not self._stopping.is_set():
                if self._current is not None and (scenario := self._current.next()) is not None:
                    return self._current, scenario
                self._current = self._ready.get()
                if self._current is None:
                    self._ready.put(None)  # for the next one who asks
                    return None
                if self._current.error is None:
                    self._begin(self._current)
                self._events.put((self._current, None))
        return None

    def _begin(self, part: Part) -> None:
        results = part.begin()

        def wait() -> None:
            for result in results:
                self._events.put((part, result))

        self._start(wait)

    def _collect(self) -> None:
        """Take in what comes, until every part has ended."""
        while not all(part.ended for part in self.parts):
            event = self._events.get()
            if isinstance(event, BaseException):
                raise event
            part, got = event
            self._record(part, got)
            if self.stopped:
                self._end_early()
                return

    def _record(self, part: Part, got: ScenarioResult | Unjudged | None) -> None:
        if part.error is not None:
            part.ended = True
        report = part.report
        if part.ended or report is None:
            self._tell(part)
            return
        if isinstance(got, ScenarioResult):
            report.add(got)
        elif got is not None:
            report.broke(got.id, got.reason)
        if got is not None:
            self._on_result(got)
            bad = isinstance(got, Unjudged) or got.result in _BAD
            self.stopped = self._exitfirst and bad
        if report.done() == len(report.selected):
            part.conclude()
            self._tell(part)

    def _tell(self, part: Part) -> None:
        """Say that *part* has ended; remove what is left of it, and make room for another."""
        if part.told:
            return
        self._on_end(part)
        part.told = True

        def close() -> None:
            part.close()
            self._slots.release()

        self._closer.submit(close)

    def _end_early(self) -> None:
        """Say what came of those that run; after an interrupt nobody waits for what they do."""
        self._stopping.set()
        if self.interrupted:
            self._stop()
        for part in self.parts:
            if part.told or part.report is None:
                continue
            if self.stopped and not part.report.done():
                part.report = None  # another was wrong before it was asked anything
                continue
            if not part.ended:
                part.report.interrupted = self.interrupted
                part.conclude(short=self.stopped)
            self._tell(part)

    def _stop(self) -> None:
        """End all that runs."""
        self._stopping.set()
        self._slots.release()
        self._ready.put(None)
        for process in tuple(self._processes):
            process.kill()
        for part in self.parts:
            if not part.closed:
                part.end()
