"""Two reports compared: each planted change is named, and nothing else; what is shown of it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from factories import refusal, result, scenario
from factories_reports import row, saved, with_finding
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.compare.changes import answer_of, changes, check_baseline, probe_name
from conformance.errors import UsageError
from conformance.judge.known_failures import KnownFailure, KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.change import CHANGE_KINDS, Change, Changes
from conformance.model.shard import Shard
from conformance.report.changes import change_lines, outcome, side_lines, summary_lines
from conformance.report.saved import Named, SavedReport, SavedRow, parse_report
from conformance.report.terminal import Terminal

SLOT = contracts.bundled()["slot"]
OPEN: dict[str, Any] = {"expected": ("ready", "creds-missing"), "expected_codes": (0, 65)}
MISSING: dict[str, Any] = {"expected": ("creds-missing",), "expected_codes": (65,)}


def compared(before: SavedRow | None, now: SavedRow | None) -> Change | None:
    """Return what became of one scenario."""
    old = saved([row("other"), *([before] if before else [])])
    new = saved([row("other"), *([now] if now else [])])
    found = changes(old, new).changes
    assert len(found) < 2
    return found[0] if found else None


#: What can be planted: the rows of a scenario, the kind that comes out, and whether it is worse.
PLANTED: dict[str, tuple[SavedRow | None, SavedRow | None, str, bool]] = {
    "as before": (row("a"), row("a", seconds=9.0, stdout="else"), "", False),
    "deviates as before": (row("a", "deviates"), row("a", "deviates"), "", False),
    "unsupported as before": (row("a", "unsupported"), row("a", "broke"), "", False),
    "a known failure as before": (row("a", "known-failure"), row("a", "deviates"), "", False),
    "written down meanwhile": (row("a", "deviates"), row("a", "known-failure"), "", False),
    "advice is no matter": (
        row("a"),
        with_finding(row("a"), "left-cli-process", "should"),
        "",
        False,
    ),
    "regressed": (row("a"), row("a", "deviates"), "regressed", True),
    "deviates in more ways": (
        row("a", "deviates"),
        with_finding(row("a", "deviates"), "leaked-secret"),
        "regressed",
        True,
    ),
    "a known failure that fails otherwise": (
        row("a", "known-failure"),
        row("a", "deviates", "creds-invalid"),
        "regressed",
        True,
    ),
    "unsupported by now": (row("a"), row("a", "unsupported"), "no-longer-judged", True),
    "broke by now": (row("a"), row("a", "broke"), "no-longer-judged", True),
    "of another version": (row("a"), row("a", "puzzled"), "no-longer-judged", True),
    "deviated, and broke": (row("a", "deviates"), row("a", "broke"), "no-longer-judged", False),
    "mended": (row("a", "deviates"), row("a"), "mended", False),
    "a known failure mended": (row("a", "known-failure"), row("a"), "mended", False),
    "deviates otherwise": (
        row("a", "deviates"),
        row("a", "deviates", "cli-broken"),
        "changed-answer",
        False,
    ),
    "deviates in fewer ways": (
        with_finding(row("a", "deviates"), "leaked-secret"),
        row("a", "deviates"),
        "changed-answer",
        False,
    ),
    "conforms otherwise": (
        row("a", **OPEN),
        row("a", "conforms", "creds-missing", **OPEN),
        "changed-answer",
        False,
    ),
    "a known failure by now": (row("a"), row("a", "known-failure"), "known-by-now", False),
    "new": (None, row("a"), "new", False),
    "new, and deviates": (None, row("a", "deviates"), "new", False),
    "gone": (row("a"), None, "gone", False),
    "judged again": (row("a", "broke"), row("a"), "judged-again", False),
    "judged again, and deviates": (row("a", "broke"), row("a", "deviates"), "judged-again", False),
    "expected otherwise": (
        row("a"),
        row("a", "deviates", "ready", **MISSING),
        "asked-otherwise",
        False,
    ),
    "expected otherwise, and conforms": (
        row("a"),
        row("a", "conforms", "creds-missing", **MISSING),
        "asked-otherwise",
        False,
    ),
    "expected otherwise, in reports without codes": (
        row("a", expected_codes=()),
        row("a", "deviates", "ready", expected=("creds-missing",), expected_codes=()),
        "asked-otherwise",
        False,
    ),
    "another code": (row("a"), row("a", "deviates", expected_codes=(7,)), "asked-otherwise", False),
    "another home": (
        row("a", digest="1"),
        row("a", "deviates", digest="2"),
        "asked-otherwise",
        False,
    ),
    "another home, and conforms": (row("a", digest="1"), row("a", digest="2"), "", False),
    "another home, and mended": (
        row("a", "deviates", digest="1"),
        row("a", digest="2"),
        "asked-otherwise",
        False,
    ),
    "the same home, and deviates": (
        row("a", digest="1"),
        row("a", "deviates", digest="1"),
        "regressed",
        True,
    ),
    "what was advice counts": (
        with_finding(row("a"), "left-cli-process", "should", "always-cli-alone"),
        with_finding(
            row("a", "deviates", findings=(), answer="ready"),
            "left-cli-process",
            "must",
            "always-cli-alone",
        ),
        "asked-otherwise",
        False,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_change_is_named(name: str) -> None:
    before, now, kind, worse = PLANTED[name]

    found = compared(before, now)

    assert ((found.kind, found.worse) if found else ("", False)) == (kind, worse)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(PLANTED)), max_size=30), st.randoms())
def test_what_was_planted_is_what_comes_out(names: list[str], random: object) -> None:
    """Whatever else there is, and in whatever order the rows stand."""
    planted = {f"s/{number:02}": PLANTED[name] for number, name in enumerate(names)}
    old = [replace(before, id=id_) for id_, (before, *_) in planted.items() if before]
    new = [replace(now, id=id_) for id_, (_, now, *_) in planted.items() if now]
    random.shuffle(old)  # type: ignore[attr-defined]
    random.shuffle(new)  # type: ignore[attr-defined]

    found = changes(saved(old), saved(new))

    assert {change.id: (change.kind, change.worse) for change in found.changes} == {
        id_: (kind, worse) for id_, (_, _, kind, worse) in planted.items() if kind
    }
    assert found.same == sum(not kind for _, _, kind, _ in planted.values())
    assert sum(found.counts().values()) == len(found.changes)
    order = [(CHANGE_KINDS.index(change.kind), change.id) for change in found.changes]
    assert order == sorted(order)


@given(st.lists(st.sampled_from(sorted(PLANTED)), min_size=1, max_size=200))
@settings(max_examples=25, deadline=None)
def test_a_screen_holds_any_comparison(names: list[str]) -> None:
    """No more than 60 lines of 80 columns, every id whole, and the worst in full first."""
    planted = {f"some/scenario-{number:03}": PLANTED[name] for number, name in enumerate(names)}
    old = saved(replace(before, id=id_) for id_, (before, *_) in planted.items() if before)
    new = saved(replace(now, id=id_) for id_, (_, now, *_) in planted.items() if now)
    found = changes(old, new)

    head = [*((line, "") for line in side_lines(found)), *summary_lines(found)]
    lines = [line for line, _ in (*head, *change_lines(found, 60 - len(head) - 4))]

    assert len(lines) + 4 <= 60
    assert max(map(len, lines)) <= 80
    words = {word.strip(",") for line in lines for word in line.split()}
    ids = {word for word in words if word.startswith("some/")}
    assert ids <= planted.keys()
    worse = [change.id for change in found.worse()]
    assert not worse or worse[0] in ids
    everything = "\n".join(line for line, _ in change_lines(found))
    assert [
        change.id for change in found.changes if f"  {change.id}\n" not in f"{everything}\n"
    ] == []


def test_an_id_longer_than_a_line_is_whole() -> None:
    long = "claude/" + "very-" * 30 + "long"
    found = changes(saved([row(long), row("b")]), saved([row(long, "deviates"), row("b")]))

    assert f"  {long}" in [line for line, _ in change_lines(found, 20)]
    assert f"  {long}" in [line for line, _ in change_lines(found, 0)]


def test_a_rule_that_the_old_report_did_not_have_says_nothing_about_the_probe() -> None:
    """A newer suite looks at more; what it always looked at still counts."""
    new_rule = ("opened-a-door", "must", "always-shut")
    late = ("timed-out", "must", "always-in-time")
    old = saved([row("a"), row("b"), row("c", "deviates")])
    new = saved(
        [
            with_finding(row("a", "deviates", "ready", findings=()), *new_rule),
            with_finding(
                with_finding(row("b", "deviates", "ready", findings=()), *new_rule), *late
            ),
            with_finding(row("c", "deviates"), *new_rule),
        ],
        levels={**old.levels, "always-shut": "must"},
    )

    kinds = {change.id: change.kind for change in changes(old, new).changes}
    unknown = changes(replace(old, levels={}), new)

    assert kinds == {"a": "asked-otherwise", "b": "regressed", "c": "changed-answer"}
    assert {change.id for change in unknown.worse()} == {"a", "b", "c"}  # nothing says otherwise
    back = {change.id: change.kind for change in changes(new, old).changes}
    assert back == {"a": "asked-otherwise", "b": "mended", "c": "changed-answer"}


def test_what_did_not_run_because_a_run_was_cut_short_is_not_judged_any_more() -> None:
    old = saved([row("a"), row("b", "deviates"), row("c")])
    new = saved([row("c")], left_out=("a", "b", "d"))

    found = changes(old, new, only=())

    assert [(one.id, one.kind, one.worse) for one in found.changes] == [
        ("a", "no-longer-judged", True),
        ("b", "no-longer-judged", False),
        ("d", "new", False),
    ]


def test_a_run_is_compared_in_the_scenarios_that_ran() -> None:
    old = saved([row("a"), row("b"), row("c")])

    found = changes(old, saved([row("a", "deviates")]), only=())

    assert ([one.id for one in found.changes], found.outside, found.same) == (["a"], 2, 0)


def test_other_versions_are_compared_and_named() -> None:
    other: dict[str, Any] = {
        "suite": Named(name="probe-conformance", version="0.2.0"),
        "contract": Named(name="slot", version="2"),
    }
    old = saved([row("a"), row("b")])
    new = saved(
        [row("a"), row("b", "deviates")],
        strict=True,
        as_of="2",
        interrupted=True,
        shard=Shard(index=2, count=4, scenarios=9, selection="x"),
        trouble=("x" * 999,),
        **other,
    )

    found = changes(old, new)

    assert [one.id for one in found.worse()] == ["b"]
    assert [note[:50] for note in found.notes] == [
        "suite 0.1.0 wrote the old report, 0.2.0 the new on",
        "contract slot was version 1, now 2",
        "the old run was about the present of the contract,",
        "advice counts in the new run only (--strict)",
        "the new report is about shard 2 of 4 alone",
        "the new run was interrupted",
        "the new run had trouble: " + "x" * 25,
    ]
    assert changes(old, old).notes == ()


def test_another_contract_is_refused_also_one_that_extends_it() -> None:
    old, new = saved([row("a")]), saved([row("a")], contract=Named(name="slot-strict", version="1"))

    line = refusal(UsageError, changes, old, new, old_name="a.json", new_name="b.json")

    assert line == (
        "a.json is about contract 'slot', and b.json about 'slot-strict'; "
        "compare reports of one contract; compare runs probes under several"
    )


def test_a_baseline_that_says_nothing_about_a_run_is_refused() -> None:
    baseline = saved([row("a"), row("b", "broke")])

    check_baseline(baseline, "x.json", "slot", ["a", "c"])
    assert "and this run about 'gate'" in refusal(
        UsageError, check_baseline, baseline, "x.json", "gate", ["a"]
    )
    for ids in (["c"], ["b"], []):
        assert refusal(UsageError, check_baseline, baseline, "x.json", "slot", ids).startswith(
            "x.json has judged none of the scenarios that are to run; "
        )


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (row("a"), "ready (0)"),
        (row("a", "deviates"), "creds-missing (65)"),
        (row("a", "deviates", code=1, verdict=None), "exit code 1"),
        (
            with_finding(row("a", "deviates", code=1, verdict=None), "crashed"),
            "exit code 1, crashed",
        ),
        (row("a", "deviates", code=None, verdict=None, signal=9), "killed by SIGKILL"),
        (
            with_finding(row("a", "deviates", code=None, verdict=None, findings=()), "timed-out"),
            "no answer in time",
        ),
        (row("a", "deviates", code=None, verdict=None), "no answer"),
        (row("a", "broke"), "no engine"),
        (row("a", "broke", reason=""), "broke"),
        (row("a", "broke", reason="x\n\x1b" + "y" * 500), "x \\x1b" + "y" * 113 + "…"),
        (with_finding(row("a"), "left-cli-process", "should"), "ready (0)"),
    ],
)
def test_an_answer_in_short(answered: SavedRow, words: str) -> None:
    assert answer_of(answered) == words


def test_the_answer_of_a_gate_is_that_of_each_of_its_steps() -> None:
    steps = ({"operation": "check", "got": "go"}, {"operation": "wait", "got": "0.1"})
    later = ({"operation": "check", "got": "no go"}, {"operation": "wait", "got": "0.1"})
    waited = ({"operation": "check", "got": "go"}, {"operation": "wait", "got": "0.2"})

    found = compared(row("a", steps=steps), row("a", steps=later))

    assert found is not None
    assert found.kind == "changed-answer"
    assert compared(row("a", steps=steps), row("a", steps=waited)) is None


@pytest.mark.parametrize(
    ("probe", "name"),
    [
        ({"kind": "command", "command": ["python3", "my probe.py"]}, "python3 'my probe.py'"),
        ({"kind": "image", "image": "slot:ci", "digest": "sha256:1"}, "image slot:ci"),
        ({"kind": "image", "image": "r:5000/slot:ci@sha256:1f"}, "image r:5000/slot:ci"),
        ({"kind": "callable", "command": ["python"], "callable": "m:main"}, "python m:main"),
        ({"kind": "cli", "command": []}, "cli"),
        ({}, "probe"),
        ({"command": "x", "image": 3}, "probe"),
    ],
)
def test_a_probe_has_one_name_in_all_its_reports(probe: dict[str, object], name: str) -> None:
    assert probe_name(saved([], probe=probe)) == name


def against(results: dict[str, str], before: dict[str, str], **fields: Any) -> RunReport:
    """Return the report of a run with these results, and with a baseline that has those *before*."""
    made = RunReport(
        SLOT, [scenario(id_=id_) for id_ in results], {}, 0, fields.pop("known", KnownFailures({}))
    )
    for id_, kind in results.items():
        made.add(result(id_, kind, *(["wrong-verdict"] if kind == "deviates" else [])))  # type: ignore[arg-type]
    for name, value in fields.items():
        setattr(made, name, value)
    old = saved(row(id_, kind, digest="") for id_, kind in before.items())

    def compare(document: dict[str, Any]) -> Changes:
        return changes(old, parse_report(json.dumps(document), "x"), old_name="old.json", only=())

    made.against = compare
    made.conclude()
    return made


@pytest.mark.parametrize(
    ("results", "before", "fields", "status", "verdict"),
    [
        (
            {"a": "deviates", "b": "conforms"},
            {"a": "deviates", "b": "conforms"},
            {},
            0,
            "nothing got worse",
        ),
        (
            {"a": "conforms", "b": "conforms"},
            {"a": "deviates", "b": "conforms"},
            {},
            0,
            "CONFORMANT",
        ),
        (
            {"a": "deviates", "b": "conforms"},
            {"a": "conforms", "b": "conforms"},
            {},
            1,
            "1 GOT WORSE",
        ),
        (
            {"a": "unsupported", "b": "conforms"},
            {"a": "conforms", "b": "conforms"},
            {},
            1,
            "1 GOT WORSE",
        ),
        (
            {"a": "unsupported", "b": "conforms"},
            {"a": "deviates", "b": "conforms"},
            {},
            0,
            "CONFORMANT",
        ),
        (
            {"b": "conforms"},
            {"a": "conforms", "b": "conforms"},
            {"left_out": {"a"}},
            1,
            "1 GOT WORSE",
        ),
        (
            {"b": "conforms"},
            {"a": "deviates", "b": "conforms"},
            {"left_out": {"a"}},
            1,
            "NOT CONFORMANT",
        ),
        ({"a": "broke", "b": "conforms"}, {"a": "deviates", "b": "conforms"}, {}, 3, "NOT JUDGED"),
        ({"a": "deviates", "b": "broke"}, {"a": "conforms", "b": "conforms"}, {}, 3, "NOT JUDGED"),
        ({"a": "unsupported"}, {"a": "conforms"}, {}, 3, "NOT JUDGED"),
        ({"a": "conforms"}, {"a": "conforms"}, {"trouble": ["x"]}, 3, "NOT JUDGED"),
        ({"a": "deviates"}, {"a": "deviates"}, {"interrupted": True}, 130, "INTERRUPTED"),
        (
            {"a": "conforms"},
            {"a": "deviates"},
            {"known": KnownFailures({"a": KnownFailure("issue 1")}, "known.toml")},
            1,
            "NOT CONFORMANT",
        ),
    ],
)
def test_the_verdict_says_what_the_exit_status_says(
    results: dict[str, str],
    before: dict[str, str],
    fields: dict[str, Any],
    status: int,
    verdict: str,
) -> None:
    """A baseline changes 1 and nothing else: what could not be judged as a whole stays 3."""
    made = against(results, before, **fields)
    stream = io.StringIO()
    Terminal(stream, made, {}).finish()

    assert (made.exit_status(), made.document()["exit_status"]) == (status, status)
    assert stream.getvalue().splitlines()[-1].endswith(f": {verdict}")


def test_a_run_has_room_for_its_baseline_on_the_first_screen() -> None:
    kinds = ("conforms", "deviates", "unsupported")
    before = {f"some/scenario-{n:03}": kinds[n % 3] for n in range(300)}
    now = {id_: kinds[(n // 3) % 3] for n, id_ in enumerate(before)} | {"some/new-one": "deviates"}
    made = against(now, before)
    screens = []
    for whole in (False, True):
        stream = io.StringIO()
        Terminal(stream, made, {}, all_of_it=whole).finish()
        screens.append(stream.getvalue().splitlines())

    assert len(screens[0]) <= 60
    assert max(map(len, screens[0])) <= 80
    assert screens[0][1] == "AGAINST old.json, 2023-11-14 00:13"
    assert screens[0][2] == "  66 GOT WORSE; 34 scenarios that were not judged before deviate"
    assert made.changes is not None
    assert [one.id for one in made.changes.worse() if f"    {one.id}" not in screens[1]] == []


def told(old: SavedReport, new: SavedReport) -> tuple[Changes, list[str]]:
    found = changes(old, new, old_name="old.json", new_name="new.json")
    return found, [line for line, _ in (*summary_lines(found), *change_lines(found, 50))]


def test_what_people_read() -> None:
    old = saved([row("a"), row("b"), row("c", "deviates"), row("d", "deviates"), row("e", **OPEN)])
    new = saved(
        [
            row("a", "deviates"),
            row("b", "unsupported", reason="no mount namespace here"),
            row("c"),
            row("d", "deviates"),
            row("e", "conforms", "creds-missing", **OPEN),
            row("f", "deviates"),
        ]
    )

    found, lines = told(old, new)

    assert lines == [
        "    1 regressed",
        "    1 no longer judged",
        "    1 answered otherwise",
        "    1 new, 1 of them deviating",
        "    1 mended",
        "    1 as before, 1 of them deviating",
        "",
        "REGRESSED (1)",
        "  a",
        "    conforms: ready (0) -> deviates: creds-missing (65)",
        "",
        "NO LONGER JUDGED (1)",
        "  b",
        "    conforms: ready (0) -> unsupported: no mount namespace here",
        "",
        "ANSWERED OTHERWISE (1)",
        "  e",
        "    conforms: ready (0) -> creds-missing (65)",
        "    the contract leaves this open",
        "",
        "NEW (1)",
        "  f",
        "    deviates: creds-missing (65)",
        "",
        "MENDED (1)",
        "  c",
        "    deviates: creds-missing (65) -> conforms: ready (0)",
    ]
    assert outcome(found) == "2 GOT WORSE; 1 scenario that was not judged before deviates"
    assert [*side_lines(found)] == [
        "old: 2023-11-14 00:13  old.json",
        "new: 2023-11-14 00:13  new.json",
        "probe: ./probe",
    ]
    assert outcome(changes(new, new)) == "nothing got worse"
