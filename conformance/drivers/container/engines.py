"""Run an image on several engines: which one is next, and what becomes of one that is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from conformance.drivers.container.described import described
from conformance.drivers.container.driver import ContainerDriver
from conformance.drivers.container.request import ImageFacts, ImageRequest
from conformance.drivers.container.spec import ContainerSpec
from conformance.errors import ConformanceError
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Moved, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["Engine", "EnginePool", "loads", "next_engine"]


class Engine:
    """One engine of a pool, as one process sees it; it is connected to when it is first used."""

    def __init__(self, facts: ImageFacts, connect: Callable[[], ContainerDriver]) -> None:
        self.facts = facts
        self.running = 0
        """How many executions are at work on it."""
        self._connect = connect
        self._driver: ContainerDriver | None = None
        self._lock = threading.Lock()
        self._unreachable: ConformanceError | None = None

    @property
    def name(self) -> str:
        """The engine, as the user calls it."""
        return self.facts.name

    @property
    def lost(self) -> ConformanceError | None:
        """Why it answers no more; None as long as it does."""
        return self._driver.lost if self._driver is not None else self._unreachable

    def driver(self) -> ContainerDriver:
        """Return the driver on this engine.

        :raises ConformanceError: it cannot be reached any more.
        """
        with self._lock:
            if self._driver is None:
                self._driver = self._connect()
            return self._driver

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        try:
            driver = self.driver()
        except ConformanceError as e:  # it was there when the run began
            self._unreachable = e
            return not_run(Broke(str(e)))
        return replace(driver.execute(scenario, contract, context, number), engine=self.name)

    def close(self) -> None:
        """Remove all that this process has made there."""
        with self._lock:
            if self._driver is not None:
                self._driver.close()


class EnginePool:
    """Runs the entrypoint of an image on several engines; see :class:`ContainerDriver`.

    A worker of a run keeps to one engine, so that containers can be shared. Which one follows from
    its number, so workers need not talk to each other. A process with several threads spreads what
    they run.
    """

    def __init__(self, request: ImageRequest, engines: Sequence[Engine], worker: int = 0) -> None:
        """*worker* counts the workers of the run, from 0."""
        self._request = request
        self._engines = list(engines)
        self._worker = worker
        self._lock = threading.Lock()
        self._chosen: dict[str, Engine] = {}

    def execute(
        self, scenario: Scenario, contract: Contract, context: Context, number: int = 0
    ) -> Execution:
        """See :class:`~conformance.drivers.Driver`."""
        with self._taken(scenario) as engine:
            if engine is None:
                return not_run(Broke(self._all_lost()))
            execution = engine.execute(scenario, contract, context, number)
        if engine.lost is None or execution.outcome.says_something:
            return execution
        with self._taken(scenario) as other:
            if other is None:
                return not_run(Broke(self._all_lost()))
            again = other.execute(scenario, contract, context, number)
        if other.lost and not again.outcome.says_something:
            # It may be what ends them: one more try could take the next engine.
            names = f"{engine.name} and {other.name}"
            return not_run(Broke(f"two engines were lost in it, {names}: {other.lost.cause}"))
        return replace(again, moved=Moved(engine=engine.name, reason=engine.lost.cause))

    @contextmanager
    def _taken(self, scenario: Scenario) -> Iterator[Engine | None]:
        """Yield an engine for *scenario*; None if none is left.

        All executions of a scenario are on one engine, as long as that is there: where answers
        differ, it is the probe that is unsteady.
        """
        with self._lock:
            engine = self._chosen.get(scenario.id)
            if engine is None or engine.lost is not None:
                engine = self._next()
            if engine is not None:
                self._chosen[scenario.id] = engine
                engine.running += 1
        try:
            yield engine
        finally:
            if engine is not None:
                with self._lock:
                    engine.running -= 1

    def _next(self) -> Engine | None:
        left = [engine for engine in self._engines if engine.lost is None]
        if not left:
            return None
        seconds = [engine.facts.took for engine in left]
        before = loads(seconds, self._worker)
        load = [already + one.running for already, one in zip(before, left, strict=True)]
        return left[next_engine(seconds, load)]

    def _all_lost(self) -> str:
        """Return why nothing can run any more."""
        causes = [f"{one.name}: {one.lost.cause}" for one in self._engines if one.lost is not None]
        return f"no engine is left: {', '.join(causes)}"

    def describe(self) -> dict[str, Any]:
        """Return the image, the engines, and what isolates its containers."""
        return described(self._request, [engine.facts for engine in self._engines])

    def without_mode(self) -> ContainerDriver:
        """Return a driver that asks for a mode that does not exist; see :class:`ContainerDriver`.

        :raises ConformanceError: no engine is left.
        """
        return self._any().without_mode()

    def stage(self, scenario: Scenario, contract: Contract, context: Context) -> ContainerSpec:
        """Place the home of *scenario* in volumes that stay, on the engine that it ran on.

        :raises ConformanceError: that is not possible.
        """
        engine = self._chosen.get(scenario.id)
        driver = self._any() if engine is None else engine.driver()
        return driver.stage(scenario, contract, context)

    def _any(self) -> ContainerDriver:
        return (self._next() or self._engines[0]).driver()

    def close(self) -> None:
        """Remove all that this process has made."""
        for engine in self._engines:
            engine.close()


def loads(seconds: Sequence[float], workers: int) -> list[int]:
    """Return how many of the first *workers* work on each engine, which takes so many *seconds*.

    Every engine gets one before any gets a second. What comes then is spread by how fast they are.
    """
    counts = [0] * len(seconds)
    for _ in range(workers):
        counts[next_engine(seconds, counts)] += 1
    return counts


def next_engine(seconds: Sequence[float], load: Sequence[int]) -> int:
    """Return the index of the engine that takes the next piece of work.

    It is one that has none, or else the one that gets to it first: each has a *load* of so many
    pieces, and takes so many *seconds* for a piece.
    """

    def until_done(index: int) -> tuple[bool, float]:
        return load[index] > 0, (load[index] + 1) * seconds[index]

    return min(range(len(seconds)), key=until_done)
