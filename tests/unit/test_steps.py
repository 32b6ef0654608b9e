"""Scenarios in steps: what a file may say, what a contract makes of it, and what lint wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import bundled_catalogue, refusal, written
from msgspec.structs import replace

from conformance.catalogue.catalogue import Catalogue
from conformance.catalogue.contracts import bundled, load
from conformance.catalogue.lint import lint
from conformance.catalogue.scenarios import read_scenarios
from conformance.errors import FileError
from conformance.model.contract import Contract
from conformance.model.scenario import Scenario
from conformance.model.story import ChangeHome, Check, Claim, Step, Wait
from conformance.model.story_wording import steps_against, story_lines

CONTRACTS = bundled()
GATE = CONTRACTS["gate"]
HEAD = """
summary = "Some rule"
origin = "some: report"
agent = "claude"
control = "gate/after/nothing-changes"
expect.gate = "creds-missing"
home.include = ["claude-login"]
"""
GOOD = """
steps = [
    { check = "ready", rule = "login" },
    { home = { remove = [".claude/.credentials.json"] } },
    { wait = 1 },
    { check = "creds-missing", rule = ["no-file", "after-ttl"] },
]
"""


def read(tmp_path: Path, text: str) -> Scenario:
    path = written(tmp_path / "acme" / "story.toml", text)
    [found] = read_scenarios(path, tmp_path, CONTRACTS)
    return found


def policy(tmp_path: Path, rules: str) -> Contract:
    """Return a contract that extends the gate with these *rules*."""
    head = 'name = "own"\nversion = "1"\nsummary = "Own"\nextends = "gate"\n[rules]\n'
    return load(str(written(tmp_path / "own.toml", head + rules)))


def test_a_story_expects_what_its_last_answer_does(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + GOOD)

    assert found.expected(GATE) == ("creds-missing",)
    assert found.rules == {"gate": ("no-file",)}
    assert found.only_local
    assert found.takes_long
    assert not found.waits


def test_a_home_step_knows_what_lies_there_before(tmp_path: Path) -> None:
    text = (
        HEAD.replace("creds-missing", "creds-invalid")
        + """
    [[steps]]
    home.files."spare.json" = { copied = ".claude/.credentials.json" }
    [[steps]]
    home = { remove = [".claude"] }
    [[steps]]
    home.files.".claude/.credentials.json" = { moved = "spare.json", patch = { claudeAiOauth = "{null}" } }
    [[steps]]
    check = "creds-invalid"
    rule = "no-oauth"
    """
    )
    steps = read(tmp_path, text).steps
    homes = [step.action for step in steps if isinstance(step.action, ChangeHome)]

    assert [[entry.path for entry in one.changed] for one in homes] == [
        ["spare.json"],
        [],
        [".claude/.credentials.json"],
    ]
    assert [one.removed for one in homes] == [(), (".claude/.credentials.json",), ("spare.json",)]
    assert {entry.path for entry in homes[2].entries} == {
        ".claude.json",
        ".claude/.credentials.json",
    }


BAD = {
    "no-action": ('steps = [{ rule = "login" }]', "steps.0: does nothing"),
    "two-actions": (
        'steps = [{ check = "ready", wait = 1 }]',
        "steps.0: check and wait exclude each other",
    ),
    "verdict": ('steps = [{ check = "redy" }]', "steps.0.check: unknown verdict 'redy'"),
    "rule": ('steps = [{ check = "ready", rule = "lgin" }]', "steps.0.rule: no rule 'lgin'"),
    "rule-of-a-change": ('steps = [{ wait = 1, rule = "login" }]', "steps.0.rule: has no answer"),
    "cached-elsewhere": ('steps = [{ claim = true, cached = "ready" }]', "steps.0.cached: belongs"),
    "cached-other": (
        'steps = [{ check = "ready", cached = "cli-broken" }]',
        "steps.0.cached: 'cli-broken' does not conform",
    ),
    "nothing-asked": ("steps = [{ wait = 1 }]", "steps: nothing is asked"),
    "last-answer": (
        'steps = [{ check = "creds-missing" }, { check = "ready" }]',
        "expect.gate: the last answer, in step 2, calls for another",
    ),
    "last-claim": (
        "steps = [{ claim = true }]",
        "expect.gate: the last answer, in step 1, calls for another",
    ),
    "counters": (
        'steps = [{ counters = "same" }, { check = "creds-missing" }]',
        "steps.0.counters: there is nothing to compare",
    ),
    "removed": (
        'steps = [{ home = { remove = ["x"] } }, { check = "creds-missing" }]',
        "steps.0.home.remove: there is no 'x'",
    ),
    "no-change": (
        'steps = [{ home = { include = ["claude-login"] } }, { check = "creds-missing" }]',
        "steps.0.home: changes nothing",
    ),
    "state": ('steps = [{ cli = "brken" }]', "steps.0.cli: unknown value 'brken'"),
    "state-of-several": (
        'steps = [{ cli = "several-good-first" }]',
        "steps.0.cli: a CLI cannot get into the state 'several-good-first' while a gate lives",
    ),
    "path": ('steps = [{ env = { set = { PATH = "/x" } } }]', "steps.0.env: the PATH of a gate"),
    "variable": ('steps = [{ env = { unset = ["A-B"] } }]', "steps.0.env: 'A-B' is not a variable"),
    "role": ('steps = [{ inputs = { agent = "x" } }]', "steps.0.inputs.agent: contract 'gate' has"),
    "wait": ("steps = [{ wait = -1 }]", "steps.0.wait: "),
    "rules": ('rules.gate = "login"\nsteps = [{ check = "creds-missing" }]', "rules: steps cite"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_step_is_one_line(case: str, tmp_path: Path) -> None:
    text, words = BAD[case]

    line = refusal(FileError, read, tmp_path, HEAD + text)

    assert f"story.toml: {words}" in line


def test_steps_are_for_contracts_that_are_asked_in_steps(tmp_path: Path) -> None:
    text = HEAD.replace("expect.gate", "expect.preflight") + GOOD

    line = refusal(FileError, read, tmp_path, text)

    assert "expect.preflight: 'preflight' is about a probe that is asked once" in line


def test_a_scenario_without_steps_is_a_story_of_one_check() -> None:
    missing = bundled_catalogue().scenarios["expiry/valid-8h"]

    [step] = missing.story(GATE)

    assert step == Step(action=Check(expect=("ready",)), rules=missing.cites(GATE))
    assert missing.story(CONTRACTS["preflight"]) == ()


def test_a_policy_changes_what_steps_expect(tmp_path: Path) -> None:
    story = bundled_catalogue().scenarios["gate/after/login-expires"]
    last, own = story.steps[-1], policy(tmp_path, 'expired = { expect = "ready" }')

    assert story.expected_in(last, GATE) == ("creds-invalid",)
    assert story.expected_in(last, own) == ("ready",)
    assert story.expected(own) == ("ready",)


def test_a_policy_changes_what_claims_expect(tmp_path: Path) -> None:
    story = bundled_catalogue().scenarios["gate/claim/expired"]
    last, own = story.steps[-1], policy(tmp_path, 'expired = { expect = "ready" }')

    assert isinstance(last.action, Claim)
    assert GATE.truths(story.expected_in(last, GATE)) == {False}
    assert own.truths(story.expected_in(last, own)) == {True}


def test_where_a_rule_of_the_gate_is_off_the_answer_is_not_judged(tmp_path: Path) -> None:
    story = bundled_catalogue().scenarios["gate/marker/not-logged-in"]
    own = policy(tmp_path, 'marker = "off"')

    assert story.expected_in(story.steps[-1], own) == ()
    assert story.expected(own) == ()
    assert story.expected_in(story.steps[0], own) == ("ready",)
    assert [line for line in story_lines(story, own) if line.startswith("4.")] == [
        "4. check: the gate is asked [expired, marker]"
    ]


def test_a_wait_is_a_second_longer_from_one_time_to_live_on() -> None:
    lengths = [Wait(lives=0.5).length(2), Wait(lives=1).length(2), Wait(lives=2).length(300)]

    assert lengths == [1.0, 3.0, 601.0]
    assert Wait(seconds=7).length(300) == 7


def test_a_control_is_compared_step_by_step() -> None:
    stories = bundled_catalogue().scenarios
    ours, theirs = stories["gate/after/login-removed"], stories["gate/after/nothing-changes"]

    assert steps_against(ours, theirs) == (
        "+ step 2, home: the HOME changes: - .claude/.credentials.json",
        "- step 4, wait: the time to live passes, and a second",
        "- step 5, check: the gate is asked",
    )


def complaints(story: Scenario) -> list[str]:
    known = bundled_catalogue()
    found = lint(Catalogue({**known.scenarios, story.id: story}, known.contracts))
    return [str(one) for one in found if one.where == story.id]


@pytest.mark.slow
def test_lint_wants_a_rule_for_each_answer(tmp_path: Path) -> None:
    story = replace(read(tmp_path, HEAD + GOOD), summary="Some other rule")
    bare = replace(story, steps=(*story.steps[:-1], replace(story.steps[-1], rules=("after-ttl",))))
    other = replace(story, steps=(*story.steps[:-1], replace(story.steps[-1], rules=("login",))))

    assert [one for one in complaints(story) if ": steps: " in one] == []
    assert [one for one in complaints(bare) if ": steps: " in one] == [
        "acme/story: steps: step 4 cites no rule of 'gate' with verdicts"
    ]
    assert [one for one in complaints(other) if ": steps: " in one] == [
        "acme/story: steps: 'login' calls for ready (0), step 4 for creds-missing (1)"
    ]


@pytest.mark.slow
def test_stories_that_differ_in_their_steps_are_no_twins(tmp_path: Path) -> None:
    story = read(tmp_path, HEAD + GOOD)
    twin = replace(story, id="zz/twin", summary="Some third rule")

    assert [one for one in complaints(twin) if ": twin: " in one] != []
    shorter = replace(twin, steps=twin.steps[-1:])
    assert [one for one in complaints(shorter) if ": twin: " in one] == []
