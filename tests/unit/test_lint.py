"""The catalogue lints clean, and each thing that lint looks for is found where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from factories import directory, entry, file
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, read_catalogue
from conformance.catalogue.lint import (
    LONGEST_SUMMARY,
    MOST_DIFFERENCES,
    SCENARIOS_EACH,
    Complaint,
    lint,
)
from conformance.cli import cli
from conformance.loading import under_contract
from conformance.model.scenario import Entry, Scenario

GOOD = "claude/nested-session"


def complaints(catalogue: Catalogue, change: Callable[[Scenario], Scenario]) -> list[str]:
    """Return what lint says once one good scenario has been changed."""
    changed = change(catalogue.get(GOOD))
    others = {id_: scenario for id_, scenario in catalogue.scenarios.items() if id_ != GOOD}
    return list(map(str, lint(Catalogue({**others, changed.id: changed}, catalogue.contracts))))


def test_the_bundled_catalogue_gives_no_cause_for_complaint(bundled: Catalogue) -> None:
    assert lint(bundled) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"id": "claude/nested_session"},
            "claude/nested_session: name: write it as words with hyphens",
        ),
        ({"id": "nested-session"}, "nested-session: name: "),
        (
            {"summary": "A login counts."},
            f"{GOOD}: summary: must begin with a capital and end without a full stop",
        ),
        (
            {"summary": "a login counts"},
            f"{GOOD}: summary: must begin with a capital and end without a full stop",
        ),
        (
            {"summary": "A" * (LONGEST_SUMMARY + 1)},
            f"{GOOD}: summary: is {LONGEST_SUMMARY + 1} characters long",
        ),
        ({"summary": "An .claude of nothing but baseline files"}, ""),
        ({"origin": "somebody said so"}, f"{GOOD}: origin: say where and what"),
        ({"rules": {}}, f"{GOOD}: rules: cites no rule of 'slot'"),
        (
            {"rules": {"slot": ("claude-closed",)}},
            f"{GOOD}: rules: 'claude-closed' of 'slot' calls for creds-invalid (66), the",
        ),
        (
            {"expect": {"slot": ("ready", "creds-missing")}},
            f"{GOOD}: rules: 'claude-login' of 'slot' calls for ready (0), the",
        ),
        (
            {"control": {"": "claude/credentials-file"}},
            f"{GOOD}: control: 'claude/credentials-file' does not call for another",
        ),
    ],
)
@pytest.mark.slow
def test_lint_reports_what_is_wrong_with_a_scenario(
    change: dict[str, object], said: str, bundled: Catalogue
) -> None:
    found = complaints(bundled, lambda scenario: replace(scenario, **change))

    assert (
        any(line.startswith(said) for line in found)
        if said
        else not [line for line in found if line.startswith(GOOD)]
    )


@pytest.mark.slow
def test_a_control_has_to_be_near(bundled: Catalogue) -> None:
    # The login is two more: its file, and the account beside it.
    env = {f"VARIABLE_{n}": "x" for n in range(MOST_DIFFERENCES - 1)}

    found = complaints(
        bundled, lambda scenario: replace(scenario, env=env, control={"": "claude/baseline-only"})
    )

    far = f"{GOOD}: control: 'claude/baseline-only' differs in {MOST_DIFFERENCES + 1} things under 'slot'; name a nearer one"
    assert [line for line in found if line.startswith(far)] != []


def homes(catalogue: Catalogue, *own: Entry, **fields: Any) -> list[str]:
    """Return the complaints about a home of a login in which the entries *own* are different."""
    base = catalogue.get("claude/credentials-file").entries
    entries = tuple({one.path: one for one in (*base, *own)}.values())
    found = complaints(
        catalogue, lambda scenario: replace(scenario, entries=entries, layers={"x": base}, **fields)
    )
    return [line for line in found if line.startswith(f"{GOOD}: home: ")]


@pytest.mark.slow
def test_a_home_may_differ_in_one_thing(bundled: Catalogue) -> None:
    assert homes(bundled) == []
    assert homes(bundled, directory(".claude/a", mode=0)) == []


def test_a_home_with_two_faults_has_one_too_many(bundled: Catalogue) -> None:
    assert homes(bundled, directory(".claude/a", mode=0), file(".claude.json", "{")) == [
        f"{GOOD}: home: differs from a golden login in 2 things: + .claude.json: other bytes; "
        "+ .claude/a; leave one, or say why with 'differs'"
    ]


@pytest.mark.slow
def test_a_member_that_a_login_lacks_beside_its_fault_is_one_too_many(bundled: Catalogue) -> None:
    login = entry(
        ".claude/.credentials.json",
        json={"claudeAiOauth": {"accessToken": "{secret}", "expiresAt": 0}},
    )
    [line] = homes(bundled, login)
    assert " in 6 things: + .claude/.credentials.json claudeAiOauth.expiresAt; - " in line


@pytest.mark.slow
def test_a_reason_allows_more_differences_and_has_to_be_needed(bundled: Catalogue) -> None:
    two = [directory(".claude/a", mode=0), file(".claude.json", "{")]
    assert homes(bundled, *two, differs="both come from one crash") == []
    assert homes(bundled, two[0], differs="both come from one crash") == [
        f"{GOOD}: home: has no need of 'differs': it differs from a golden login in 1 thing"
    ]


@pytest.mark.slow
def test_a_home_may_differ_from_its_control_in_one_thing(bundled: Catalogue) -> None:
    """However far from a golden login that is."""
    faults = [directory(".claude/a", mode=0), file(".claude.json", "{")]
    control = replace(bundled.get("claude/baseline-only"), id="a/control", entries=tuple(faults))
    catalogue = Catalogue({**bundled.scenarios, "a/control": control}, bundled.contracts)

    found = complaints(
        catalogue,
        lambda scenario: replace(
            scenario, entries=(*faults, file("b")), control={"slot": "a/control"}
        ),
    )

    assert [line for line in found if line.startswith(f"{GOOD}: home: ")] == []


@pytest.mark.slow
def test_two_scenarios_that_build_the_same_are_one_too_many(bundled: Catalogue) -> None:
    other = bundled.get("claude/credentials-file")

    found = complaints(
        bundled,
        lambda scenario: replace(
            scenario, entries=tuple(reversed(other.entries)), summary=other.summary
        ),
    )

    assert (
        f"{GOOD}: twin: builds the same home with the same environment as 'claude/credentials-file'"
        in found
    )
    assert f"{GOOD}: summary: is also that of 'claude/credentials-file'" in found


def test_every_rule_needs_a_scenario(bundled: Catalogue) -> None:
    without = {
        id_: s
        for id_, s in bundled.scenarios.items()
        if "claude-scope-text" not in s.rules.get("slot-strict", ())
    }

    found = lint(Catalogue(without, bundled.contracts))

    assert (
        Complaint("contract slot-strict", "rules", "no scenario is about 'claude-scope-text'")
        in found
    )


def test_every_verdict_needs_three_scenarios_for_every_agent(bundled: Catalogue) -> None:
    slot = bundled.contracts["slot"]
    broken = [
        s.id
        for s in bundled.in_contract(slot)
        if (s.agent, s.expected(slot)) == ("codex", ("cli-broken",))
    ]
    without = {
        id_: s
        for id_, s in bundled.scenarios.items()
        if id_ not in broken[SCENARIOS_EACH - 1 :] or s.agent != "codex"
    }

    found = [
        str(complaint)
        for complaint in lint(_without_lost_controls(without, bundled))
        if complaint.check == "verdicts"
    ]

    said = (
        f"{SCENARIOS_EACH - 1} scenarios expect 'cli-broken' of codex, fewer than {SCENARIOS_EACH}"
    )
    assert f"contract slot: verdicts: {said}" in found


def _without_lost_controls(scenarios: dict[str, Scenario], bundled: Catalogue) -> Catalogue:
    """Return a catalogue in which whoever has lost the control has another."""
    kept = {
        id_: s
        if set(s.control.values()) <= scenarios.keys()
        else replace(s, control={"": "codex/tokens"})
        for id_, s in scenarios.items()
    }
    return Catalogue(kept, bundled.contracts)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('codex-no-file = { expect = "creds-invalid" }', True),
        ('codex-no-file = "off"', True),
        ('codex-missing = { expect = "creds-invalid" }', False),
        ('codex-missing = "off"', False),
        ('always-cli-alone = { findings = ["left-cli-process"], level = "must" }', False),
    ],
)
def test_a_rule_on_which_nothing_rests_is_not_changed_in_silence(
    tmp_path: Path, rule: str, said: bool
) -> None:
    """The rule of slot has the likelier name; under slot-strict another one decides."""
    (tmp_path / "own.toml").write_text(
        f'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot-strict"\n[rules]\n{rule}\n'
    )
    own = contracts.load("own.toml", base=tmp_path)

    read = read_catalogue(contract=own)
    found = [str(one) for one in lint(read, under_contract(read, own)) if one.check == "rules"]

    name = rule.partition(" ")[0]
    complaint = (
        f"contract own: rules: no scenario rests on '{name}', so changing it changes nothing"
    )
    assert found == ([complaint] if said else [])


@pytest.mark.slow
def test_the_command_takes_a_contract_of_ones_own(tmp_path: Path) -> None:
    """As the message about a contract that it does not know says."""
    contract = tmp_path / "acme.toml"
    contract.write_text('name = "acme"\nversion = "1"\nsummary = "As slot"\nextends = "slot"\n')
    case = tmp_path / "own" / "mine" / "case.toml"
    case.parent.mkdir(parents=True)
    case.write_text(
        'summary = "A login in a file of our own"\norigin = "here: it was met"\nagent = "claude"\n'
        'control = "claude/no-dot-claude"\n[expect]\nacme = "ready"\n'
        '[rules]\nacme = "claude-login"\n[home.files]\n".claude/vault" = "x"\n'
    )
    words = ["lint", "--scenarios", str(tmp_path / "own")]

    without, known = (
        CliRunner().invoke(cli, [*words, *more]) for more in ((), ("--contract", str(contract)))
    )

    assert "a contract of your own is named with --contract FILE" in str(without.exception)
    assert (known.exit_code, known.output.splitlines()[-1].endswith(": no complaints")) == (0, True)
    assert f"{len(contracts.bundled()) + 1} contracts" in known.output


@pytest.mark.slow
def test_the_command_prints_a_line_for_each_complaint(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "case.toml").write_text(
        'summary = "a login counts."\norigin = "here: it was met"\nagent = "claude"\ncontrol = "claude/no-dot-claude"\n'
        '[expect]\nslot = "ready"\n[rules]\nslot = "claude-login"\n[home.files]\n".claude/a" = "x"\n'
    )

    clean, dirty = (
        CliRunner().invoke(cli, ["lint", *words]) for words in ((), ("--scenarios", str(tmp_path)))
    )

    assert (clean.exit_code, clean.output.count("\n")) == (0, 1)
    assert (dirty.exit_code, dirty.output.splitlines()[0]) == (
        1,
        "own/case: summary: must begin with a capital and end without a full stop",
    )
