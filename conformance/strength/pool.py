"""The worker processes: they are given one job after the other, and end with their parent."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import msgspec
from msgspec.msgpack import Decoder

from conformance.errors import CannotJudge
from conformance.run.worker_process import end_with_parent
from conformance.strength.trials import Task, Trial
from conformance.strength.worker import Answer, Batch, TrialContext, Worker

__all__ = ["run_batches", "run_trials"]

#: How many jobs are given out before there is a worker for them, so that none has to wait.
_AHEAD = 2

_CONTEXT, _JOB = Decoder(TrialContext), Decoder(tuple[Task | None, Batch | None])
_TRIAL, _ANSWERS = Decoder(Trial), Decoder(list[Answer])
_worker: Worker | None = None


def _start(context: bytes) -> None:
    """Make this process a worker; only its parent is interrupted."""
    global _worker  # noqa: PLW0603 - the only place for what an executor's initializer makes
    end_with_parent()
    _worker = Worker(_CONTEXT.decode(context))


def _work(data: bytes) -> bytes:
    assert _worker is not None
    task, batch = _JOB.decode(data)
    job = task if task is not None else batch
    assert job is not None
    return msgspec.msgpack.encode(_worker.run(job))


def run_trials(context: TrialContext, todo: Iterable[Task], workers: int) -> Iterator[Trial]:
    """Yield a trial for every task of *todo* as it ends.

    So many *workers* try them; with 0 of them, this process does.

    :raises CannotJudge: a worker was lost.
    """
    for data in _done(context, todo, workers):
        yield _TRIAL.decode(data)


def run_batches(
    context: TrialContext, todo: Iterable[Batch], workers: int
) -> Iterator[list[Answer]]:
    """Yield the answers of every batch of *todo* as it ends; see :func:`run_trials`.

    A batch is taken from *todo* when a worker is about to be free.
    """
    for data in _done(context, todo, workers):
        yield _ANSWERS.decode(data)


def _done(context: TrialContext, jobs: Iterable[Task | Batch], workers: int) -> Iterator[bytes]:
    """Yield what came of the *jobs*, encoded."""
    if not workers:
        worker = Worker(context)
        try:
            for job in jobs:
                yield msgspec.msgpack.encode(worker.run(job))
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
        yield from _shared_out(pool, iter(jobs), workers + _AHEAD)
    except BrokenProcessPool:
        raise CannotJudge("a worker was lost", hint="try it with fewer, or with -n 0") from None
    finally:
        # After an interrupt nobody waits for probes that hang.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
            child.join()


def _shared_out(
    pool: ProcessPoolExecutor, jobs: Iterator[Task | Batch], most: int
) -> Iterator[bytes]:
    """Give out *jobs*, of which no more than so many wait or run; yield what came of them."""
    pending: set[Future[bytes]] = set()
    while True:
        for job in itertools.islice(jobs, most - len(pending)):
            both = (job, None) if isinstance(job, Task) else (None, job)
            pending.add(pool.submit(_work, msgspec.msgpack.encode(both)))
        if not pending:
            return
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
