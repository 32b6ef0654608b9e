"""Worker processes that serve several runs, one after the other, and start once for all of them.

A worker is told the run that it joins, and then one scenario after the other. It ends the run that
it was in when it joins another, and everything when its parent is gone.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder

from conformance.errors import ConformanceError
from conformance.model.outcome import ScenarioResult
from conformance.run.assembly import Run, join_run

__all__ = ["Unjudged", "WorkerLost", "WorkerProcess", "end_with_parent"]

#: Seconds that a worker gets to remove its containers before it is ended.
_PATIENCE = 30


class WorkerLost(Exception):
    """A worker has ended in the middle of a scenario."""


class _Job(Struct, frozen=True):
    """A scenario to run, and the run to join before that, if it is another one."""

    id: str
    share: str = ""


class Unjudged(Struct, frozen=True, tag=True):
    """A scenario that has no result, and why."""

    id: str
    reason: str


class _Judged(Struct, frozen=True, tag=True):
    result: ScenarioResult


_JOB = Decoder(_Job)
_ANSWER: Decoder[_Judged | Unjudged] = Decoder(_Judged | Unjudged)


class WorkerProcess:
    """One worker, seen from the process that opened the runs. For one thread at a time."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("forkserver")
        # What all workers import is imported once.
        context.set_forkserver_preload([__name__, "conformance.drivers.container.prepare"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name), daemon=True)
        self._process.start()
        theirs.close()
        self._joined: Run | None = None

    def run(self, run: Run, id_: str) -> ScenarioResult | Unjudged:
        """Return the result of the scenario *id_* in *run*, or why there is none.

        :raises WorkerLost: the worker has ended.
        """
        job = _Job(id_) if run is self._joined else _Job(id_, run.share())
        try:
            self._connection.send_bytes(msgspec.msgpack.encode(job))
            answer = _ANSWER.decode(self._connection.recv_bytes())
        except (OSError, EOFError):
            raise WorkerLost("the worker was lost") from None
        if isinstance(answer, Unjudged):
            self._joined = None  # perhaps it could not join
            return answer
        self._joined = run
        return answer.result

    def kill(self) -> None:
        """End the worker and whatever it waits for; from another thread, too."""
        self._process.terminate()

    def close(self) -> None:
        """Let the worker end what it has started, and wait for it."""
        self._connection.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def end_with_parent() -> None:
    """Make this process end when the one that has started it is gone, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent decides what an interrupt means
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(parent: int) -> None:
    multiprocessing.connection.wait([parent])
    os._exit(1)


def _serve(connection: Connection, name: str) -> None:
    """Run the scenarios that *connection* asks for, until it is closed."""
    end_with_parent()
    worker = _Worker(name)
    try:
        with suppress(OSError, EOFError):  # nobody wants to know any more
            while True:
                job = _JOB.decode(connection.recv_bytes())
                connection.send_bytes(msgspec.msgpack.encode(worker.done(job)))
    finally:
        worker.leave()


class _Worker:
    """What a worker process is in the middle of."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._run: Run | None = None

    def done(self, job: _Job) -> _Judged | Unjudged:
        """Do *job*. What goes wrong with it is said where its result is looked for."""
        try:
            if job.share:
                self.leave()
                self._run = join_run(job.share, self._name)
            assert self._run is not None
            return _Judged(self._run.runner.run(self._run.catalogue.scenarios[job.id]))
        except ConformanceError as e:
            return Unjudged(job.id, str(e))
        except Exception as e:  # a fault of ours: it names itself, as pytest has it in a run alone
            return Unjudged(job.id, f"{type(e).__name__}: {e}")

    def leave(self) -> None:
        """End the run that it is in."""
        run, self._run = self._run, None
        if run is not None:
            run.end()
