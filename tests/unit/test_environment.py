"""The environment of a probe: what the contract, the user and the scenario say, and nothing else."""

from __future__ import annotations

import os

import pytest
from factories import scenario
from msgspec.structs import replace

from conformance.catalogue.contracts import bundled
from conformance.drivers.environment import check_extra, environment
from conformance.errors import UsageError
from conformance.model.contract import Contract, Inputs
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

SLOT, PREFLIGHT = bundled()["slot"], bundled()["preflight"]
CONTEXT = Context(now=1_000_000, seed="seed", scenario="a/b", home="/fake/home")


def variables(
    contract: Contract, case: Scenario, extra: dict[str, str] | None = None
) -> dict[str, str]:
    return environment(
        case, contract, CONTEXT, path="/stubs:/bin", opposite="/fake/opposite", extra=extra
    )


def test_slot_gets_its_inputs_and_what_is_the_same_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CALLER_MARKER", "leaked")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert variables(SLOT, scenario(agent="codex")) == {
        "HOME": "/fake/home",
        "LANG": "C.UTF-8",
        "PATH": "/stubs:/bin",
        "TZ": "UTC",
        "WOVED_TASK_AGENT": "codex",
    }


def test_preflight_gets_its_home_by_its_own_name_and_the_opposite_one_as_home() -> None:
    assert variables(PREFLIGHT, scenario()) == {
        "AGENT_HOME": "/fake/home",
        "HOME": "/fake/opposite",
        "LANG": "C.UTF-8",
        "PATH": "/stubs:/bin",
        "TZ": "UTC",
    }


def test_run_result_gets_an_exit_code_and_the_path_of_a_log() -> None:
    run_result = bundled()["run-result"]
    usual = variables(run_result, scenario())
    assert usual == {
        "HOME": "/fake/home",
        "LANG": "C.UTF-8",
        "ORCH_RUN_EXIT_CODE": "0",
        "ORCH_RUN_LOG": "/fake/home/run.log",
        "PATH": "/stubs:/bin",
        "TZ": "UTC",
    }
    other = scenario(inputs={"exit_code": "137", "log": "{home}/logs/7.log"})
    assert variables(run_result, other) == usual | {
        "ORCH_RUN_EXIT_CODE": "137",
        "ORCH_RUN_LOG": "/fake/home/logs/7.log",
    }
    neither = variables(run_result, scenario(inputs_unset=("exit_code", "log")))
    assert neither.keys() == usual.keys() - {"ORCH_RUN_EXIT_CODE", "ORCH_RUN_LOG"}
    for name in ("ORCH_RUN_EXIT_CODE", "ORCH_RUN_LOG"):
        with pytest.raises(UsageError, match=f"{name} is set by the contract 'run-result'"):
            check_extra({name: "1"}, run_result)


def test_a_contract_without_an_opposite_home_sets_no_home_but_its_own() -> None:
    contract = replace(SLOT, inputs=Inputs(home="THE_HOME"))
    assert variables(contract, scenario()).keys() == {"LANG", "PATH", "THE_HOME", "TZ"}


def test_the_scenario_sets_variables_with_placeholders() -> None:
    case = scenario(
        env={"FILE": "{home}/x", "WHEN": "{now:s}", "SECRET": "{secret}", "PLAIN": "{not one}"}
    )
    result = variables(PREFLIGHT, case)
    assert (result["FILE"], result["WHEN"], result["PLAIN"]) == (
        "/fake/home/x",
        "1000000",
        "{not one}",
    )
    assert result["SECRET"] == CONTEXT.secret()


def test_the_scenario_overrides_all_other_variables() -> None:
    case = scenario(
        env={"WOVED_TASK_AGENT": "ghost", "TZ": "Asia/Tokyo", "A": "scenario", "HOME": ""},
        unset=("LANG", "B", "NONE"),
    )
    assert variables(SLOT, case, {"A": "user", "B": "user"}) == {
        "A": "scenario",
        "HOME": "",
        "PATH": "/stubs:/bin",
        "TZ": "Asia/Tokyo",
        "WOVED_TASK_AGENT": "ghost",
    }


def test_the_user_may_add_and_replace_what_the_contract_leaves_alone() -> None:
    result = variables(SLOT, scenario(), {"EXTRA": "", "LANG": "C", "TZ": "Europe/Berlin"})
    assert result == {
        "EXTRA": "",
        "HOME": "/fake/home",
        "LANG": "C",
        "PATH": "/stubs:/bin",
        "TZ": "Europe/Berlin",
        "WOVED_TASK_AGENT": "claude",
    }


def test_a_path_of_the_user_does_not_come_before_the_stubs() -> None:
    """The driver has made the user's PATH a part of *path* already."""
    assert variables(SLOT, scenario(), {"PATH": "/usr/bin"})["PATH"] == "/stubs:/bin"


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        ("slot", "HOME"),
        ("slot", "WOVED_TASK_AGENT"),
        ("preflight", "AGENT_HOME"),
        ("preflight", "HOME"),
    ],
)
def test_a_variable_that_the_contract_decides_is_refused_by_name(contract: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_extra({"A": "1", name: "x"}, bundled()[contract])
    assert (
        str(caught.value)
        == f"{name} is set by the contract '{contract}'; leave it out of --env and --pass-env"
    )


@pytest.mark.parametrize("contract", ["slot", "preflight"])
def test_other_variables_are_taken(contract: str) -> None:
    check_extra({}, bundled()[contract])
    check_extra(
        {"PATH": "/bin", "LANG": "C", "A": "", "ORCH_PREFLIGHT_CHECK_AUTH": "false"},
        bundled()[contract],
    )
    check_extra({"AGENT_HOME": "/x"}, SLOT)
    check_extra({"WOVED_TASK_AGENT": "x"}, PREFLIGHT)


def test_a_contract_without_an_agent_variable_does_not_refuse_an_empty_name() -> None:
    """No name is empty, so the inputs that a contract lacks stand for nothing."""
    check_extra({"": "x"}, replace(SLOT, inputs=Inputs(home="HOME")))


def test_bytes_that_are_no_text_go_through() -> None:
    result = variables(SLOT, scenario(env={"NAME": "{byte:ff}"}))
    assert os.fsencode(result["NAME"]) == b"\xff"
