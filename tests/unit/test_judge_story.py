"""The judge of stories: the first step that is wrong gives the finding, and advice rests on the time to live."""

from __future__ import annotations

from typing import Any

import pytest
from factories import broke, exited, killed, timed_out, unsupported
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.judge.judge import judge
from conformance.model.contract import Contract
from conformance.model.outcome import Execution, Outcome, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.model.step_result import StepSeen
from conformance.model.story import Check, Claim, Counters, Step, Wait

GATE = bundled()["gate"]
READY, INVALID, OPEN = ("ready",), ("creds-invalid",), ("ready", "creds-invalid")


def story(*steps: Step) -> Scenario:
    return Scenario(
        id="some/story",
        file="story.toml",
        summary="some rule",
        origin="some report",
        agent="claude",
        control={"": "some/control"},
        expect={"gate": READY},
        steps=steps,
    )


def check(*verdicts: str, rules: tuple[str, ...] = (), cached: str = "") -> Step:
    return Step(action=Check(expect=verdicts, cached=cached), rules=rules)


def told(outcome: Outcome, *seen: dict[str, Any], ttl: float = 300) -> Execution:
    """Return an execution in which so much was seen of each step, one a second."""
    steps = [StepSeen(number=n, **{"at": n * 1.0, **one}) for n, one in enumerate(seen, 1)]
    return Execution(outcome=outcome, steps=tuple(steps), ttl=ttl)


def judged(
    one: Scenario, *executions: Execution, contract: Contract = GATE, strict: bool = False
) -> ScenarioResult:
    return judge(one, contract, executions, {"{secret}": "canary-0123456789abcdef"}, strict=strict)


def found(result: ScenarioResult) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.level, one.rule, one.message) for one in result.findings]


YES, NO = {"got": True}, {"got": False}


def test_a_story_whose_answers_all_fit_conforms() -> None:
    result = judged(story(check(*READY), check(*INVALID)), told(exited(0), YES, NO))

    assert (result.result, result.code, result.findings) == ("conforms", 1, ())
    assert [(one.expected, one.got) for one in result.steps] == [
        ("ready (0)", "ready (0)"),
        ("creds-invalid (1)", "creds-invalid (1)"),
    ]


def test_the_exit_code_of_a_gate_is_no_answer() -> None:
    """A script may well end with 1 when its input ends."""
    assert judged(story(check(*READY)), told(exited(1), YES)).result == "conforms"


def test_the_first_step_that_is_wrong_gives_the_finding() -> None:
    one = story(check(*READY), check(*READY, rules=("login", "after-ttl")), check(*INVALID))

    result = judged(one, told(exited(0), YES, NO, YES))

    refusal = "cli-broken (1) or creds-missing (1) or creds-invalid (1)"
    assert found(result) == [
        ("stale-answer", "must", "after-ttl", f"step 2 (check): expected ready (0), got {refusal}")
    ]
    assert (result.code, result.verdict) == (1, "cli-broken or creds-missing or creds-invalid")
    assert [one.wrong for one in result.steps] == [False, True, False]


def test_a_wrong_answer_that_no_rule_of_the_gate_is_about_breaks_the_rule_of_the_home() -> None:
    result = judged(story(check(*READY, rules=("login",))), told(exited(0), NO))

    assert [(kind, rule) for kind, _, rule, _ in found(result)] == [("wrong-verdict", "login")]


def test_after_advice_the_story_is_judged_on() -> None:
    one = story(check(*READY), check(*READY, rules=("login", "clock-set-back")), check(*INVALID))

    result = judged(one, told(exited(0), YES, NO, YES))

    assert [(kind, level) for kind, level, _, _ in found(result)] == [
        ("stale-answer", "should"),
        ("wrong-verdict", "must"),
    ]


@pytest.mark.parametrize(
    ("age", "ttl", "looked_again"),
    [(0.5, 300, True), (298, 300, True), (299.5, 300, False), (0.5, 2, True), (1.2, 2, False)],
)
def test_a_gate_has_looked_again_where_an_answer_was_clearly_alive(
    age: float, ttl: float, looked_again: bool
) -> None:
    one = story(check(*READY), check(*OPEN, cached="ready", rules=("may-be-cached", "caches")))
    seen = [{**YES, "at": 0.0}, {**NO, "at": age}]

    result = judged(one, told(exited(0), *seen, ttl=ttl))

    assert result.result == "conforms"
    assert [kind for kind, *_ in found(result)] == ["looked-again"] * looked_again
    assert judged(one, told(exited(0), *seen, ttl=ttl), strict=True).result == (
        "deviates" if looked_again else "conforms"
    )


def test_the_age_of_an_answer_counts_from_the_first_check_after_time_has_passed() -> None:
    """Any of those checks may have been the one that looked."""
    last = check(*OPEN, cached="ready", rules=("may-be-cached", "caches"))
    one = story(check(*READY), check(*READY), last)
    waited = story(check(*READY), Step(action=Wait(lives=1)), check(*READY), last)

    old = told(exited(0), {**YES, "at": 0.0}, {**YES, "at": 295.0}, {**NO, "at": 302.0})
    young = told(
        exited(0), {**YES, "at": 0.0}, {"at": 1.0}, {**YES, "at": 302.0}, {**NO, "at": 303.0}
    )
    assert found(judged(one, old)) == []
    assert [kind for kind, *_ in found(judged(waited, young))] == ["looked-again"]


