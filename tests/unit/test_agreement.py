"""Whether probe, Manager and contract agree: the rows of the table, and what it comes to."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from factories import result, scenario
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.lockstep.agreement import Agreement
from conformance.lockstep.managers.answers import CODES, Answer, Answers, action_of
from conformance.lockstep.report import LockstepReport
from conformance.model.outcome import Result, ScenarioResult

SLOT = contracts.load("slot")
RIGHT = {0: "accept", 64: "escalate", 65: "slot-init", 66: "re-auth decision-needed"}


def manager(**others: str) -> Answers:
    """Return the answers of the Manager of slot, with other actions: ``c65="retry"``."""
    said = {**RIGHT, **{int(code[1:]): action for code, action in others.items()}}
    return Answers(by_code={code: action_of(said.get(code, "retry"), {}) for code in CODES})


def answered(id_: str, verdict: str, code: int, **fields: Any) -> ScenarioResult:
    """Return the result of a probe that answers *code* where *verdict* is expected."""
    kind: Result = "conforms" if {code} == SLOT.codes([verdict]) else "deviates"
    return result(id_, kind, **{"expected": (verdict,), "code": code, **fields})


def agreement(*results: ScenarioResult, answers: Answers | None = None, **fields: Any) -> Agreement:
    """Return what a run with these results comes to."""
    run = RunReport(SLOT, [scenario(id_=each.id) for each in results], {}, 0.0, KnownFailures({}))
    for each in results:
        run.add(each)
    for name, value in fields.items():
        setattr(run, name, value)
    return Agreement(SLOT, answers or manager(), run)


ALL_RIGHT = [answered(f"a/{each.name}", each.name, each.codes[0]) for each in SLOT.verdicts]


def test_three_that_agree() -> None:
    found = agreement(*ALL_RIGHT)

    assert (found.faults, found.moves, found.change) == ([], [], "")
    assert (found.exit_status(), found.not_judged) == (0, "")
    assert found.codes_not_produced() == []
    assert found.actions_not_reached() == ["retry"]
    rows = found.verdict_rows()
    assert [(row.name, row.codes, row.asked, dict(row.observed)) for row in rows] == [
        ("ready", (0,), "accept", {0: 1}),
        ("cli-broken", (64,), "escalate", {64: 1}),
        ("creds-missing", (65,), "slot-init", {65: 1}),
        ("creds-invalid", (66,), "re-auth decision-needed", {66: 1}),
    ]


def test_a_verdict_of_several_codes_has_them_all_in_the_report() -> None:
    verdicts = tuple(
        replace(each, codes=(*each.codes, 67)) if each.name == "creds-invalid" else each
        for each in SLOT.verdicts
    )
    found = Agreement(
        replace(SLOT, verdicts=verdicts), manager(c67="re-auth decision-needed"), None
    )
    report = LockstepReport(found, {"kind": "table", "file": "m.toml", "command": []})
    stream = StringIO()
    report.show(stream)

    row = report.document()["table"][-1]
    assert (row["code"], row["codes"]) == (66, [66, 67])
    assert row["actions"] == dict.fromkeys(["66", "67"], "re-auth decision-needed")
    assert re.search(r"creds-invalid +66 to 67|creds-invalid +66, 67", stream.getvalue())


def test_a_fault_stands_in_the_row_of_its_code() -> None:
    found = agreement(*ALL_RIGHT, answers=manager(c65="retry", c7="accept"))

    faults = {row.name: [fault.kind for fault in row.faults] for row in found.verdict_rows()}
    assert faults == {
        "ready": [],
        "cli-broken": [],
        "creds-missing": ["wrong-action", "wrong-treatment"],
        "creds-invalid": [],
    }
    crash, other = found.other_rows()
    assert (crash.faults, [fault.codes for fault in other.faults]) == ((), [(7,)])
    assert found.exit_status() == 1


def test_a_fault_of_a_scenario_stands_in_the_row_of_the_verdict_it_expects() -> None:
    """The probe answers 66 for creds-missing: nothing is wrong with the row of 66."""
    found = agreement(answered("a/a", "creds-missing", 66))

    faults = {row.name: [fault.kind for fault in row.faults] for row in found.verdict_rows()}
    assert faults["creds-missing"] == ["wrong-treatment"]
    assert faults["creds-invalid"] == []


def test_every_code_stands_in_one_row() -> None:
    found = agreement(answered("a/a", "ready", 1), answered("a/b", "ready", 7))

    rows = [*found.verdict_rows(), *found.other_rows()]
    assert sorted(code for row in rows for code in row.codes) == sorted(CODES)
    assert {row.name: dict(row.observed) for row in found.other_rows()} == {
        "crash": {1: 1},
        "any other": {7: 1},
    }


def test_a_contract_with_the_code_1_has_no_row_for_crashes() -> None:
    found = Agreement(contracts.load("preflight"), manager(), None)

    assert [row.name for row in found.other_rows()] == ["any other"]


def test_what_the_manager_does_is_grouped_and_codes_are_not_in_the_way() -> None:
    by_code = {code: Answer(failed=f"raised KeyError: {code}") for code in (2, 3)}
    found = agreement(answers=Answers(by_code={0: action_of("accept", {}), **by_code}))

    assert found.treatment([0, 2, 3, 4]) == {"accept": [0], "raised KeyError: …": [2, 3]}


def test_codes_and_actions_that_no_scenario_comes_to() -> None:
    found = agreement(answered("a/a", "ready", 0), answers=manager(c70="page"))

    assert found.codes_not_produced() == [64, 65, 66]
    unreached = ["escalate", "slot-init", "re-auth decision-needed", "retry", "page"]
    assert found.actions_not_reached() == unreached


def test_a_deviation_that_the_exit_code_does_not_show_is_counted() -> None:
    changed = result("a/a", "deviates", "changed-home", code=0)
    found = agreement(changed, answered("a/b", "ready", 65))

    assert found.deviations_elsewhere() == 1


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        (agreement(*ALL_RIGHT), 0, ""),
        (agreement(answered("a/a", "ready", 65)), 1, ""),
        (agreement(*ALL_RIGHT, answers=manager(c7="accept")), 1, ""),
        (agreement(result("a/a", "deviates", "changed-home", code=0)), 0, ""),
        (agreement(*ALL_RIGHT, trouble=["no disk", "no luck"]), 3, "no disk; no luck"),
        (agreement(*ALL_RIGHT, interrupted=True), 130, ""),
        (Agreement(SLOT, manager(), None), 0, ""),
    ],
    ids=["agree", "probe", "Manager", "deviates otherwise", "trouble", "interrupted", "no probe"],
)
def test_the_exit_status(found: Agreement, status: int, reason: str) -> None:
    assert (found.exit_status(), found.not_judged) == (status, reason)


def test_a_lost_manager_is_not_judged_whatever_the_run_comes_to() -> None:
    lost = Answers(by_code={0: action_of("accept", {}), 65: Answer(failed="hung", lost=True)})

    for found in (
        Agreement(SLOT, lost, None),
        agreement(*ALL_RIGHT, answers=lost, interrupted=True),
    ):
        assert (found.exit_status(), found.not_judged) == (3, "asked for 65, the Manager hung")
