"""What is true of the bundled scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_scenario_files import PREFLIGHT, READY, SLOT, own_contract, write

from conformance.bundled import scenarios_dir
from conformance.catalogue import contracts
from conformance.catalogue.agents import cli_states
from conformance.catalogue.catalogue import Catalogue, load_catalogue
from conformance.catalogue.scenarios import read_scenarios
from conformance.errors import ConformanceError, FileError
from conformance.model.contract import Contract
from conformance.model.scenario import ContainerNeeds, Scenario


def test_there_are_at_least_two_hundred_scenarios_and_every_file_holds_some(
    bundled: Catalogue,
) -> None:
    assert len(bundled.in_contract(SLOT)) >= 200
    assert {scenario.file for scenario in bundled.scenarios.values()} == set(
        map(str, scenarios_dir().rglob("*.toml"))
    )


@pytest.mark.parametrize("contract", [SLOT, PREFLIGHT], ids=lambda contract: contract.name)
def test_every_verdict_is_expected_somewhere_and_nothing_else_conforms_there(
    contract: Contract, bundled: Catalogue
) -> None:
    expected = {scenario.expected(contract) for scenario in bundled.in_contract(contract)}
    assert {(verdict.name,) for verdict in contract.verdicts} <= expected


@pytest.mark.parametrize(
    ("contract", "codes"),
    [(SLOT, (0, 1, 64, 65, 66)), (PREFLIGHT, (0, 1))],
    ids=["slot", "preflight"],
)
def test_no_answer_that_is_always_the_same_conforms(
    contract: Contract, codes: tuple[int, ...], bundled: Catalogue
) -> None:
    """Whatever the code, most of the catalogue calls for another one."""
    scenarios = bundled.in_contract(contract)
    allowed = [scenario.codes(contract) for scenario in scenarios]
    conforming = {code: sum(code in each for each in allowed) for code in range(256)}
    assert [code for code, count in conforming.items() if count >= len(scenarios)] == []
    assert [code for code in codes if conforming[code] > 0.9 * len(scenarios)] == []
    assert {code for code, count in conforming.items() if count} == set(contract.all_codes)


@pytest.mark.parametrize("contract", [SLOT, PREFLIGHT], ids=lambda contract: contract.name)
def test_every_expectation_that_decides_anything_has_a_control_that_calls_for_another_code(
    contract: Contract, bundled: Catalogue
) -> None:
    """Only where every code conforms, under a contract of two, there is nothing to tell apart."""
    every = set(contract.all_codes)
    blind = []
    for scenario in bundled.in_contract(contract):
        control = bundled.get(scenario.control_for(contract))
        codes, others = scenario.codes(contract), control.codes(contract)
        if codes != every and not (others and codes.isdisjoint(others)):
            blind.append(scenario.id)
    assert blind == []


def test_every_scenario_says_in_a_line_what_it_is_about_and_where_it_comes_from(
    bundled: Catalogue,
) -> None:
    texts = [(s.id, text) for s in bundled.scenarios.values() for text in (s.summary, s.origin)]
    assert [
        id_
        for id_, text in texts
        if not text.isprintable() or len(text.split()) < 2 or text != text.strip()
    ] == []
    summaries = [scenario.summary for scenario in bundled.scenarios.values()]
    assert [summary for summary in summaries if summaries.count(summary) > 1] == []


LOGIN = ".claude/.credentials.json"


def test_every_agent_and_every_condition_of_the_cli_is_met(bundled: Catalogue) -> None:
    """Each condition is met with a login; without one where that says more: under a contract that
    tells the refusals apart, and for some of those that outrank a missing login."""
    assert {scenario.agent for scenario in bundled.in_contract(SLOT)} == {"claude", "codex"}
    outranking = 0
    in_slot: dict[str, list[Scenario]] = {}
    for one in bundled.in_contract(SLOT):
        if one.id.startswith("cli/") and any(entry.path == LOGIN for entry in one.entries):
            in_slot.setdefault(one.cli, []).append(one)
    for contract in (SLOT, PREFLIGHT):
        for state in cli_states():
            about = [
                s
                for s in bundled.in_contract(contract)
                if s.cli == state and s.id.startswith("cli/") and s.agent == "claude"
            ]
            with_login, without = (
                {
                    s.expected(contract)
                    for s in about
                    if any(e.path == LOGIN for e in s.entries) is login
                }
                for login in (True, False)
            )
            outranking += without == {("cli-broken",)}
            met: dict[tuple[str, ...], list[set[tuple[str, ...]]]] = {
                ("cli-broken",): [{("cli-broken",)}, set()],
                ("ready",): [{("creds-missing",)}, *([] if contract is SLOT else [set()])],
                ("ready", "cli-broken"): [
                    {("creds-missing", "cli-broken")},
                    *([] if contract is SLOT else [set()]),
                ],
            }
            # Where every answer of a contract would do, nothing is asked under it.
            if contract is PREFLIGHT and not with_login:
                assert {s.codes(SLOT) == {0, 64} for s in in_slot[state]} == {True}, state
                continue
            assert len(with_login) == 1, state
            assert without in met[with_login.pop()], state
    assert outranking > 20


def test_container_scenarios_meet_every_verdict_about_credentials(bundled: Catalogue) -> None:
    scenarios = [scenario for scenario in bundled.in_contract(SLOT) if scenario.container]
    for agent in ("claude", "codex"):
        expected = {scenario.expected(SLOT) for scenario in scenarios if scenario.agent == agent}
        assert {("ready",), ("creds-missing",), ("creds-invalid",)} <= expected
    asked = {
        name
        for s in scenarios
        for name in ContainerNeeds.__struct_fields__
        if getattr(s.container, name)
    }
    assert asked == {*ContainerNeeds.__struct_fields__}


def test_files_shut_by_owner_are_shut_for_the_named_user(bundled: Catalogue) -> None:
    """Run as root, an image would own what is meant to be root's."""
    for scenario in bundled.scenarios.values():
        needs = scenario.container
        if needs and (
            needs.home_owner is not None
            or any(entry.owner is not None for entry in scenario.entries)
        ):
            uid = int(needs.user.partition(":")[0])
            assert uid not in {0, needs.home_owner, *(entry.owner for entry in scenario.entries)}, (
                scenario.id
            )


