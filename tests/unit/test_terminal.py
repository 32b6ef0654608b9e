"""What a run says to people in the end, where much has gone wrong for one reason."""

from __future__ import annotations

import io

import msgspec

from conformance.catalogue import contracts
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.outcome import Finding, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.terminal import Terminal

SLOT = contracts.bundled()["slot"]
FULL = "cannot build '.claude/{}' (file) of the home: No space left on device"


def report(scenarios: int) -> RunReport:
    selected = [
        Scenario(
            id=f"a/{number:02}",
            file="",
            summary="some rule",
            origin="",
            agent="claude",
            control={"": "a/control"},
            expect={"slot": ("ready",)},
        )
        for number in range(scenarios)
    ]
    probe = {
        "kind": "command",
        "command": ["probe"],
        "network": "cut",
        "capabilities": "dropped",
        "temporary_directories": "its own",
        "inherited": "",
    }
    return RunReport(SLOT, selected, probe, 0, KnownFailures({}))


def conforms(id_: str) -> ScenarioResult:
    return ScenarioResult(
        id=id_, agent="claude", expected=("ready",), control="", result="conforms"
    )


def said(made: RunReport) -> list[str]:
    """Return the lines of the summary, without empty ones and the line about all of them."""
    stream = io.StringIO()
    Terminal(stream, made, {}).finish()
    return [line for line in stream.getvalue().splitlines() if line][:-1]


def test_what_an_interrupt_kept_from_running_is_one_line() -> None:
    made = report(30)
    made.add(conforms("a/00"))
    made.interrupted = True

    assert said(made) == ["29 not run: interrupted"]
    assert len(made.document()["scenarios"]) == 30


def test_also_where_that_is_only_one_scenario() -> None:
    made = report(1)
    made.interrupted = True

    assert said(made) == ["1 not run: interrupted"]


def test_what_broke_before_the_interrupt_is_told_with_its_reason() -> None:
    made = report(30)
    made.interrupted = True
    made.broke("a/07", FULL.format("x"))

    assert [line.split()[0] for line in said(made)] == ["BROKE", "reason", "repeat", "29"]


def test_many_that_broke_for_one_reason_are_one_line() -> None:
    """Each names a file of its own, and it is the same full disk."""
    made = report(12)
    for number in range(1, 12):
        made.broke(f"a/{number:02}", FULL.format(number))
    made.add(conforms("a/00"))

    assert said(made) == [f"BROKE 11 scenarios, such as a/01: {FULL.replace('.claude/{}', '…')}"]
    assert made.document()["scenarios"][5]["reason"] == FULL.format(5)


def test_many_that_did_not_run_are_one_line_without_an_interrupt_too() -> None:
    assert said(report(12)) == ["12 not run"]


def test_a_few_that_broke_for_one_reason_are_shown_one_by_one() -> None:
    made = report(5)
    for number in range(5):
        made.broke(f"a/{number:02}", FULL.format(number))

    lines = [line for line in said(made) if line.startswith("BROKE")]
    assert lines == [f"BROKE a/{number:02}" for number in range(5)]


def test_two_reasons_are_two_lines() -> None:
    made = report(20)
    for number in range(20):
        made.broke(f"a/{number:02}", FULL.format(number) if number % 2 else "the engine was lost")

    assert [line.partition(": ")[2].partition(" ")[0] for line in said(made)] == ["the", "cannot"]


def test_an_interrupt_is_answered_before_all_has_ended() -> None:
    """No step comes after that: the results of workers that are being ended are no progress."""
    stream = io.StringIO()
    made = report(30)
    view = Terminal(stream, made, {})
    view.start(2)
    for number in range(3):
        made.add(conforms(f"a/{number:02}"))
        view.step()

    view.interrupt()
    for number in range(3, 30):
        made.add(conforms(f"a/{number:02}"))
        view.step()

    assert stream.getvalue().endswith("\n  3 of 30\n\ninterrupted: ending what runs\n\n")


def deviating(made: RunReport, count: int) -> None:
    finding = Finding(kind="changed-home", message="the probe changed the HOME: added .x")
    for number in range(count):
        row = conforms(f"a/{number:02}")
        made.add(msgspec.structs.replace(row, result="deviates", findings=(finding,)))


def test_many_deviations_that_a_hint_explains_are_shown_by_one_of_them() -> None:
    made = report(9)
    deviating(made, 9)
    made.hints, made.explained = ["in all of them"], frozenset(f"a/{n:02}" for n in range(8))

    lines = said(made)

    assert [line for line in lines if line.startswith("DEVIATES")] == [
        "DEVIATES a/00",
        "DEVIATES a/08",
        "DEVIATES 7 more scenarios, as DIAGNOSIS says below: a/01, a/02, a/03, …",
    ]
    assert [line for line in lines if line.startswith("DIAGNOSIS")] == ["DIAGNOSIS in all of them"]
    document = made.document()
    assert document["diagnosis"] == "in all of them"
    assert document["counts"]["deviates"] == 9
    assert document["exit_status"] == 1


def test_few_deviations_are_shown_each_and_every_hint_has_a_line() -> None:
    made = report(5)
    deviating(made, 5)
    made.hints, made.explained = ["one", "two"], frozenset(f"a/{n:02}" for n in range(5))

    lines = said(made)

    assert sum(line.startswith("DEVIATES") for line in lines) == 5
    assert [line for line in lines if line.startswith("DIAGNOSIS")] == [
        "DIAGNOSIS one",
        "DIAGNOSIS two",
    ]
    assert made.document()["diagnosis"] == "one; two"
