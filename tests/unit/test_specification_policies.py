"""Contracts of one's own that change or switch off one rule: what is called for then, in all scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from factories import bundled_catalogue, scenario, written
from msgspec.structs import replace

from conformance.catalogue import contracts
from conformance.errors import UsageError
from conformance.model.contract import Contract, Rule
from conformance.model.placeholders import Context
from conformance.model.scenario import Runs, Scenario
from conformance.run.request import Command, RunRequest
from conformance.run.subject import check
from conformance.specification import Case, Decision, case_of, decide, specified
from conformance.specification.decide import steps_of
from conformance.specification.policy import may_matter

CONTEXT = Context(now=1_750_000_000.0, seed="seed")
CONTRACTS = {name: contracts.load(name) for name in ("slot", "slot-strict", "preflight")}


def rules() -> Iterator[tuple[str, str]]:
    """Yield each contract that is written down, and each of its rules that calls for verdicts."""
    for contract in CONTRACTS.values():
        for name, rule in contract.rules.items():
            if rule.expect:
                yield contract.name, name


def changed(contract: Contract, name: str) -> Iterator[Contract]:
    """Yield contracts that extend *contract*: the rule called *name* is off, or calls for one other verdict."""
    rule = replace(contract.rules[name], decided_by="own")
    others = [(one.name,) for one in contract.verdicts if (one.name,) != rule.expect]
    for new in (replace(rule, off=True), *(replace(rule, expect=other) for other in others)):
        lineage = ("own", *contract.lineage)
        yield replace(contract, name="own", lineage=lineage, rules={**contract.rules, name: new})


@cache
def cases(name: str) -> list[tuple[Scenario, Case, Decision]]:
    """Return the scenarios of the contract called *name*, but for large homes and files, and what decides there."""
    contract = CONTRACTS[name]
    found = []
    for one in bundled_catalogue().in_contract(contract):
        large = any(isinstance(entry.content, Runs) or entry.depth for entry in one.entries)
        if not large and not one.takes_long:
            case = case_of(one, contract, CONTEXT)
            decision = decide(case, contract)
            assert decision is not None
            found.append((one, case, decision))
    return found


def each_in_turn(one: Scenario, own: Contract) -> set[str]:
    """Return what conforms where each rule that the scenario cites is a step of its own: one that lets it be ready passes it on."""
    possible: set[str] = set()
    for verdicts in (own.rules[name].expect for name in one.cites(own) if not own.rules[name].off):
        possible |= {*verdicts} - {"ready"}
        if "ready" not in verdicts:
            return possible
    return possible | {"ready"}


@pytest.mark.in_turn(16)
@pytest.mark.parametrize(("name", "rule"), list(rules()))
def test_a_rule_that_changes_decides_as_the_scenarios_about_it_say(name: str, rule: str) -> None:
    """A scenario that cites all rules that matter says what is right: the first of them, or each of them in turn.

    Elsewhere no rule decides that is off, and no verdict comes from anywhere but the rules that are named.
    """
    whole = CONTRACTS[name]
    touched = [row for row in cases(name) if rule in (*row[2].rules, *row[0].cites(whole))]
    different: list[tuple[str, Rule, Decision | None]] = []
    agreeing = 0
    for own in changed(whole, rule):
        for one, case, before in touched:
            after = decide(case, own)
            verdicts = set() if after is None else {*after.verdicts}
            named = () if after is None else after.rules
            agrees = verdicts == {*one.expected(own)}
            agreeing += agrees
            tells_all = {*before.rules, *named} <= {*one.cites(own)}
            if tells_all and after is not None and verdicts != each_in_turn(one, own):
                different += [] if agrees else [(one.id, own.rules[rule], after)]
            from_rules = {"ready"}.union(*(own.rules[each].expect for each in named))
            if any(own.rules[each].off for each in named) or (named and not verdicts <= from_rules):
                different += [(one.id, own.rules[rule], after)]

    assert different == []
    assert agreeing or not touched


@pytest.mark.parametrize("name", CONTRACTS)
def test_no_step_speaks_of_a_rule_that_is_said_not_to_matter_in_a_scenario(name: str) -> None:
    """Most scenarios are spared a look into their homes, because what a rule is about stands in its name."""
    contract = CONTRACTS[name]
    wrong = {}
    spared = 0
    for one, case, _ in cases(name):
        spoken = {
            rule
            for step in steps_of(case, contract)
            for rule in (*step.rules, step.without_login)
            if rule in contract.rules
        }
        passed_over = {rule for rule in contract.rules if not may_matter(rule, one)}
        spared += len(passed_over)
        if found := spoken & passed_over:
            wrong[one.id] = found

    assert wrong == {}
    assert spared > 500


# What the scenarios alone do not say


def expected(tmp_path: Path, text: str, id_: str, parent: str = "slot-strict") -> tuple[str, ...]:
    """Return what a contract with these *text* for its rules expects in the scenario called *id_*; nothing if it is left out."""
    head = f'name = "own"\nversion = "1"\nsummary = "A policy"\nextends = "{parent}"\n[rules]\n'
    file = written(tmp_path / "own.toml", head + text)
    request = RunRequest(
        probe=Command("true"),
        cwd=str(tmp_path),
        contract=str(file),
        files=(str(tmp_path / "mine.toml"),) if id_ == "mine" else (),
    )
    subject = check(request)
    found = subject.catalogue.get(id_).expected(subject.contract)
    assert bool(found) == (id_ in {one.id for one in subject.selected})
    return found


@pytest.mark.parametrize(
    ("text", "id_", "verdicts"),
    [
        pytest.param(
            'cli-fails = { expect = "ready" }', "cli/exit-1-no-credentials", ("creds-missing",),
            id="a CLI that may fail, and no login",
        ),
        pytest.param(
            'cli-link = { expect = "cli-broken" }', "cli/link/npm-no-credentials", ("cli-broken",),
            id="a CLI that may be no link, and no login",
        ),
        pytest.param(
            'claude-no-token = { expect = "ready" }', "claude-login/document/oauth-empty",
            ("creds-invalid",), id="no token is needed, and there are no scopes",
        ),
        pytest.param(
            'claude-usable = { expect = "creds-missing" }', "claude-login/scopes/text",
            ("creds-missing", "creds-invalid"), id="no login counts, and the scopes are open",
        ),
        pytest.param(
            'claude-usable = "off"', "cli/terminal/wanted", (), id="nothing is said of logins"
        ),
        pytest.param('cli-fails = "off"', "cli/exit-1", ("ready",), id="nothing is said of the CLI"),
    ],
)  # fmt: skip
def test_a_run_asks_for_what_all_rules_come_to_together(
    tmp_path: Path, text: str, id_: str, verdicts: tuple[str, ...]
) -> None:
    """Who follows the policy would be told otherwise that they are wrong."""
    assert expected(tmp_path, text, id_) == verdicts


#: Files of scenarios of one's own under a policy for which a CLI that fails is no reason to refuse.
OWN_FILES = {
    "says it of the policy": ('own = "creds-invalid"\nslot = "cli-broken"', ("creds-invalid",)),
    "says another thing of slot": ('slot = "creds-invalid"', ("creds-invalid",)),
    "says what the rules say": ('slot = "cli-broken"', ("creds-missing",)),
}


@pytest.mark.parametrize("about", OWN_FILES)
def test_what_a_scenario_of_ones_own_says_that_follows_from_no_rule_stays(
    tmp_path: Path, about: str
) -> None:
    expect, verdicts = OWN_FILES[about]
    text = 'summary = "x"\norigin = "a: b"\nagent = "claude"\ncontrol = "claude/credentials-file"\n'
    written(tmp_path / "mine.toml", f'{text}cli.state = "exit-1"\n[expect]\n{expect}\n')

    assert expected(tmp_path, 'cli-fails = { expect = "ready" }', "mine", "slot") == verdicts


def test_where_all_that_was_asked_for_is_left_out_that_is_said(tmp_path: Path) -> None:
    head = 'name = "own"\nversion = "1"\nsummary = "A policy"\nextends = "slot"\n[rules]\n'
    file = written(tmp_path / "own.toml", f'{head}claude-login = "off"\n')
    request = RunRequest(
        probe=Command("true"), cwd=str(tmp_path), contract=str(file), patterns=("cli/healthy",)
    )

    with pytest.raises(UsageError) as caught:
        check(request)
    cause = "contract 'own' has turned off all rules about 'cli/healthy'"
    assert str(caught.value) == f"{cause}; leave it out, or choose another with --contract"


def test_a_report_names_the_rule_that_decides_under_the_contract_that_is_extended(
    tmp_path: Path,
) -> None:
    """What slot-strict inherits cites rules of slot behind the first, which slot-strict has others for."""
    head = 'name = "own"\nversion = "1"\nsummary = "A policy"\nextends = "slot-strict"\n[rules]\n'
    file = written(tmp_path / "own.toml", f'{head}cli-fails = "off"\n')
    ids = ("cli/exit-1", "cli/exit-1-no-credentials", "cli/codex-exit-1", "claude/nested-session")
    subject = check(
        RunRequest(probe=Command("true"), cwd=str(tmp_path), contract=str(file), patterns=ids)
    )

    assert {one.id: one.decided_by(subject.contract) for one in subject.selected} == {
        "cli/exit-1": "claude-usable",
        "cli/exit-1-no-credentials": "claude-missing",
        "cli/codex-exit-1": "codex-usable",
        "claude/nested-session": "claude-missing",
    }


def test_nothing_is_written_about_the_credentials_of_an_agent_of_ones_own() -> None:
    own = replace(CONTRACTS["slot"], name="own", agents=("claude", "codex", "gemini"))
    gate = replace(CONTRACTS["preflight"], name="own", agents=("claude", "codex"))

    for contract, agent in ((own, "gemini"), (gate, "codex")):
        assert decide(case_of(scenario(agent=agent), contract, CONTEXT), contract) is None
        assert (specified(contract), specified(contract, agent)) == (contract.lineage[-1], "")
