"""The contract run-result: logs of 100 MB, and every command that takes a contract."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from support_catalogue import growth
from support_cli import suite

from conformance.bundled import fixtures_dir, scenarios_dir

CONTRACT = ("--contract", "run-result")
#: One scenario of each verdict.
FEW = ("run-result/done", "run-result/no-result/empty", "run-result/auth-lost/cli")
MANAGER = fixtures_dir() / "managers" / "run-result.toml"


@pytest.mark.slow
def test_logs_of_100_mb_cost_the_suite_little_memory(tmp_path: Path) -> None:
    assert growth(tmp_path, *CONTRACT) < 64 * 1024


@pytest.mark.slow
def test_the_bundled_manager_is_in_lockstep_and_one_that_swaps_two_codes_is_not(
    tmp_path: Path,
) -> None:
    swapped = MANAGER.read_text().replace("67 =", "6x =").replace("68 =", "67 =")
    (tmp_path / "swapped.toml").write_text(swapped.replace("6x =", "68 ="))

    right, wrong = (
        suite(tmp_path, "lockstep", *CONTRACT, "--manager", manager, *FEW)
        for manager in (str(MANAGER), "swapped.toml")
    )

    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "IN LOCKSTEP")
    assert wrong.returncode == 1
    assert "the Manager moved: it treats 67 as 68 (auth-lost)" in wrong.stdout


@pytest.mark.slow
def test_other_commands_take_the_contract(tmp_path: Path) -> None:
    probe = shlex.join([sys.executable, "-I", str(fixtures_dir() / "probes" / "run_result.py")])
    compared = suite(
        tmp_path, "compare", *CONTRACT, "--probe", probe, "--probe", "sh -c 'exit 67'", *FEW
    )
    assert compared.returncode == 1
    assert "run-result/done" in compared.stdout

    shown = suite(tmp_path, "show", "run-result/exit-code/137").stdout
    assert "exit_code '137'" in shown

    assert suite(tmp_path, "home", FEW[0], "home").returncode == 0
    assert json.loads((tmp_path / "home" / "run.log").read_text())["type"] == "result"

    repeated = suite(tmp_path, "repro", *CONTRACT, "run-result/exit-code/137", "--keep", "kept")
    assert repeated.returncode == 0
    assert "ORCH_RUN_EXIT_CODE=137" in repeated.stdout
    assert "ORCH_RUN_LOG=" in repeated.stdout


@pytest.mark.slow
def test_the_plugin_runs_scenario_files_under_the_contract(tmp_path: Path) -> None:
    there = tmp_path / "scenarios" / "run-result"
    there.mkdir(parents=True)
    for name in ("done.toml", "several.toml"):
        shutil.copy(scenarios_dir() / "run-result" / name, there)
    words = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "scenarios"]
    done = suite(
        tmp_path, *words, "--conformance-contract", "run-result", "--conformance-probe",
        "sh -c 'exit 0'", program="pytest",
    )  # fmt: skip

    assert done.returncode == 1
    assert "expected failed (67), got done (0)" in done.stdout
    assert "6 failed, 6 passed" in done.stdout
