"""What many deviations of an image have in common: often it is not its probe that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conformance.model.contract import Contract
from conformance.model.outcome import ScenarioResult
from conformance.model.scenario import Scenario

__all__ = ["diagnose"]

_BEFORE = "the image ends before its probe can answer, and its stderr says why"


def diagnose(
    results: Sequence[ScenarioResult],
    contract: Contract,
    scenarios: Sequence[Scenario],
    without_mode: Callable[[Scenario], int | None],
) -> str:
    """Return why an image gives one and the same answer to everything, or an empty string where it does not.

    *without_mode* runs a scenario with an ``AGENT_MODE`` that no entrypoint knows, and returns its exit code.
    """
    judged = [result for result in results if result.result in ("conforms", "deviates", "known-failure")]
    if len(judged) > 1 and all("timed-out" in result.kinds() for result in judged):
        return "no scenario was answered in time: the image does not end by itself in AGENT_MODE=smoke-test"
    if len({result.expected for result in judged}) < 2:
        return ""
    codes = {result.code for result in judged}
    if len(codes) != 1 or (code := codes.pop()) is None:
        return ""
    every = f"every scenario got exit code {code}"
    if code in (126, 127):
        what = "not there" if code == 127 else "not executable"
        return f"{every}: the entrypoint wants to start a program that is {what}; is the probe in the image?"
    if not contract.verdicts_of(code):
        return f"{every}: {_BEFORE}; a variable it insists on is given with --env"
    asked = next(scenario for scenario in scenarios if scenario.id == judged[0].id)
    if without_mode(asked) == code:
        return f"{every}, also with an AGENT_MODE that does not exist: the entrypoint ignores AGENT_MODE"
    return f"{every}: the probe does not look at the HOME"
