"""A search for homes in which a probe is wrong: lanes beside each other, until time is up."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder
from msgspec.structs import replace

from conformance.discover.findings import Tried
from conformance.discover.lane import LaneTask, run_joined, run_lane
from conformance.discover.trying import Trier
from conformance.errors import CannotJudge
from conformance.run.assembly import Run
from conformance.run.worker_process import end_with_parent

__all__ = ["Limits", "search"]

#: How long a lane may take to start, and to end by itself when its time is up, in seconds.
_AROUND = 60.0
#: So many homes that could not be judged are enough.
_BROKE = 20

_TASK, _TRIED = Decoder(LaneTask), Decoder(tuple[str, Tried])
#: Called after each report, with all that has been tried; whether the search goes on.
Watch = Callable[[Tried], bool]


class Limits(Struct, frozen=True, kw_only=True):
    """How far a search goes."""

    seconds: float
    homes: int = 0
    """How many homes are tried; 0 for as many as there is time for."""


def search(
    run: Run,
    other: Run | None,
    agents: tuple[str, ...],
    *,
    seed: int,
    limits: Limits,
    workers: int,
    tried: Tried,
    watch: Watch,
) -> None:
    """Try homes that are made for *agents* with *seed*, and add what comes of them to *tried*.

    So many *workers* try them, each a process; with 0 of them, this process does. *watch* is called
    several times a second, and says whether to go on. Where twenty homes could not be judged, an
    engine was lost, or nothing starts, and the search ends.

    :raises CannotJudge: a worker was lost.
    """
    task = LaneTask(
        shared=run.share(),
        other=other.share() if other is not None else "",
        agents=agents,
        seed=seed,
        lane=0,
        lanes=max(1, workers),
        homes=limits.homes,
        seconds=limits.seconds,
    )

    def goes_on(tried: Tried) -> bool:
        return watch(tried) and sum(tried.broke.values()) < _BROKE

    if not workers:

        def add(news: Tried) -> bool:
            tried.add(news)
            return goes_on(tried)

        run_lane(task, Trier(run, other), add)
        return
    for opened in (run, other):
        if opened is not None:
            opened.publish_catalogue()
    lanes = _Lanes(task)
    try:
        lanes.follow(tried, goes_on)
    finally:
        lanes.end()


class _Lanes:
    """The processes, and what they report."""

    def __init__(self, task: LaneTask) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._running: dict[Connection, BaseProcess] = {}
        self._deadline = time.monotonic() + task.seconds + _AROUND
        for lane in range(task.lanes):
            here, there = context.Pipe(duplex=False)
            data = msgspec.msgpack.encode(replace(task, lane=lane))
            process = context.Process(target=_work, args=(data, there), daemon=True)
            process.start()
            there.close()
            self._running[here] = process

    def follow(self, tried: Tried, watch: Watch) -> None:
        """Add what is reported to *tried*, until all have ended or *watch* has seen enough.

        :raises CannotJudge: one was lost.
        """
        while self._running:
            ready = multiprocessing.connection.wait(list(self._running), timeout=1)
            for connection in ready:
                assert isinstance(connection, Connection)
                self._receive(connection, tried)
            if not watch(tried):
                return
            if time.monotonic() > self._deadline:
                raise CannotJudge("a worker does not end", hint="try it with fewer, or with -n 0")

    def _receive(self, connection: Connection, tried: Tried) -> None:
        try:
            trouble, news = _TRIED.decode(connection.recv_bytes())
        except EOFError:
            raise CannotJudge("a worker was lost", hint="try it with fewer, or with -n 0") from None
        tried.add(news)
        if trouble == _DONE:
            self._running.pop(connection).join(_AROUND)
        elif trouble:
            raise CannotJudge(f"a worker fell over: {trouble}")

    def end(self) -> None:
        """End what still runs."""
        for connection, process in self._running.items():
            process.terminate()
            process.join()
            connection.close()


#: What a lane says last.
_DONE = "done"


def _work(data: bytes, connection: Connection) -> None:
    """Run a lane in this process; only its parent is interrupted."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def send(trouble: str, news: Tried) -> bool:
        connection.send_bytes(msgspec.msgpack.encode((trouble, news)))
        return True

    try:
        run_joined(_TASK.decode(data), lambda news: send("", news))
    except Exception as e:
        send(f"{type(e).__name__}: {e}", Tried())
    else:
        send(_DONE, Tried())
