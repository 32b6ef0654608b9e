"""Several probes in the homes of the same scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from msgspec import Struct

from conformance.compare.rows import Row
from conformance.loading import scenario_under
from conformance.model.scenario import Scenario
from conformance.run.assembly import Run
from conformance.run.subject import Subject

__all__ = ["Side", "common", "in_parallel", "run_all"]

_Row = TypeVar("_Row")


class Side(Struct, frozen=True):
    """One of the probes that are compared."""

    name: str
    """A letter, by which tables call it."""
    words: str
    """What it is, for people."""
    run: Run

    def document(self) -> dict[str, Any]:
        """Return its contract and its probe for reports, as built-in types."""
        contract = self.run.contract
        return {
            "contract": {"name": contract.name, "version": contract.version},
            "probe": self.run.driver.describe(),
        }


def common(subjects: Sequence[Subject]) -> list[Scenario]:
    """Return the scenarios of the first of *subjects* that are part of every one's contract."""
    return [
        scenario
        for scenario in subjects[0].selected
        if all(_under(subject, scenario).expected(subject.contract) for subject in subjects)
    ]


def _under(asked: Subject | Run, scenario: Scenario) -> Scenario:
    """Return *scenario* with what the contract of *asked* calls for, whatever others do."""
    return scenario_under(asked.contract, scenario, asked.catalogue, asked.request.now)


def in_parallel(
    scenarios: Sequence[Scenario], row: Callable[[Scenario], _Row], workers: int
) -> Iterator[_Row]:
    """Yield what *row* makes of every scenario as it is complete; those that take long begin first.

    It is called in so many threads (*workers*).
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        by_length = sorted(scenarios, key=lambda scenario: not scenario.takes_long)
        pending = [pool.submit(row, scenario) for scenario in by_length]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def run_all(scenarios: Sequence[Scenario], sides: Sequence[Side], workers: int) -> Iterator[Row]:
    """Yield a row for every scenario as it is complete; see :func:`in_parallel`."""

    def row(scenario: Scenario) -> Row:
        runs = (side.run for side in sides)
        return Row(scenario, tuple(run.runner.run(_under(run, scenario)) for run in runs))

    return in_parallel(scenarios, row, workers)
