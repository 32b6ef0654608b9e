"""Pages as documents: what stands in them, and that nothing in a report becomes more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import html5lib
import pytest
from factories import bundled_catalogue, entry, file, result, scenario, symlink
from support_cli import call

from conformance.catalogue import contracts
from conformance.errors import CannotJudge
from conformance.judge.known_failures import KnownFailures
from conformance.judge.tally import RunReport
from conformance.model.cause import Cause
from conformance.model.outcome import Finding, ScenarioResult
from conformance.report.badge import badge
from conformance.report.known import Known
from conformance.report.page.pages import catalogue_page, run_page, side_page
from conformance.report.page.run_view import run_view
from conformance.report.page.scenario_view import Anchors
from conformance.report.page.shown import Block, shown, ticked
from conformance.report.page.side_view import side_view
from conformance.report.page.tree import Node, tree
from conformance.report.saved import SavedReport, parse_report
from conformance.report.verdict import verdict
from conformance.text import letters

CONTRACTS = contracts.bundled()
SLOT = CONTRACTS["slot"]
#: What a probe may print, and what the page shows of it.
HOSTILE = {
    "<script>document.title='x'</script>": "<script>document.title='x'</script>",
    "</pre></details></style><img src=x onerror=alert(1)>": "</pre></details></style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %} <!-- ]]> &lt;": "{{ 7 * 7 }} {% raw %} <!-- ]]> &lt;",
    "\"' onmouseover='x": "\"' onmouseover='x",
    "\x1b[31mred\x07\x00\r\x7f\x9b": r"\x1b[31mred\x07\x00\r\x7f\x9b",
    "\u202eabc\u2066\u200b\ufeff": r"\u202eabc\u2066\u200b\ufeff",
    "\udcff\ud800": r"\udcff\ud800",
    "\u2028\ufffe": r"\u2028\ufffe",
}


def saved(*results: ScenarioResult, contract: str = "slot", **fields: Any) -> SavedReport:
    """Return the report of a run with these *results*, as it is read again."""
    scenarios = [scenario(id_=one.id, agent=one.agent) for one in results]
    probe = fields.pop("probe", {"kind": "command", "command": ["./probe"]})
    made = RunReport(CONTRACTS[contract], scenarios, probe, 1_700_000_000, KnownFailures({}))
    for one in results:
        made.add(one)
    made.repeat = lambda id_: ("probe-conformance", "repro", id_)
    for name in ("causes", "trouble", "interrupted"):
        if name in fields:
            setattr(made, name, fields.pop(name))
    document = made.document() | fields
    return parse_report(json.dumps(document), "report.json")


def known(*ids: str) -> Known:
    """Return what is known of these scenarios of the catalogue; of all of them without *ids*."""
    everything = bundled_catalogue().scenarios
    return Known({id_: everything[id_] for id_ in ids} if ids else everything, CONTRACTS)


def deviating(
    id_: str = "a/b", message: str = "expected ready (0), got 65", **fields: Any
) -> ScenarioResult:
    finding = Finding(kind="wrong-verdict", message=message, rule="claude-login")
    return result(
        id_,
        "deviates",
        **{"findings": (finding,), "code": 65, "verdict": "creds-missing", **fields},
    )


NOTHING = Known({}, CONTRACTS)


def parsed(page: str) -> ET.Element:
    """Return the *page*, read by a parser that takes no mistake."""
    page.encode()  # no halves of surrogate pairs
    tree: ET.Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    return tree


def texts(element: ET.Element, tag: str) -> list[str]:
    return ["".join(found.itertext()) for found in element.iter(tag)]


def words(element: ET.Element) -> str:
    """Return what stands in *element*, apart from style and script."""
    return " ".join(" ".join(_words(element)).split())


def _words(element: ET.Element) -> Iterator[str]:
    if element.tag not in ("style", "script"):
        yield element.text or ""
        for child in element:
            yield from _words(child)
            yield child.tail or ""


def check_safe(page: str) -> ET.Element:
    """Make sure that nothing runs, loads or points outside but what is ours; return the document."""
    document = parsed(page)
    elements = [one for one in document.iter() if isinstance(one.tag, str)]
    scripts, styles = texts(document, "script"), texts(document, "style")
    assert (len(scripts), len(styles)) == (1, 1)
    [policy] = [one.get("content") for one in document.iter("meta") if one.get("http-equiv")]
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (*styles, *scripts)
    ]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    attributes = {name for one in elements for name in one.attrib}
    assert {
        name
        for name in attributes
        if name.startswith("on") or name in ("style", "src", "srcset", "action")
    } == set()
    links = [one.get("href", "") for one in elements if one.get("href")]
    assert {link[:5] for link in links if not link.startswith("#")} == {"data:"}
    ids = [one.get("id", "") for one in elements if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {unquote(link[1:]) for link in links if link.startswith("#")} <= set(ids)
    assert not any(not (c.isprintable() or c == "\n") for c in page)
    return document


# What is hostile


@pytest.mark.parametrize(("text", "seen"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_whatever_stands_in_a_report_is_text(text: str, seen: str) -> None:
    """In every place at once: names, outputs, findings, the probe, causes, rules, steps."""
    row = deviating(
        f"a/{text}",
        message=text,
        stdout=text,
        stderr=text,
        reason=text,
        control=text,
        difference=(f"+ {text}", text),
        changes=(text,),
        outside=(text,),
        events=(text,),
        expected=(text,),
        agent=text,
    )
    report = saved(
        deviating("a/c"),
        probe={"kind": "command", "command": [text], "notes": [text]},
        trouble=[text],
        causes=[
            Cause(
                kind="vice",
                name=text,
                text=text,
                answers=(text,),
                rules=(text,),
                like=(text,),
                scenarios=("a/c",),
            )
        ],
        stale_known_failures=[text],
        started=text,
        suite={"name": text, "version": text},
    )
    document = json.loads(json.dumps(_builtins(row)))
    document.update(repeat=[text], rule=text, summary=text, origin=text, result=text)
    step = {
        "number": 1,
        "operation": text,
        "words": text,
        "expected": text,
        "got": text,
        "wrong": True,
    }
    document["steps"] = [step]
    rows = [json.loads(json.dumps(_builtins(deviating("a/c")))), document]
    raw = json.dumps(_builtins(report) | {"scenarios": rows})

    page = check_safe(run_page(parse_report(raw, "x"), NOTHING))

    outputs = [words(one) for one in page.iter("pre")]
    assert outputs.count(" ".join(seen.split())) >= 2
    assert " ".join(seen.split()) in words(page)


def _builtins(value: Any) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.to_builtins(value)


def test_a_megabyte_on_one_line_is_cut_and_says_so() -> None:
    row = deviating(stdout="x" * 1_000_000, message="y" * 1_000_000)

    page = run_page(saved(row), NOTHING)

    assert len(page) < 80_000
    assert "… and 980,000 more characters" in page


def test_lines_and_tabs_of_an_output_are_kept_and_control_characters_are_not() -> None:
    assert shown(Block("a\tb\n\x1b[0m\rc")) == "a       b\n\\x1b[0m\\rc"
    assert shown("a\tb\n") == r"a\tb\n"
    assert shown(3) == 3


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("`--version` exits <0>", "<code>--version</code> exits &lt;0&gt;"),
        ("a ` alone", "a ` alone"),
        ("`<b>`\x1b", "<code>&lt;b&gt;</code>\\x1b"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, markup: str) -> None:
    assert ticked(text) == markup


@pytest.mark.parametrize(
    "ids", [["a b", "a#b", "", "ä", "a" * 300], ["a/b", "a/b", "c"], ["scenario-0", "x y"]]
)
def test_every_scenario_has_an_anchor_of_its_own(ids: list[str]) -> None:
    anchors = Anchors(ids)
    found = {id_: anchors.link(id_).anchor for id_ in ids}

    assert len({*found.values()}) == len({*ids})
    assert all(re.fullmatch(r"[\w./:-]+", anchor) for anchor in found.values())
    assert anchors.link("elsewhere").anchor == ""


# One report


def test_a_page_says_the_verdict_the_causes_and_how_to_repeat() -> None:
    ids = ("claude/nested-session", "claude/baseline-only", "codex/api-key")
    report = saved(
        deviating(ids[0], stdout="no file", control=ids[1], difference=("+ .claude/x: file",)),
        result(ids[1], "conforms", expected=("creds-missing",), code=65, verdict="creds-missing"),
        result(ids[2], "broke", agent="codex", reason="no engine"),
        causes=[
            Cause(kind="vice", name="slot/pinned", text="Pins a name", scenarios=(ids[0],), fit=0.5)
        ],
    )

    page = check_safe(run_page(report, known()))
    text = words(page)

    assert texts(page, "h1")[0].endswith("Not judged")
    assert [words(one) for one in page.iter("h2")] == [
        "What to mend",
        "Rules by agent",
        "Scenarios",
    ]
    assert "1 scenario" in text
    assert "like a known wrong probe: slot/pinned , 50 % of what that one does is seen here" in text
    assert "probe-conformance repro claude/nested-session" in text
    assert "claude/baseline-only expects creds-missing (65). Against it, this one has:" in text
    assert "session.json" in text
    assert "reason no engine" in text.lower()


def test_what_deviates_comes_first_in_the_order_of_its_causes_and_what_conforms_last() -> None:
    results = [
        result("a/1"),
        deviating("a/2"),
        deviating("a/3"),
        result("a/4", "unsupported"),
        deviating("a/5"),
    ]
    causes = [
        Cause(kind="rule", name="slot:x", text="X", scenarios=("a/5", "a/2")),
        Cause(kind="rule", name="slot:y", text="Y", scenarios=("a/3",)),
    ]

    view = run_view(saved(*results, causes=causes), NOTHING)

    assert [(kind, [(one.id, one.cause) for one in views]) for kind, views in view.groups] == [
        ("deviates", [("a/5", 1), ("a/2", 1), ("a/3", 2)]),
        ("unsupported", [("a/4", 0)]),
        ("conforms", [("a/1", 0)]),
    ]
    assert [cause.share for cause in view.causes] == [66.67, 33.33]


def test_the_matrix_counts_each_scenario_once() -> None:
    def row(id_: str, agent: str, kind: Any, rule: str) -> dict[str, Any]:
        made = deviating(id_, agent=agent) if kind == "deviates" else result(id_, kind, agent=agent)
        return {**_builtins(made), "rule": f"slot:{rule}"}

    rows = [
        row("a/1", "claude", "conforms", "cli-fails"),
        row("a/2", "claude", "deviates", "cli-fails"),
        row("a/3", "codex", "unsupported", "cli-fails"),
        row("a/4", "codex", "conforms", "codex-login"),
    ]
    report = parse_report(json.dumps(_builtins(saved(result())) | {"scenarios": rows}), "x")

    view = run_view(report, NOTHING)

    assert view.agents == ("claude", "codex")
    assert [
        (one.name, one.text, [(c.conforms, c.deviates, c.other, c.anchor) for c in one.cells])
        for one in view.rules
    ] == [
        ("slot:cli-fails", "`--version` exits non-zero", [(1, 1, 0, "a/2"), (0, 0, 1, "")]),
        ("slot:codex-login", SLOT.rules["codex-login"].text, [(0, 0, 0, ""), (1, 0, 0, "")]),
    ]


def test_a_report_of_an_older_version_makes_a_page() -> None:
    """It has no causes; its rows have neither summary nor rule nor command."""
    document = _builtins(saved(deviating("claude/nested-session"), result("of/another-time")))
    for name in (
        "causes",
        "advice",
        "trouble",
        "stale_known_failures",
        "strict",
        "interrupted",
        "diagnosis",
    ):
        del document[name]
    for row in document["scenarios"]:
        for name in (
            "summary",
            "origin",
            "rule",
            "repeat",
            "expected_codes",
            "control",
            "events",
            "steps",
        ):
            del row[name]
    document["probe"] = {"kind": "command"}
    report = parse_report(json.dumps(document), "x")

    page = check_safe(run_page(report, known()))

    assert "slot:claude-login" in words(page)
    assert "This suite does not know 1 of them" in words(page)


def test_a_report_without_any_scenario_makes_a_page() -> None:
    assert "Not judged" in words(check_safe(run_page(saved(), NOTHING)))


def test_no_summary_contradicts_what_is_expected() -> None:
    """One summary serves all contracts; where they differ, the rule speaks."""
    ids = ("claude-login/token/absent", "claude/no-dot-claude")
    view = run_view(saved(*(deviating(id_) for id_ in ids)), known())
    headlines = {one.id: one.origin.headline for _, views in view.groups for one in views}

    assert headlines[ids[0]] == SLOT.rules["claude-login"].text
    assert headlines[ids[1]] == bundled_catalogue().scenarios[ids[1]].summary


@pytest.mark.parametrize(
    ("kinds", "fields", "said"),
    [
        (["conforms"], {}, "Conformant"),
        (["conforms", "unsupported"], {}, "Conformant"),
        (["conforms", "deviates"], {}, "Not conformant"),
        (["conforms", "known-failure"], {}, "No new failure"),
        (["conforms", "broke"], {}, "Not judged"),
        (["unsupported"], {}, "Not judged"),
        ([], {}, "Not judged"),
        (["conforms"], {"interrupted": True}, "Interrupted"),
    ],
)
def test_the_verdict_is_that_of_the_run(
    kinds: list[Any], fields: dict[str, Any], said: str
) -> None:
    report = saved(*(result(f"a/{n}", kind) for n, kind in enumerate(kinds)), **fields)

    assert verdict(report).words == said


def test_a_page_of_a_whole_contract_stays_small() -> None:
    """A browser has to read it in a moment: bounds for each scenario, all of which deviate."""
    scenarios = bundled_catalogue().in_contract(SLOT)[:400]
    report = saved(
        *(deviating(one.id, agent=one.agent, control=one.control_for(SLOT)) for one in scenarios)
    )

    page = run_page(report, known())

    assert len(scenarios) == 400
    assert len(page) < 400 * 4_000
    assert len(re.findall(r"<\w", page)) < 400 * 100


# Several reports


def answering(code: int, verdict_: str, id_: str = "a/b", **fields: Any) -> ScenarioResult:
    kind: Any = "conforms" if code == 0 else "deviates"
    return result(id_, kind, code=code, verdict=verdict_, **fields)


def test_reports_side_by_side_show_where_they_differ() -> None:
    one = saved(
        answering(0, "ready", "a/1"),
        answering(0, "ready", "a/2"),
        answering(0, "ready", "a/3"),
        result("a/4", "broke"),
    )
    other = saved(
        answering(0, "ready", "a/1"), answering(65, "creds-missing", "a/2"), result("a/4")
    )

    view = side_view([one, other], NOTHING)

    assert [row.link.id for row in view.together] == ["a/1"]
    assert [(row.link.id, row.cells) for row in view.apart] == [
        ("a/2", (("conforms", "ready (0)"), ("deviates", "creds-missing (65)")))
    ]
    assert [(row.link.id, row.cells[1] is None) for row in view.incomplete] == [
        ("a/3", True),
        ("a/4", False),
    ]
    page = check_safe(side_page([one, other], known()))
    assert texts(page, "h1") == ["They differ in 1 scenario"]


def test_the_same_answer_that_is_taken_otherwise_is_a_difference() -> None:
    """One of them leaks what the other does not."""
    clean, leaks = answering(0, "ready"), result(kind="deviates", code=0, verdict="ready")

    assert len(side_view([saved(clean), saved(leaks)], NOTHING).apart) == 1


def test_reports_of_different_contracts_show_what_they_share_and_say_so() -> None:
    one = saved(answering(65, "creds-missing", "a/1"), answering(0, "ready", "a/2"))
    other = saved(
        result("a/1", code=1, verdict="creds-missing"), result("a/3"), contract="preflight"
    )

    view = side_view([one, other], NOTHING)

    assert [row.link.id for row in view.together] == ["a/1"]  # one meaning, by two codes
    assert (view.apart, view.incomplete) == ((), ())
    assert "different contracts (slot, preflight)" in view.notes[0]


def test_reports_that_share_nothing_say_so() -> None:
    one, other = saved(result("a/1")), saved(result("a/2"))

    page = check_safe(side_page([one, other], NOTHING))

    assert texts(page, "h1") == ["They have no scenario in common"]
    assert "2 scenarios that not every report has" in words(page)
    assert texts(check_safe(side_page([one], NOTHING)), "h1") == ["One report"]


def test_a_page_for_which_reports_were_named_that_share_nothing_is_refused(tmp_path: Path) -> None:
    for name, command in (("one", "./one"), ("other", "./other")):
        probe = {"kind": "command", "command": [command]}
        report = RunReport(SLOT, [scenario(id_=f"a/{name}")], probe, 0.0, KnownFailures({}))
        (tmp_path / f"{name}.json").write_text(json.dumps(report.document()))

    done = call(tmp_path, "page", "one.json", "other.json", "-o", "page.html")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "probe-conformance: the reports have no scenario in common; "
        "make a page of each, or name reports that have\n"
    )


def test_a_page_of_several_leads_to_that_of_each() -> None:
    page = parsed(
        side_page([saved(result("a/1")), saved(result("a/1"))], NOTHING, (), ("one", "a.b"))
    )

    links = [one.get("href", "") for one in page.iter("a")]
    assert [link for link in links if not link.startswith("#")] == ["one.html", "a.b.html"]


def test_reports_have_letters() -> None:
    assert letters(28)[::9] == ["A", "J", "S", "AB"]


# The catalogue


def test_the_catalogue_has_every_scenario_and_stays_small() -> None:
    scenarios = list(bundled_catalogue().scenarios.values())

    page = catalogue_page(bundled_catalogue(), scenarios)

    assert page.count("<li data-row") == len(scenarios) > 1_000
    assert len(page) < len(scenarios) * 4_000
    assert len(re.findall(r"<\w", page)) < len(scenarios) * 80


def test_the_catalogue_says_of_each_scenario_who_expects_what_and_why() -> None:
    catalogue = bundled_catalogue()
    few = {*list(catalogue.scenarios)[::40], "claude/nested-session", "claude/baseline-only"}

    document = check_safe(
        catalogue_page(catalogue, [catalogue.scenarios[id_] for id_ in sorted(few)])
    )

    rows = [one for one in document.iter("li") if one.get("data-row") is not None]
    nested = next(words(one) for one in rows if one.find(".//div[@id='claude/nested-session']"))
    assert "slot-strict creds-missing (65) claude-missing:" in nested
    assert "codex-shell#21" in nested
    assert ".claude/ .credentials/ session.json" in nested
    assert "claude/baseline-only" in nested


def test_the_catalogue_of_one_contract_says_nothing_of_others() -> None:
    catalogue = bundled_catalogue()
    scenarios = [catalogue.scenarios["claude/nested-session"]]

    text = words(check_safe(catalogue_page(catalogue, scenarios, SLOT)))

    assert "Contract slot 1" in text
    assert "preflight" not in text


# A HOME as a tree


def names(nodes: list[Node]) -> Iterator[tuple[str, bool]]:
    for node in nodes:
        yield node.name, node.new
        yield from names(node.below)


def test_a_tree_joins_directories_that_hold_nothing_else() -> None:
    entries = [
        file("a/b/c/x", "1"),
        file("a/b/c/y", "2"),
        symlink("l", "a"),
        entry("d", "directory"),
        file("d/e/f", ""),
    ]

    nodes = tree(entries)

    assert [name for name, _ in names(nodes)] == ["a/b/c", "x", "y", "d", "e", "f", "l"]
    assert [node.is_directory for node in nodes] == [True, True, False]


def test_a_tree_marks_what_the_control_has_not() -> None:
    here = [file("a/same", "1"), file("a/other", "2"), file("b", "3"), entry("n", json=True)]
    there = [file("a/same", "1"), file("a/other", "9"), entry("n", json=1)]

    assert [name for name, new in names(tree(here, there)) if new] == ["other", "b", "n"]
    assert not any(new for _, new in names(tree(here)))


def test_a_tree_of_a_thousand_levels_is_no_deeper_than_a_page_can_be() -> None:
    entries = [file("/".join(["d"] * level + ["x"]), "") for level in range(1, 1_000)]

    def depth(nodes: list[Node]) -> int:
        return 1 + max((depth(node.below) for node in nodes), default=0)

    assert depth(tree(entries)) < 20
    assert len([*names(tree(entries))]) >= 999


# A badge


@pytest.mark.parametrize(
    ("kinds", "message", "color"),
    [
        (["conforms"], "conformant", "brightgreen"),
        (["conforms", "deviates", "deviates"], "2 of 3 deviate", "red"),
        (["conforms", "known-failure"], "no new failure, 1 known", "yellowgreen"),
        (["conforms", "broke"], "1 of 2 not judged", "lightgrey"),
    ],
)
def test_a_badge_says_the_verdict(kinds: list[Any], message: str, color: str) -> None:
    report = saved(*(result(f"a/{n}", kind) for n, kind in enumerate(kinds)))

    assert badge(report, "r.json") == {
        "schemaVersion": 1,
        "label": "slot 1",
        "message": message,
        "color": color,
    }


@pytest.mark.parametrize("kinds", [[], ["broke"], ["unsupported"]])
def test_there_is_no_badge_where_nothing_was_judged(kinds: list[Any]) -> None:
    report = saved(*(result(f"a/{n}", kind) for n, kind in enumerate(kinds)))

    with pytest.raises(CannotJudge, match=r"^r.json has no badge: nothing was judged in that run$"):
        badge(report, "r.json")


def test_an_interrupted_run_has_no_green_badge() -> None:
    assert badge(saved(result(), interrupted=True), "r")["color"] == "lightgrey"
