"""Several probes in the homes of the same scenarios: what each answers, and where they disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from msgspec import Struct

from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.run.assembly import Run

__all__ = ["Row", "Side", "common", "meanings", "run_all"]


class Side(Struct, frozen=True):
    """One of the probes that are compared."""

    name: str
    """A letter, by which tables call it."""
    words: str
    """What it is, for people."""
    run: Run


class Row(Struct, frozen=True):
    """One scenario, and the result of each side in order."""

    scenario: Scenario
    results: tuple[ScenarioResult, ...]

    def judged(self) -> bool:
        """Tell whether every side has answered, or at least been given the time to."""
        return all(result.result in ("conforms", "deviates") for result in self.results)

    def agree(self, contracts: Sequence[Contract]) -> bool:
        """Tell whether there is one meaning that all answers can have."""
        sets = [meanings(result, contract) for result, contract in zip(self.results, contracts, strict=True)]
        return bool(frozenset.intersection(*sets))


def meanings(result: ScenarioResult, contract: Contract) -> frozenset[str]:
    """Return what an answer can mean: verdicts, or how else the probe ended."""
    if result.code is not None:
        return frozenset(contract.verdicts_of(result.code) or (f"exit code {result.code}",))
    if result.signal is not None:
        return frozenset((f"killed by signal {result.signal}",))
    return frozenset(("no answer",))


def common(scenarios: Sequence[Scenario], contracts: Sequence[Contract]) -> list[Scenario]:
    """Return the scenarios that are part of every one of *contracts*."""
    return [scenario for scenario in scenarios if all(scenario.expected(contract) for contract in contracts)]


def run_all(scenarios: Sequence[Scenario], sides: Sequence[Side], workers: int) -> Iterator[Row]:
    """Yield a row for every scenario as it is complete; those in which there is only waiting begin first."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        pending = {}
        for scenario in sorted(scenarios, key=lambda scenario: not scenario.takes_long):
            pending[pool.submit(_row, scenario, sides)] = scenario
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _row(scenario: Scenario, sides: Sequence[Side]) -> Row:
    return Row(scenario, tuple(side.run.runner.run(scenario) for side in sides))
