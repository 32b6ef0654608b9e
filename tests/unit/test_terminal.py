"""What a run says to people in the end, where much has gone wrong for one reason."""

from __future__ import annotations

import io

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.catalogue import contracts
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.cause import Cause
from conformance.model.outcome import Finding, Result, ScenarioResult
from conformance.model.scenario import Scenario
from conformance.report.terminal import Quiet, Terminal

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


def said(made: RunReport, *, all_of_it: bool = False) -> list[str]:
    """Return the lines of the summary, without empty ones and the line about all of them."""
    stream = io.StringIO()
    Terminal(stream, made, {}, all_of_it=all_of_it).finish()
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

    assert [line.split()[0] for line in said(made)] == ["BROKE", "reason", "device", "29"]


def test_many_that_broke_for_one_reason_are_one_line() -> None:
    """Each names a file of its own, and it is the same full disk."""
    made = report(12)
    for number in range(1, 12):
        made.broke(f"a/{number:02}", FULL.format(number))
    made.add(conforms("a/00"))

    words = f"BROKE 11 scenarios, such as a/01: {FULL.replace('.claude/{}', '…')}".split()
    assert " ".join(said(made)).split() == words
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

    lines = [line for line in said(made) if line.startswith("BROKE")]
    assert [line.partition(": ")[2].partition(" ")[0] for line in lines] == ["the", "cannot"]


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


def test_a_cause_is_shown_by_its_most_basic_scenario() -> None:
    made = report(200)
    deviating(made, 200)
    made.hints = ["in all of them"]
    ids = [f"a/{n:02}" for n in range(200)]
    made.causes = [
        Cause(kind="hint", name="", text="in all of them", scenarios=tuple(ids[9:199])),
        Cause(kind="vice", name="slot/some", text="Some vice", scenarios=tuple(ids[:9]), fit=0.9),
    ]

    lines = said(made)

    assert lines[:4] == [
        "200 of 200 scenarios deviate, for 3 causes:",
        "  190  in all of them",
        "    9  like slot/some: Some vice",
        "    1  the probe changed the HOME: added .x",
    ]
    assert lines[4] == "DIAGNOSIS in all of them"
    shown = [line for line in lines if line.startswith("DEVIATES")]
    assert shown == ["DEVIATES a/09 and 189 more", "DEVIATES a/00 and 8 more", "DEVIATES a/199"]
    [one, other] = [line for line in lines if line.startswith("  also in")]
    assert one == "  also in          a/10, a/11, a/12, a/13, a/14, a/15, a/16, a/17 and 181 more"
    assert other == "  also in          a/01, a/02, a/03, a/04, a/05, a/06, a/07, a/08"
    cause = lines[lines.index("DEVIATES a/00 and 8 more") + 1 :][:2]
    assert " ".join(" ".join(cause).split()) == (
        "cause like the wrong probe slot/some: Some vice; 90% of its deviations are seen here"
    )
    document = made.document()
    assert document["diagnosis"] == "in all of them"
    assert [cause["name"] for cause in document["causes"]] == ["", "slot/some"]


def test_where_all_is_wanted_each_deviation_is_shown_in_the_order_of_the_causes() -> None:
    made = report(60)
    deviating(made, 60)
    ids = tuple(f"a/{n:02}" for n in range(60))
    made.causes = [Cause(kind="rule", name="slot:x", text="Some", scenarios=ids[::-1][:50])]

    lines = said(made, all_of_it=True)

    assert [line for line in lines if line.startswith("DEVIATES")] == [
        f"DEVIATES {id_}" for id_ in (*ids[::-1][:50], *ids[:10])
    ]
    assert lines[12] == "  cause            slot:x: Some"


def test_a_scenario_that_two_causes_list_is_shown_once() -> None:
    made = report(2)
    deviating(made, 2)
    ids = ("a/00", "a/01")
    made.causes = [Cause(kind="rule", name="slot:x", text=text, scenarios=ids) for text in "ab"]

    lines = said(made, all_of_it=True)

    assert [line for line in lines if line.startswith("DEVIATES")] == [
        "DEVIATES a/00",
        "DEVIATES a/01",
    ]


def test_known_failures_are_no_part_of_what_there_is_to_mend() -> None:
    made = report(3)
    deviating(made, 3)
    [first, *_] = made.results()
    made.add(msgspec.structs.replace(first, result="known-failure"))
    made.causes = [
        Cause(kind="rule", name="slot:x", text="a", scenarios=("a/00",)),
        Cause(kind="rule", name="slot:y", text="b", scenarios=("a/01", "a/00", "a/02")),
    ]

    assert [line for line in said(made) if line.startswith("DEVIATES")] == [
        "DEVIATES a/01 and 1 more"
    ]


