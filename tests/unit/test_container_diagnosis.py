"""What many deviations of an image have in common, worked out from results alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conformance.catalogue import catalogue
from conformance.catalogue.contracts import bundled
from conformance.model.outcome import Finding, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.diagnosis import diagnose

SLOT = bundled()["slot"]
SLEEPS = (
    "no scenario was answered in time: the image does not end by itself in AGENT_MODE=smoke-test"
)


def result(
    id_: str, code: int | None, expected: str = "ready", kinds: Sequence[str] = (), **more: str
) -> ScenarioResult:
    how = "deviates" if kinds else "conforms"
    findings = tuple(Finding(kind=kind, message="") for kind in kinds)  # type: ignore[arg-type]
    told: dict[str, Any] = {"result": how, **more}
    return ScenarioResult(
        id=id_, agent="claude", expected=(expected,), code=code, findings=findings, **told
    )


def answers(code: int | None, *kinds: str) -> list[ScenarioResult]:
    """Return results that call for three answers and have all got one."""
    expected = {
        "claude/nested-session": "ready",
        "claude/baseline-only": "creds-missing",
        "codex/empty": "creds-invalid",
    }
    return [result(id_, code, verdict, kinds) for id_, verdict in expected.items()]


def said(results: Sequence[ScenarioResult], without_mode: int | None = None) -> str:
    scenarios = list(catalogue.load_catalogue().scenarios.values())

    def answer(scenario: Scenario) -> int | None:
        assert scenario.id == results[0].id
        return without_mode

    return diagnose(results, SLOT, scenarios, answer)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (
            127,
            "the entrypoint wants to start a program that is not there; is the probe in the image?",
        ),
        (
            126,
            "the entrypoint wants to start a program that is not executable; is the probe in the image?",
        ),
        (
            1,
            "the image ends before its probe can answer, and its stderr says why; a variable it insists on is given with --env",
        ),
        (0, "the probe does not look at the HOME"),
        (64, "the probe does not look at the HOME"),
    ],
)
def test_one_exit_code_for_everything_has_a_cause(code: int, what: str) -> None:
    assert said(answers(code, "wrong-verdict")) == f"every scenario got exit code {code}: {what}"


def test_the_same_code_in_a_mode_that_does_not_exist_is_told() -> None:
    expected = "every scenario got exit code 0, also with an AGENT_MODE that does not exist"
    found = said(answers(0, "wrong-verdict"), without_mode=0)
    assert found == f"{expected}: the entrypoint ignores AGENT_MODE"


def test_different_answers_have_nothing_in_common() -> None:
    assert said([*answers(0), result("cli/healthy", 65)]) == ""


def test_one_answer_is_no_defect_where_one_was_called_for() -> None:
    assert said([result("claude/nested-session", 0), result("cli/healthy", 0)]) == ""


def test_an_image_that_is_killed_has_no_one_exit_code() -> None:
    assert said(answers(None, "killed-by-signal")) == ""


@pytest.mark.parametrize("outcome", ["deviates", "known-failure"])
def test_no_answer_in_time_is_told_whatever_was_called_for(outcome: str) -> None:
    ids = ("claude/nested-session", "cli/healthy")
    one = [result(id_, None, kinds=("timed-out",), result=outcome) for id_ in ids]
    assert said(one) == SLEEPS
    assert said(answers(None, "timed-out")) == SLEEPS
    assert said(one[:1]) == ""


def test_what_was_not_judged_says_nothing_about_the_image() -> None:
    lost = result("cli/healthy", None, "cli-broken", result="broke")
    assert said([*answers(127, "outside-contract"), lost]).startswith(
        "every scenario got exit code 127: "
    )
