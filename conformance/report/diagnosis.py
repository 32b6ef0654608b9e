"""What many deviations of an image have in common: often something else answers for its probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["diagnose"]

_BEFORE = "the image ends before its probe can answer, and its stderr says why"
#: What the exit codes of shells and engines say about a program that does not start.
_NOT_STARTED = {126: "not executable", 127: "not there"}


def diagnose(
    results: Sequence[ScenarioResult],
    contract: Contract,
    scenarios: Sequence[Scenario],
    without_mode: Callable[[Scenario], int | None],
) -> str:
    """Return why an image gives the same answer to everything; an empty string if it does not.

    *without_mode* runs a scenario with an ``AGENT_MODE`` that no entrypoint knows, and returns its
    exit code.
    """
    judged = _judged(results)
    if len(judged) > 1 and all("timed-out" in result.kinds() for result in judged):
        mode = "AGENT_MODE=smoke-test"
        return f"no scenario was answered in time: the image does not end by itself in {mode}"
    code = _common_code(judged)
    if code is None:
        return ""
    every = f"every scenario got exit code {code}"
    if code in _NOT_STARTED:
        program = f"a program that is {_NOT_STARTED[code]}"
        return f"{every}: the entrypoint wants to start {program}; is the probe in the image?"
    if not contract.verdicts_of(code):
        return f"{every}: {_BEFORE}; a variable it insists on is given with --env"
    asked = {scenario.id: scenario for scenario in scenarios}[judged[0].id]
    if without_mode(asked) == code:
        mode = "an AGENT_MODE that does not exist"
        return f"{every}, also with {mode}: the entrypoint ignores AGENT_MODE"
    return f"{every}: the probe does not look at the HOME"


def _judged(results: Sequence[ScenarioResult]) -> list[ScenarioResult]:
    """Return the *results* that say something about the probe."""
    return [r for r in results if r.result in ("conforms", "deviates", "known-failure")]


def _common_code(judged: Sequence[ScenarioResult]) -> int | None:
    """Return the one exit code of all *judged* results, if different ones were expected."""
    codes = {result.code for result in judged}
    expected = {result.expected for result in judged}
    return codes.pop() if len(codes) == 1 and len(expected) > 1 else None