def test_of_many_causes_those_that_fit_a_screen_are_shown() -> None:
    made = report(60)
    deviating(made, 60)

    lines = said(made)

    shown = sum(line.startswith("DEVIATES") for line in lines)
    assert shown > 5
    assert (
        f"{60 - shown} more causes: -v shows all, and so do the files of --json and --html" in lines
    )
    assert lines[9:10] == ["   52  for 52 further causes"]


WORD = st.text("abcdefghij/_-.:", min_size=1, max_size=30)
WORDS = st.lists(WORD, min_size=1, max_size=60).map(" ".join)
ROWS = st.lists(
    st.tuples(st.sampled_from(["deviates", "broke", "unsupported", "conforms"]), WORDS, WORDS),
    max_size=40,
)


LONG = "some words " * 400


@settings(max_examples=60, deadline=None)
@example(
    rows=[
        (kind, f"{number}{LONG}", LONG) for number in range(10) for kind in ("deviates", "broke")
    ],
    hints=[LONG] * 5,
    trouble=[LONG] * 9,
)
@given(rows=ROWS, hints=st.lists(WORDS, max_size=5), trouble=st.lists(WORDS, max_size=9))
def test_the_first_screen_is_no_more_than_60_lines_of_80_columns(
    rows: list[tuple[Result, str, str]], hints: list[str], trouble: list[str]
) -> None:
    made = report(len(rows))
    for number, (kind, text, output) in enumerate(rows):
        found = (Finding(kind="crashed", message=text),) if kind == "deviates" else ()
        row = conforms(f"a/{number:02}")
        changes = {"result": kind, "findings": found, "reason": "" if found else text}
        more = {"stderr": output.replace(" ", "\n"), "difference": tuple(output.split())}
        made.add(msgspec.structs.replace(row, **changes, **more))
    made.hints, made.trouble = hints, trouble
    made.repeat = lambda id_: ("probe-conformance", "repro", id_, "--probe", "some probe " * 9)
    stream = io.StringIO()
    view = Terminal(stream, made, {scenario.id: scenario for scenario in made.selected})
    view.start(2)
    for _ in rows:
        view.step()
    view.finish()

    lines = stream.getvalue().splitlines()
    assert len(lines) <= 60
    too_long = [line for line in lines if len(line) > 80 and "'some probe" not in line]
    assert [line for line in too_long if len(line.split()) > 1] == []


def test_of_a_long_output_the_end_is_shown_and_what_names_an_error() -> None:
    made = report(1)
    deviating(made, 1)
    [row] = made.results()
    frames = [f"  at frame {number}" for number in range(20)]
    text = ["probe.js:3", "TypeError: x is not iterable", *frames, "Node.js v20"]
    made.add(msgspec.structs.replace(row, stderr="\n".join(text)))

    lines = [line for line in said(made) if line.startswith("  stderr")]

    assert [line.removeprefix("  stderr           ") for line in lines] == [
        "probe.js:3",
        "TypeError: x is not iterable",
        "… 19 more lines",
        "at frame 19",
        "Node.js v20",
    ]


def test_a_rule_is_told_as_the_contract_that_judges_has_it() -> None:
    """The text of the contract that states it says another answer."""
    rule = SLOT.rules["claude-login"]
    changed = msgspec.structs.replace(rule, expect=("creds-invalid",), decided_by="ours")
    ours = msgspec.structs.replace(
        SLOT, name="ours", lineage=("ours", "slot"), rules={**SLOT.rules, "claude-login": changed}
    )
    made = report(1)
    made.contract = ours
    made.selected = [msgspec.structs.replace(made.selected[0], rules={"slot": ("claude-login",)})]
    deviating(made, 1)
    [row] = made.results()
    finding = Finding(kind="wrong-verdict", message="expected creds-invalid (66), got ready (0)")
    made.add(msgspec.structs.replace(row, findings=(finding,)))
    stream = io.StringIO()

    Terminal(stream, made, {made.selected[0].id: made.selected[0]}).finish()

    words = " ".join(stream.getvalue().split())
    assert "rule ours:claude-login: ours calls for creds-invalid (66) where slot says: " in words


def test_quiet_is_one_line() -> None:
    made = report(3)
    deviating(made, 3)
    stream = io.StringIO()
    view = Quiet(stream, made)
    view.start(2)
    view.step()

    view.finish()

    assert stream.getvalue() == "0 conform, 3 deviate in 0.0 s: NOT CONFORMANT\n"


def test_few_deviations_are_shown_each_and_every_hint_has_a_line() -> None:
    made = report(5)
    deviating(made, 5)
    made.hints = ["one", "two"]

    lines = said(made)

    assert sum(line.startswith("DEVIATES") for line in lines) == 5
    assert [line for line in lines if line.startswith("DIAGNOSIS")] == [
        "DIAGNOSIS one",
        "DIAGNOSIS two",
    ]
    assert made.document()["diagnosis"] == "one; two"
