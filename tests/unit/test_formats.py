"""Reports for other programs: valid, complete, and safe whatever a probe prints."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from factories import result, scenario
from lxml import etree  # type: ignore[import-untyped]  # it ships no types
from msgspec.structs import replace
from tap.parser import Parser  # type: ignore[import-untyped]  # it ships no types

from conformance.bundled import scenarios_dir
from conformance.catalogue import contracts
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import NOT_RUN, RunReport
from conformance.model.cause import Cause
from conformance.model.change import AnsweredBy, Change, Changes
from conformance.model.outcome import Finding, ScenarioResult
from conformance.report.formats import Format, rendered
from conformance.report.github import annotation, escaped
from conformance.report.junit import junit
from conformance.report.places import Place, Places

SLOT = contracts.bundled()["slot"]
SCHEMAS = Path(__file__).parents[1] / "schemas"
#: What no format may take for its own, in a finding and in output.
NASTY = (
    "\x1b[31mred\x1b[0m \x00\x07\x0b \ufffe\ud800 ]]> <a b='c'> & \"q\" ::error::x %0A %25 # TODO \\ "
    "{0} [x](http://y) \u2028 …\r\nnot ok 1\n  ...\nBail out!"
)
#: XML 1.0, production 2: no reader takes anything else, nor a reference to it.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
FINDING = Finding(kind="wrong-verdict", message="expected ready (0), got creds-missing (65)")
ADVICE = Finding(
    kind="left-cli-process", message="a claude stayed", level="should", rule="cli-gone"
)


def report(*results: ScenarioResult, probe: Any = ("/bin/probe",), **fields: Any) -> RunReport:
    """Return a report with these *results*; each scenario cites the rule claude-login."""
    scenarios = [
        scenario(id_=each.id, rules={"slot": ("claude-login",)}, file=f"/nowhere/{each.id}.toml")
        for each in results
    ]
    known = fields.pop("known", None) or KnownFailures({})
    described: dict[str, Any] = {"kind": "command", "command": list(probe), "network": "cut"}
    described |= {"capabilities": "dropped", "temporary_directories": "its own"}
    described["inherited"] = []
    made = RunReport(SLOT, scenarios, described, 1_700_000_000.25, known)
    for each in results:
        if each.reason != NOT_RUN:
            made.add(each)
    for name, value in fields.items():
        setattr(made, name, value)
    made.repeat = lambda id_: ["probe-conformance", "repro", id_, "--probe", "a b"]
    return made


def deviation(id_: str = "claude/nested-session", **fields: Any) -> ScenarioResult:
    return result(id_, "deviates", **{"findings": (FINDING,), "code": 65, **fields})


def every_kind() -> RunReport:
    """Return a report with a scenario of each kind, all of which say nasty things."""
    nasty = Finding(kind="left-process", message=NASTY, rule="always-alone")
    with_nasty = {"stdout": NASTY, "stderr": NASTY, "difference": (NASTY,), "kept": f"/k/{NASTY}"}
    return report(
        result("claude/fine", "conforms"),
        result("claude/advised", "conforms", findings=(replace(ADVICE, rule="always-alone"),)),
        deviation("cli/fails-late/no-login", findings=(FINDING, nasty, nasty), **with_nasty),
        result("alone", "broke", reason=NASTY, **with_nasty),
        result("codex/fifo", "unsupported", reason=f"no # mode\n{NASTY}"),
        result("codex/known", "known-failure", findings=(FINDING,), reason=NASTY),
        result("codex/old", "conforms"),
        known=KnownFailures({"codex/old": None}, f"known {NASTY}.toml"),  # type: ignore[dict-item]
        seconds=1234.5678,
        settings="s.toml (probe)",
    )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, tmp_path)


def lines(form: Format, made: RunReport, places: Places) -> list[str]:
    text = rendered(made, form, places)
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


@cache
def xsd() -> Any:
    return etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))


def valid(made: RunReport) -> Any:
    """Return the JUnit report of a run, parsed, after it was held against the schema."""
    text = junit(made)
    assert NO_XML.findall(text) == []
    assert not re.search(r"\x1b|&#", text)
    root = etree.fromstring(text.encode())
    assert xsd().validate(root), xsd().error_log
    return root


def attributes(root: Any, path: str, name: str) -> list[str]:
    return [element.get(name) for element in root.iterfind(path)]


# JUnit


def test_junit_is_valid_whatever_a_probe_says() -> None:
    root = valid(every_kind())

    assert dict(root.attrib) == {
        "name": "probe-conformance",
        "tests": "7",
        "failures": "2",
        "errors": "1",
        "time": "1234.568",
    }
    [suite] = root
    assert (suite.get("name"), suite.get("skipped")) == ("slot", "2")
    named = {
        f"{case.get('classname')} | {case.get('name')}": [
            f"{child.tag} {child.get('type') or ''}".strip() for child in case
        ]
        for case in suite.iterfind("testcase")
    }
    assert named == {
        "slot.claude | fine": [],
        "slot.claude | advised": ["system-out"],
        "slot.cli | fails-late/no-login": ["failure wrong-verdict", "system-out", "system-err"],
        "slot | alone": ["error broke", "system-out", "system-err"],
        "slot.codex | fifo": ["skipped unsupported"],
        "slot.codex | known": ["skipped known-failure"],
        "slot.codex | old": ["failure stale-known-failure"],
    }


def test_a_failure_says_the_rule_the_output_and_how_to_see_it_again() -> None:
    found = deviation(
        difference=("+ .claude.json: text",), stderr="\x1b[1mlooking\x1b[0m\n\tdone\n"
    )
    [failure] = valid(report(found)).iterfind(".//failure")

    text = SLOT.rules["claude-login"].text
    assert failure.get("message") == f"wrong-verdict: {FINDING.message}"
    assert failure.text == "\n".join(
        [
            f"wrong-verdict: {FINDING.message}",
            f"rule: slot:claude-login: {text}",
            "control: some/control; against it, this one has",
            "    + .claude.json: text",
            "stderr: \\x1b[1mlooking\\x1b[0m",
            "stderr:         done",
            "repeat it with: probe-conformance repro claude/nested-session --probe 'a b'",
        ]
    )


def test_the_last_lines_of_an_output_are_kept_since_they_name_the_error() -> None:
    stderr = "".join(f"line {number}\n" for number in range(50))
    [failure] = valid(report(deviation(stderr=stderr))).iterfind(".//failure")

    shown = [line for line in failure.text.splitlines() if line.startswith("stderr")]
    assert shown[0] == "stderr: … 30 lines before these"
    assert (shown[1], shown[-1]) == ("stderr: line 30", "stderr: line 49")


def test_no_two_scenarios_have_one_name() -> None:
    ids = ["a/b/c", "a/b.c", "a.b/c", "a/b-c", "a", "a/a", "slot", "slot/a", "a.b"]
    root = valid(report(*(result(id_) for id_ in ids)))

    cases = [(case.get("classname"), case.get("name")) for case in root.iterfind(".//testcase")]
    assert len({*cases}) == len(ids)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trouble": [f"a worker was lost: {NASTY}"]}, "a worker was lost: "),
        ({"interrupted": True}, "interrupted"),
    ],
)
def test_what_is_wrong_with_the_run_as_a_whole_is_an_error(
    fields: dict[str, Any], said: str
) -> None:
    root = valid(report(result("a/b"), **fields))

    [error] = root.iterfind(".//error")
    assert error.text.startswith(said)
    assert (root.get("tests"), root.get("errors")) == ("2", "1")


def test_a_run_in_which_nothing_was_judged_is_no_pass() -> None:
    root = valid(report(result("a/b", "unsupported", reason="no such mode here")))

    assert attributes(root, ".//error", "message") == ["nothing was judged"]


def test_unsupported_is_a_failure_where_that_counts() -> None:
    made = report(
        result("a/b"), result("a/c", "unsupported", reason="no mode"), fail_on_unsupported=True
    )
    root = valid(made)

    assert (made.exit_status(), made.conformant()) == (1, False)
    assert attributes(root, ".//failure", "message") == ["no mode"]
    assert attributes(root, ".//skipped", "message") == []


# GitHub


def unescaped(line: str) -> tuple[str, dict[str, str], str]:
    """Return kind, properties and message of a workflow command, as the runner reads it."""
    found = re.fullmatch(r"::(\w+)(?: ([^:]*))?::(.*)", line)
    assert found, line

    def back(text: str, codes: str) -> str:
        for character in codes:
            text = text.replace(f"%{ord(character):02X}", character)
        return text.replace("%25", "%")

    pairs = [pair.partition("=") for pair in (found[2] or "").split(",") if pair]
    return found[1], {name: back(text, "\r\n:,") for name, _, text in pairs}, back(found[3], "\r\n")


@pytest.mark.parametrize("character", ["%", "\r", "\n", "%0A", "%25", "::", ",", "=", "é", "…"])
def test_what_is_escaped_comes_back(character: str) -> None:
    text = f"a{character}b{character}"

    assert "\n" not in escaped(text)
    assert "\r" not in escaped(text)
    line = f"::error title={escaped(text, ':,')},file=x::{escaped(text)}"
    assert unescaped(line) == ("error", {"title": text, "file": "x"}, text)


def test_annotations_are_one_line_each_and_nothing_in_them_is_taken_for_a_command(
    places: Places,
) -> None:
    shown = lines("github", every_kind(), places)

    assert [unescaped(line)[0] for line in shown] == ["error", "error", "error", "warning"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", "".join(unescaped(line)[2] for line in shown))


def test_an_annotation_points_to_the_probe_if_it_lies_in_the_repository(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/odd, name%.py").touch()
    places = Places(tmp_path, tmp_path / "checks")
    made = report(deviation(), probe=["/usr/bin/python3", "odd, name%.py"])

    [line] = lines("github", made, places)
    kind, properties, message = unescaped(line)
    assert (kind, properties) == (
        "error",
        {
            "file": "checks/odd, name%.py",
            "line": "1",
            "title": "claude/nested-session: slot:claude-login",
        },
    )
    assert message.splitlines() == [
        f"wrong-verdict: {FINDING.message}",
        f"The rule: {SLOT.rules['claude-login'].text}",
        "Repeat it with: probe-conformance repro claude/nested-session --probe 'a b'",
    ]


def test_a_probe_is_found_from_where_it_has_started(tmp_path: Path) -> None:
    """That is the directory of the settings file, wherever below it somebody works."""
    for file in ("checks/p.sh", "checks/sub/checks/p.sh"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    made = report(deviation(), probe=["sh", "checks/p.sh"])

    [line] = lines("github", made, Places(tmp_path, tmp_path / "checks/sub", tmp_path))

    assert unescaped(line)[1]["file"] == "checks/p.sh"


def test_sarif_takes_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"p\xffr.sh")
    (tmp_path / name).touch()
    made = report(deviation(), probe=["sh", name])

    assert "p%FFr.sh" in rendered(made, "sarif", Places(tmp_path, tmp_path))


def test_a_probe_from_elsewhere_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "probe.py").touch()
    made = report(deviation(), probe=["python3", str(tmp_path / "probe.py")])

    [line] = lines("github", made, Places(tmp_path / "repo", tmp_path))
    assert unescaped(line)[1].keys() == {"title"}


def test_a_scenario_of_ones_own_and_a_known_failure_have_their_places(tmp_path: Path) -> None:
    own = tmp_path / "own/claude/x.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    (tmp_path / "known.toml").write_text('[known-failures]\n"a/b" = "x"\n"a/c" = "y"\n')
    places = Places(tmp_path, tmp_path)
    made = report(result("a/c"), known=KnownFailures.read(str(tmp_path / "known.toml")))

    assert places.of_scenario(scenario(file=str(own))) == Place("own/claude/x.toml")
    assert places.of_known_failure(made, "a/c") == Place("known.toml", 3)
    bundled = next(scenarios_dir().rglob("*.toml"))
    assert Places(scenarios_dir(), tmp_path).of_scenario(scenario(file=str(bundled))) is None


def test_github_shows_ten_so_the_tenth_names_the_rest(places: Places) -> None:
    ten = report(*(deviation(f"a/n{number}") for number in range(10)))
    many = report(*(deviation(f"a/n{number}") for number in range(42)))

    assert len(lines("github", ten, places)) == 10
    shown = lines("github", many, places)
    assert len(shown) == 10
    assert unescaped(shown[-1])[2].startswith("And 33 more scenarios: a/n9, a/n10, ")


def test_a_cause_is_one_annotation(places: Places) -> None:
    cause = Cause(
        kind="vice", name="slot/pinned", text="It pins a name", scenarios=("a/n3", "a/n1")
    )
    made = report(*(deviation(f"a/n{number}") for number in range(5)), causes=[cause])

    shown = [unescaped(line) for line in lines("github", made, places)]
    assert [properties["title"] for _, properties, _ in shown] == [
        "slot/pinned",
        "a/n0: slot:claude-login",
        "a/n2: slot:claude-login",
        "a/n4: slot:claude-login",
    ]
    assert shown[0][2].splitlines() == [
        "2 scenarios: like slot/pinned: It pins a name",
        f"Such as a/n3: wrong-verdict: {FINDING.message}",
        "All of them: a/n3, a/n1",
        "Repeat it with: probe-conformance repro a/n3 --probe 'a b'",
    ]


def test_nothing_to_say_is_nothing(places: Places) -> None:
    made = report(result("a/b"))

    assert rendered(made, "github", places) == rendered(made, "concise", places) == ""


def test_a_place_is_a_property_of_any_annotation() -> None:
    assert annotation("notice", "a\nb") == "::notice::a%0Ab"
    assert annotation("error", "x", title="a:b", place=Place("f,g", 2)) == (
        "::error file=f%2Cg,line=2,title=a%3Ab::x"
    )


# Concise


def test_concise_has_a_line_for_each_deviation(places: Places) -> None:
    shown = lines("concise", every_kind(), places)

    assert all(line.isprintable() for line in shown)
    assert [line.partition(": ")[0] for line in shown] == [
        "claude/advised",
        "cli/fails-late/no-login",
        "alone",
        "codex/old",
    ]
    assert (
        shown[0] == "claude/advised: slot:always-alone: advice: left-cli-process: a claude stayed"
    )
    assert shown[1].startswith(
        f"cli/fails-late/no-login: slot:claude-login: wrong-verdict: {FINDING.message}; left-proc"
    )
    assert shown[2].startswith("alone: broke: ")
    assert shown[3].startswith("codex/old: slot:claude-login: stale-known-failure: it conforms: ")


# With a baseline


def against_baseline() -> RunReport:
    """Return a report in which one of the scenarios that deviate is worse than in its baseline."""
    side = AnsweredBy(
        name="old.json", probe="p", started="", suite="1", contract="slot", version="1"
    )
    found = (
        Change(kind="regressed", id="claude/worse", worse=True, before="conforms", now="deviates"),
        Change(kind="new", id="claude/unasked", now="deviates"),
        Change(kind="changed-answer", id="claude/other", before="deviates", now="deviates"),
    )
    made = report(
        *(deviation(f"claude/{name}") for name in ("worse", "unasked", "other", "same")),
        causes=[
            Cause(kind="vice", name="slot/x", text="X", scenarios=("claude/same", "claude/worse"))
        ],
    )
    made.changes = Changes(old=side, new=side, changes=found)
    return made


def test_what_a_baseline_excuses_is_no_failure_anywhere(places: Places) -> None:
    made = against_baseline()
    suite = valid(made)
    assert attributes(suite, ".//testcase[failure]", "name") == ["worse"]
    assert [text.partition(": ")[0] for text in attributes(suite, ".//skipped", "message")] == [
        "not in the baseline",
        "deviates in the baseline, too",
        "as in the baseline",
    ]
    [only] = lines("concise", made, places)
    assert only.startswith("claude/worse: ")
    tests = [each for each in points(made, places) if each.category == "test"]
    assert [bool(each.todo) for each in tests] == [False, True, True, True]
    annotations = [unescaped(line) for line in lines("github", made, places)]
    assert len(annotations) == 1
    assert "claude/worse" in annotations[0][2]
    assert "claude/same" not in annotations[0][2]


def test_sarif_says_what_became_of_each_finding(places: Places) -> None:
    results = log(against_baseline(), places)["results"]
    assert {each["properties"]["scenario"]: each["baselineState"] for each in results} == {
        "claude/worse": "new",
        "claude/unasked": "new",
        "claude/other": "updated",
        "claude/same": "unchanged",
    }
    assert not any("suppressions" in each for each in results)


# SARIF


@cache
def sarif_schema() -> Any:
    document = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft4Validator(document, format_checker=jsonschema.FormatChecker())


def log(made: RunReport, places: Places) -> Any:
    """Return the only run of a SARIF log, after it was held against the schema."""
    document = json.loads(rendered(made, "sarif", places))
    assert [error.message for error in sarif_schema().iter_errors(document)] == []
    [run] = document["runs"]
    return run


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from strings(inner)


def test_sarif_is_valid_whatever_a_probe_says(places: Places) -> None:
    run = log(every_kind(), places)

    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("slot:always-alone", "warning"),
        ("slot:claude-login", "error"),
        ("slot:always-alone", "error"),
        ("slot:always-alone", "error"),
        ("slot:claude-login", "error"),
        ("slot:claude-login", "error"),
    ]
    rules = run["tool"]["driver"]["rules"]
    assert {rule["id"]: rule["shortDescription"]["text"] for rule in rules} == {
        f"slot:{name}": SLOT.rules[name].text for name in ("always-alone", "claude-login")
    }
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [
        each["ruleId"] for each in run["results"]
    ]
    [suppressed] = [each for each in run["results"] if "suppressions" in each]
    assert suppressed["properties"]["scenario"] == "codex/known"
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    [note] = invocation["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("alone: ")
    assert all(NO_XML.search(text) is None and "\x1b" not in text for text in strings(run))


def test_nothing_in_a_message_is_a_placeholder_or_a_link(places: Places) -> None:
    run = log(every_kind(), places)

    texts = [each["message"]["text"] for each in run["results"]]
    assert any("{{0}}" in text for text in texts)
    assert not any(re.search(r"(?<!\{)\{\d|\]\(", text) for text in texts)


def test_fingerprints_are_the_same_in_each_run_and_tell_findings_apart(places: Places) -> None:
    def prints(made: RunReport) -> list[str]:
        return [
            value
            for each in log(made, places)["results"]
            for value in each["partialFingerprints"].values()
        ]

    twice = (
        FINDING,
        Finding(kind="left-process", message="x"),
        Finding(kind="left-process", message="y"),
    )
    first = prints(report(deviation("a/b", findings=twice), deviation("a/c")))
    later = prints(report(deviation("a/c", code=7, stderr="new"), now=1.0))

    assert len({*first}) == 4
    assert later == first[-1:]


def test_a_finding_lies_in_the_probe_else_in_its_scenario(tmp_path: Path) -> None:
    (tmp_path / "smoke probe.py").touch()
    places = Places(tmp_path, tmp_path)

    def location(made: RunReport) -> Any:
        [one] = log(made, places)["results"][0]["locations"]
        assert one["logicalLocations"] == [{"fullyQualifiedName": "slot/claude/nested-session"}]
        return one["physicalLocation"]

    assert location(report(deviation(), probe=["smoke probe.py"])) == {
        "artifactLocation": {"uri": "smoke%20probe.py"},
        "region": {"startLine": 1},
    }
    made = report(deviation())
    assert location(made)["artifactLocation"] == {
        "uri": "file:///nowhere/claude/nested-session.toml"
    }
    file = scenarios_dir() / "claude/nested-session.toml"
    made.selected = [replace(made.selected[0], file=str(file))]
    assert location(made)["artifactLocation"] == {
        "uri": "claude/nested-session.toml",
        "uriBaseId": "SCENARIOS",
    }


# TAP


def points(made: RunReport, places: Places) -> list[Any]:
    """Return what a reader of TAP sees."""
    return list(Parser().parse(StringIO(rendered(made, "tap", places))))


def test_tap_is_what_its_readers_read(places: Places) -> None:
    found = points(every_kind(), places)

    assert [each.category for each in found][:2] == ["version", "plan"]
    assert (found[0].version, found[1].expected_tests) == (14, 7)
    tests = [each for each in found if each.category == "test"]
    assert [
        (each.number, each.ok, each.description, bool(each.skip), bool(each.todo)) for each in tests
    ] == [
        (1, True, "- claude/fine", False, False),
        (2, True, "- claude/advised", False, False),
        (3, False, "- cli/fails-late/no-login", False, False),
        (4, False, "- alone", False, False),
        (5, True, "- codex/fifo", True, False),
        (6, False, "- codex/known", False, True),
        (7, False, "- codex/old", False, False),
    ]
    assert {each.category for each in found} == {"version", "plan", "test", "diagnostic"}


def test_tap_says_what_was_expected_and_seen(places: Places) -> None:
    found = points(report(deviation(stderr=f"a\n{NASTY}")), places)

    [told] = [each.yaml_block for each in found if each.category == "test"]
    assert told["message"] == f"wrong-verdict: {FINDING.message}"
    assert told["rule"] == "slot:claude-login"
    assert told["expected"] == ["ready"]
    assert told["code"] == 65
    assert told["stderr"][0] == "a"
    assert told["repeat"] == "probe-conformance repro claude/nested-session --probe 'a b'"


def test_no_directive_comes_from_a_reason(places: Places) -> None:
    [line] = [
        line
        for line in lines(
            "tap", report(result("a/b"), result("a/c", "unsupported", reason="# TODO \\")), places
        )
        if "a/c" in line
    ]
    assert line == r"ok 2 - a/c # SKIP \# TODO \\"


def test_a_run_that_was_cut_short_bails_out(places: Places) -> None:
    found = points(report(result("a/b"), interrupted=True), places)

    [bail] = [each for each in found if each.category == "bail"]
    assert bail.reason == "interrupted"


# All of them


def test_what_did_not_run_after_the_first_deviation_is_counted() -> None:
    made = report(deviation("a/b"), result("a/c", reason=NOT_RUN), result("a/d", reason=NOT_RUN))
    made.stop_short()

    assert [each.id for each in made.selected] == ["a/b"]
    assert (made.document()["left_out"], made.exit_status()) == (["a/c", "a/d"], 1)
    assert ["not run", "2"] in [
        [each.get("name"), each.get("value")] for each in valid(made).iterfind(".//property")
    ]
