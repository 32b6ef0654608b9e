"""What a comparison of probes, or of a CLI with its record, comes to."""

from __future__ import annotations

from typing import Any

import pytest
from factories import bundled_catalogue, result, scenario

from conformance.catalogue import contracts
from conformance.compare.reality import RealityTally, disagree, reason_key
from conformance.compare.rows import Row, meanings
from conformance.compare.tally import CompareTally
from conformance.model.outcome import Result, ScenarioResult
from conformance.model.step_result import StepResult

SLOT = contracts.load("slot")
GATE = contracts.load("preflight")


def row(id_: str, *codes: int | None, kind: Result = "conforms") -> Row:
    """Return the row of a scenario in which the probes gave these codes."""
    return Row(scenario(id_=id_), tuple(result(id_, kind, code=code) for code in codes))


def tally(*rows: Row, **fields: Any) -> CompareTally:
    """Return the tally of a probe of slot and one of preflight."""
    made = CompareTally([SLOT, GATE], len(rows))
    made.rows += rows
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def ids(rows: list[Row]) -> list[str]:
    return [each.scenario.id for each in rows]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (result(code=0), {"ready"}),
        (result(code=3), {"exit code 3"}),
        (result(signal=9), {"killed by signal 9"}),
        (result(), {"no answer"}),
    ],
    ids=str,
)
def test_what_an_answer_can_mean(answer: ScenarioResult, expected: set[str]) -> None:
    assert meanings(answer, SLOT) == expected


def test_a_code_that_verdicts_share_means_any_of_them() -> None:
    shared = meanings(result(code=1), GATE)

    assert shared == set(GATE.verdicts_of(1))
    assert len(shared) > 1


def test_answers_agree_where_they_can_mean_the_same() -> None:
    found = tally(row("a/c", 65, 1), row("a/b", 0, 0), row("a/a", 0, 1))

    assert (ids(found.apart()), ids(found.together())) == (["a/a"], ["a/b", "a/c"])


def test_a_row_without_every_answer_is_not_judged() -> None:
    found = tally(row("a/a", None, None, kind="unsupported"), row("a/b", 0, 0), total=4)

    assert ids(found.unjudged()) == ["a/a"]
    assert found.not_judged() == 3
    assert ids([*found.apart(), *found.together()]) == ["a/b"]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (tally(row("a/a", 0, 0)), 0),
        (tally(row("a/a", 0, 0), row("a/b", None, None, kind="unsupported")), 0),
        (tally(row("a/a", 0, 1)), 1),
        (tally(row("a/a", 0, 1), total=2), 3),
        (tally(row("a/a", 0, 1), row("a/b", None, None, kind="broke")), 3),
        (tally(row("a/a", 0, 1), total=2, interrupted=True), 130),
    ],
    ids=["agree", "unsupported", "disagree", "one is missing", "broke", "interrupted"],
)
def test_the_exit_status_of_a_comparison(found: CompareTally, status: int) -> None:
    assert found.exit_status() == status


# Reality

READY, NOT_READY = 0, 1
CONTRACTS = bundled_catalogue().contracts
STRICT = CONTRACTS["slot-strict"]


def said(id_: str, code: int, strict: str, kind: Result = "conforms", **fields: Any) -> Row:
    """Return the row of a scenario for which slot-strict demands a verdict."""
    made = scenario(id_=id_, expect={"slot-strict": (strict,), "cli-status": ("ready",)}, **fields)
    return Row(made, (result(id_, kind, code=code),))


def reality(*rows: Row, known: dict[str, str] | None = None, **fields: Any) -> RealityTally:
    made = RealityTally(CONTRACTS, len(rows), known or {})
    made.rows += rows
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("said", "demanded", "apart"),
    [
        ("ready", ["ready"], False),
        ("ready", ["creds-invalid"], True),
        ("ready", ["ready", "creds-invalid"], False),
        ("creds-missing", ["creds-invalid"], False),
        ("creds-missing", ["ready"], True),
        ("creds-missing", ["ready", "creds-invalid"], False),
    ],
)
def test_only_ready_or_not_counts(said: str, demanded: list[str], apart: bool) -> None:
    assert disagree(frozenset([said]), demanded) == apart


def test_rows_come_in_the_order_of_what_is_to_be_read_first() -> None:
    changed = said("a/d", NOT_READY, "creds-missing", "deviates")
    apart = said("a/c", READY, "creds-missing")

    found = reality(said("a/b", READY, "ready"), said("a/a", READY, "ready"), apart, changed)

    assert ids(found.sorted()) == ["a/d", "a/c", "a/a", "a/b"]
    assert (ids(found.all_changed()), ids(found.all_apart())) == (["a/d"], ["a/c"])


def test_a_disagreement_needs_a_reason_unless_the_cli_changed_its_mind() -> None:
    rows = [
        said("a/known", READY, "creds-missing"),
        said("a/unknown", READY, "creds-missing"),
        said("a/changed", NOT_READY, "ready", "deviates"),
    ]

    found = reality(*rows, known={"a/known": "it does not look"})

    assert ids(found.all_apart()) == ["a/changed", "a/known", "a/unknown"]
    assert ids(found.unexplained()) == ["a/unknown"]
    assert [found.reason(each) for each in rows] == ["it does not look", "", ""]


def test_a_reason_is_found_by_id_glob_or_rule() -> None:
    rules = {"slot-strict": ("some-rule",)}
    made = scenario(id_="a/b", expect={"slot-strict": ("ready",)}, rules=rules)

    assert reason_key(made, STRICT, {"a/b": "x"}) == "a/b"
    assert reason_key(made, STRICT, {"a/*": "x"}) == "a/*"
    assert reason_key(made, STRICT, {"some-rule": "x"}) == "some-rule"
    assert reason_key(made, STRICT, {"some-rule": "x", "a/*": "y"}) == "a/*"
    assert reason_key(made, STRICT, {"c/*": "x", "other-rule": "y"}) == ""


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (reality(said("a/a", READY, "ready")), 0),
        (reality(said("a/a", READY, "creds-missing"), known={"a/*": "why"}), 0),
        (reality(said("a/a", READY, "creds-missing")), 1),
        (reality(said("a/a", NOT_READY, "creds-missing", "deviates")), 1),
        (reality(said("a/a", NOT_READY, "ready", "broke")), 3),
        (reality(said("a/a", READY, "ready"), total=2), 3),
        (reality(said("a/a", READY, "ready"), total=2, interrupted=True), 130),
    ],
    ids=["same", "explained", "unexplained", "changed", "broke", "one is missing", "interrupted"],
)
def test_the_exit_status_of_reality(found: RealityTally, status: int) -> None:
    assert found.exit_status() == status


@pytest.mark.parametrize(
    ("code", "operation", "got", "words"),
    [
        (0, "check", "ready (0)", "step 2: yes"),
        (1, "claim", "no job taken", "step 2: no"),
        (None, "check", "", "step 2: no answer"),
        (0, "counters", "retries 1, breaker 0", "step 2: retries 1, breaker 0"),
    ],
)
def test_of_a_story_that_goes_wrong_the_step_is_what_it_means(
    code: int | None, operation: str, got: str, words: str
) -> None:
    """Its last answer alone may be that of a gate that was right all along."""
    steps = tuple(
        StepResult(number=n, operation=operation, words="", got=got, wrong=n == 2) for n in (1, 2)
    )
    gate = contracts.load("gate")

    assert meanings(result(code=code, steps=steps), gate) == {words}
    assert meanings(result(code=code, steps=steps[:1]), gate) == {"ready"}
