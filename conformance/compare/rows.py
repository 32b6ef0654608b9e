"""What several probes answered in one scenario, and whether that means the same."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.step_result import StepResult

__all__ = ["Row", "meanings"]


class Row(Struct, frozen=True):
    """One scenario, and the result of each side in order."""

    scenario: Scenario
    results: tuple[ScenarioResult, ...]

    def broke(self) -> bool:
        """Tell whether some side could not be run."""
        return any(result.result == "broke" for result in self.results)

    def judged(self) -> bool:
        """Tell whether every side has answered, or at least been given the time to."""
        return all(result.result in ("conforms", "deviates") for result in self.results)

    def agree(self, contracts: Sequence[Contract]) -> bool:
        """Tell whether there is one meaning that all answers can have."""
        answers = zip(self.results, contracts, strict=True)
        sets = [meanings(result, contract) for result, contract in answers]
        return bool(frozenset.intersection(*sets))


def meanings(result: ScenarioResult, contract: Contract) -> frozenset[str]:
    """Return what an answer can mean: verdicts, or how else the probe ended.

    Of a gate that is asked in steps, what its story was to come to, or the step that went wrong.
    """
    if contract.in_steps:
        wrong = next((step for step in result.steps if step.wrong), None)
        return frozenset(result.expected if wrong is None else (_said(wrong, result, contract),))
    if contract.entrypoint is not None and result.verdict:
        return frozenset((result.verdict,))
    if result.code is not None and not contract.exit_code_answers:
        return frozenset((result.verdict or f"exit code {result.code} without an answer",))
    if result.code is not None:
        return frozenset(contract.verdicts_of(result.code) or (f"exit code {result.code}",))
    if result.signal is not None:
        return frozenset((f"killed by signal {result.signal}",))
    return frozenset(("no answer",))


def _said(wrong: StepResult, result: ScenarioResult, contract: Contract) -> str:
    """Return what a gate said in the step that is wrong."""
    said = wrong.got or "no answer"
    if wrong.operation in ("check", "claim") and result.code is not None:
        said = "yes" if result.code == contract.code_of_truth(go=True) else "no"
    return f"step {wrong.number}: {said}"