def test_the_cached_answer_is_no_advice() -> None:
    one = story(check(*READY), check(*OPEN, cached="ready", rules=("may-be-cached", "caches")))

    assert found(judged(one, told(exited(0), YES, YES))) == []


def test_a_rule_of_the_gate_that_is_off_is_not_judged() -> None:
    rules = {**GATE.rules, "after-ttl": replace(GATE.rules["after-ttl"], off=True)}
    one = story(check(*READY), check(*INVALID, rules=("expired", "after-ttl")))

    result = judged(one, told(exited(0), YES, YES), contract=replace(GATE, rules=rules))

    assert (result.result, found(result)) == ("conforms", [])


def test_an_answer_of_which_all_rules_are_off_is_not_judged() -> None:
    rules = {**GATE.rules, "expired": replace(GATE.rules["expired"], off=True)}
    one = story(check(*READY), check(*INVALID, rules=("expired",)), check(*READY))

    result = judged(one, told(exited(0), YES, YES, YES), contract=replace(GATE, rules=rules))

    assert (result.result, found(result)) == ("conforms", [])
    assert result.steps[1].expected == ""


def test_advice_whose_rule_is_off_is_none() -> None:
    rules = {**GATE.rules, "caches": replace(GATE.rules["caches"], off=True)}
    one = story(check(*READY), check(*OPEN, cached="ready", rules=("may-be-cached", "caches")))

    assert found(judged(one, told(exited(0), YES, NO), contract=replace(GATE, rules=rules))) == []


@pytest.mark.parametrize(
    ("outcome", "seen", "kind", "words"),
    [
        (timed_out(), {"problem": "timed-out"}, "timed-out", "got no answer within 15 s"),
        (killed(9), {"problem": "ended"}, "killed-by-signal", "got killed by SIGKILL"),
        (
            exited(2),
            {"problem": "ended"},
            "outside-contract",
            "the gate ended with exit code 2, and without an answer",
        ),
        (
            exited(0),
            {"problem": "no-answer", "detail": "a line that is not JSON: x"},
            "outside-contract",
            "got a line that is not JSON: x",
        ),
        (
            exited(0, stderr=b"Traceback (most recent call last):\n"),
            {"problem": "crashed", "detail": "KeyError: 'x'"},
            "crashed",
            "the gate fell over: KeyError: 'x'",
        ),
    ],
)
def test_a_step_without_an_answer(
    outcome: Outcome, seen: dict[str, Any], kind: str, words: str
) -> None:
    result = judged(story(check(*READY), check(*READY), check(*READY)), told(outcome, YES, seen))

    message = f"step 2 (check): expected ready (0), {words}"
    assert [(kind_, message_) for kind_, _, _, message_ in found(result)] == [(kind, message)]
    assert result.code is None


def test_a_traceback_beside_right_answers_is_a_crash() -> None:
    outcome = exited(0, stderr=b"Traceback (most recent call last):\n")

    assert [kind for kind, *_ in found(judged(story(check(*READY)), told(outcome, YES)))] == [
        "crashed"
    ]


def test_counters_are_compared_with_those_before() -> None:
    note, same = (Step(action=Counters(same=s), rules=("no-fault",)) for s in (False, True))
    one = story(note, check(*INVALID), same)
    before, after = ({"counters": {"retries": 1.0, "breaker": n}} for n in (0.0, 2.0))

    assert found(judged(one, told(exited(0), before, NO, before))) == []
    assert [
        (kind, rule) for kind, _, rule, _ in found(judged(one, told(exited(0), before, NO, after)))
    ] == [("counted-failure", "no-fault")]


def test_an_answer_that_shows_a_secret_is_a_leak() -> None:
    outcome = exited(0, stdout=b'{"ready": false, "reason": "canary-0123456789abcdef"}\n')

    assert [kind for kind, *_ in found(judged(story(check(*INVALID)), told(outcome, NO)))] == [
        "leaked-secret"
    ]


def test_runs_that_differ_where_a_story_leaves_nothing_open_are_unsteady() -> None:
    one = story(check(*READY), check(*OPEN))

    steady = judged(one, told(exited(0), YES, YES), told(exited(0), YES, NO))
    unsteady = judged(one, told(exited(0), YES, YES), told(exited(0), NO, YES))
    assert found(steady) == []
    assert [kind for kind, *_ in found(unsteady)] == ["wrong-verdict", "unsteady"]


@pytest.mark.parametrize("outcome", [broke("why"), unsupported("why")])
def test_what_says_nothing_about_a_gate_is_no_verdict(outcome: Outcome) -> None:
    result = judged(story(check(*READY)), told(outcome))

    assert (result.reason, result.findings) == ("why", ())


def test_what_was_wrong_before_a_step_that_is_unsupported_counts() -> None:
    one = story(check(*READY), Step(action=Claim(taken=True)))
    lacking = {"problem": "unsupported", "detail": "the gate does not know 'claim'"}
    outcome = unsupported("the gate does not know 'claim'")

    assert judged(one, told(outcome, YES, lacking)).result == "unsupported"
    assert judged(one, told(outcome, NO, lacking)).result == "deviates"


def test_a_claim_in_words() -> None:
    one = story(Step(action=Claim(taken=False), rules=("no-file", "holds-back")))

    assert found(judged(one, told(exited(0), YES))) == [
        (
            "wrong-claim",
            "must",
            "holds-back",
            "step 1 (claim): expected no job taken, got a job taken",
        )
    ]
