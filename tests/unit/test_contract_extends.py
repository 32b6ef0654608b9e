"""Scenarios under contracts that extend others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support_scenario_files import PREFLIGHT, READY, SLOT, TOP, lines, own_contract, selected, write

from conformance.catalogue import contracts
from conformance.catalogue.catalogue import Catalogue, load_catalogue

CHILD_CASE = TOP + 'control = {{ {} = "claude/baseline-only" }}\n[expect]\n{} = "ready"\n'


def test_a_contract_inherits_what_its_parent_expects(bundled: Catalogue, tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    nested = bundled.get("claude/nested-session")
    assert nested.expected(own) == nested.expected(SLOT) == ("ready",)
    assert nested.control_for(own) == nested.control_for(SLOT) == "claude/baseline-only"
    assert [s.id for s in bundled.in_contract(own)] == [s.id for s in bundled.in_contract(SLOT)]


def test_a_scenario_may_expect_something_else_under_a_child(tmp_path: Path) -> None:
    """The nearest of a contract and those it extends counts, for expectations and for controls."""
    own = own_contract(tmp_path)
    controls = 'control = { slot = "claude/baseline-only", own = "claude/nested-session" }'
    text = f'{TOP}{controls}\n[expect]\nslot = "ready"\nown = "creds-missing"\n'
    scenario = load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case")
    assert (scenario.expected(SLOT), scenario.control_for(SLOT)) == (
        ("ready",),
        "claude/baseline-only",
    )
    assert (scenario.expected(own), scenario.control_for(own)) == (
        ("creds-missing",),
        "claude/nested-session",
    )
    assert scenario.expected(PREFLIGHT) == ()


def test_one_control_for_all_contracts_counts_where_none_is_named(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    scenario = load_catalogue([write(tmp_path / "s", case=READY)]).get("case")
    assert scenario.control_for(own) == "claude/baseline-only"


def test_a_child_takes_the_control_of_its_parent_where_it_has_none_of_its_own(
    tmp_path: Path,
) -> None:
    own = own_contract(tmp_path)
    text = (
        TOP
        + 'control = { slot = "claude/baseline-only" }\n[expect]\nslot = "ready"\nown = ["ready"]\n'
    )
    scenario = load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case")
    assert scenario.control_for(own) == "claude/baseline-only"


def test_a_scenario_of_a_child_alone_is_no_part_of_its_parent(tmp_path: Path) -> None:
    """Its control is judged by the child, which inherits the expectation of the control."""
    own = own_contract(tmp_path)
    found = load_catalogue(
        [write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))], contract=own
    )
    assert found.get("case").expected(SLOT) == ()
    assert (selected(found, "case", contract=own), selected(found, "cli/hangs", contract=own)) == (
        ["case"],
        ["cli/hangs"],
    )


def test_a_control_under_a_child_has_to_call_for_another_code_there(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    text = CHILD_CASE.format("own", "own").replace("baseline-only", "credentials-file")
    [line] = lines(write(tmp_path / "s", case=text), contract=own)
    assert "control.own: 'claude/credentials-file' does not call for another exit code" in line


def test_a_contract_of_ones_own_is_known_only_when_it_is_named(tmp_path: Path) -> None:
    own = own_contract(tmp_path)
    directory = write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))
    assert "own" in load_catalogue([directory], contract=own).contracts
    [line] = lines(directory)
    known = f"known: {', '.join(contracts.bundled())}; a contract of your own is named with --contract FILE"
    assert line == f"{directory}/case.toml: expect.own: no contract 'own'; {known}"


def test_a_contract_of_a_contract_of_ones_own_counts_its_agents(tmp_path: Path) -> None:
    own = own_contract(
        tmp_path,
        'name = "own"\nversion = "1"\nsummary = "x"\nextends = "slot"\nagents = ["claude", "gemini"]\n',
    )
    text = CHILD_CASE.format("own", "own").replace('agent = "claude"', 'agent = "gemini"')
    assert (
        load_catalogue([write(tmp_path / "s", case=text)], contract=own).get("case").agent
        == "gemini"
    )


def test_scenarios_of_ones_own_are_listed_by_the_contract_of_ones_own(tmp_path: Path) -> None:
    """The whole way through the command line."""
    own_contract(tmp_path)
    directory = write(tmp_path / "s", case=CHILD_CASE.format("own", "own"))
    words = [
        "list",
        "--contract",
        str(tmp_path / "own.contract"),
        "--scenarios",
        str(directory),
        "--json",
        "case",
        "claude/nested-session",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = {
        row["id"]: (row["expected"], row["codes"], row["control"])
        for row in json.loads(done.stdout)
    }
    assert rows == {
        "case": (["ready"], [0], "claude/baseline-only"),
        "claude/nested-session": (["ready"], [0], "claude/baseline-only"),
    }