NAMED = [
    "agent/env-missing agent/env-empty agent/env-blank agent/unmapped agent/prefix agent/wrong-case",
    "claude/no-dot-claude claude/empty-dot-claude claude/baseline-only claude/nested-session claude/legacy-credentials-json",
    "claude/credentials-file claude/artifact-zero-bytes claude/artifact-name-not-utf8 claude/ten-thousand-directories",
    "claude/kubernetes-secret-mount claude/unreadable-directory claude/unsearchable-directory claude/fifo-only",
    "codex/no-auth codex/api-key codex/empty codex/blank codex/dangling-symlink codex/fifo codex/deep-nesting codex/unreadable",
    "container/home-of-another-uid-claude container/home-of-another-uid-codex container/root-owned-auth-json",
    "container/home-read-only-claude container/random-uid-claude container/home-unset-no-passwd-claude",
]


@pytest.mark.parametrize("id_", " ".join(NAMED).split())
def test_an_id_is_never_given_up(id_: str, bundled: Catalogue) -> None:
    """Reports, lists of known failures and commands speak of them."""
    assert bundled.get(id_).id == id_


def test_loading_hands_out_its_own_contracts_only(tmp_path: Path) -> None:
    """A contract of one call is not known to the next."""
    bundled = contracts.bundled().keys()
    assert load_catalogue(contract=own_contract(tmp_path)).contracts.keys() == bundled | {"own"}
    assert load_catalogue().contracts.keys() == bundled


def test_a_single_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_scenarios(
            write(tmp_path, a__b=READY + "x = 1\n") / "a/b.toml", tmp_path, contracts.bundled()
        )
    assert (caught.value.file, caught.value.key) == (f"{tmp_path}/a/b.toml", "expect.x")
    assert isinstance(caught.value, ConformanceError)
