"""The commands that show the catalogue: list, show and schema."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support_cli import environment
from support_commands import TIMEOUT, listed, shell, suite

import conformance
from conformance.bundled import data_root


def test_list_has_a_line_for_each_scenario_of_the_contract(tmp_path: Path) -> None:
    for contract in ("slot", "preflight"):
        lines = suite(tmp_path, "list", "--contract", contract).stdout.splitlines()
        found = json.loads(suite(tmp_path, "list", "--contract", contract, "--json").stdout)

        assert [line.split()[0] for line in lines] == [row["id"] for row in found]
        assert [row["id"] for row in found] == sorted(row["id"] for row in found)
        assert all(
            line.endswith(row["summary"]) and "|".join(row["expected"]) in line
            for line, row in zip(lines, found, strict=True)
        )
        assert len(found) >= 90


def test_list_can_be_narrowed(tmp_path: Path) -> None:
    assert listed(tmp_path, "claude/near-*", "codex/api-key") == [
        "claude/near-baseline-claude-md",
        "claude/near-baseline-config",
        "claude/near-baseline-settings",
        "codex/api-key",
    ]


def test_a_row_of_the_list_says_what_conforms(tmp_path: Path) -> None:
    assert json.loads(suite(tmp_path, "list", "--json", "claude/nested-session").stdout) == [
        {
            "id": "claude/nested-session",
            "agent": "claude",
            "expected": ["ready"],
            "codes": [0],
            "summary": "A login kept under .claude/.credentials/ counts: no file name is pinned",
            "origin": "codex-shell#21: the first probe looked for credentials.json and failed healthy slots",
            "control": "claude/baseline-only",
            "container": False,
            "since": "1",
        }
    ]


def test_list_tells_what_only_a_container_can_show(tmp_path: Path) -> None:
    found = json.loads(suite(tmp_path, "list", "--json").stdout)
    ids = {row["id"] for row in found if row["container"]}
    assert len(ids) >= 6
    assert ids == {row["id"] for row in found if row["id"].startswith("container/")}


def test_show_says_what_is_asked_of_the_container(tmp_path: Path) -> None:
    done = suite(tmp_path, "show", "container/home-of-another-uid-codex")
    lines = [
        line.split(maxsplit=1)
        for line in done.stdout.splitlines()
        if line.startswith("  container ")
    ]
    assert lines == [
        ["container", "the image run as user 10001:10001"],
        ["container", "a HOME owned by uid 10000"],
    ]
    assert done.stdout.splitlines()[-2:] == [
        "    + the image run as user 10001:10001",
        "    + a HOME owned by uid 10000",
    ]


def test_list_says_nothing_to_a_reader_that_has_gone(tmp_path: Path) -> None:
    done = shell(tmp_path, "{ sleep 0.1; probe-conformance list; } | true")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "id_",
    [
        "claude/nested-session",
        "claude/artifact-name-not-utf8",
        "claude/artifact-name-with-newline",
        "cli/killed",
        "agent/env-missing",
        "container/home-unset-no-passwd-claude",
    ],
)
def test_show_says_everything_about_a_scenario(tmp_path: Path, id_: str) -> None:
    done = suite(tmp_path, "show", id_)

    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(suite(tmp_path, "list", "--json", id_).stdout)
    for words in (
        row["id"],
        row["summary"],
        row["origin"],
        f"control {row['control']} expects",
        *row["expected"],
    ):
        assert words in done.stdout
    assert f"{data_root()}/scenarios/{id_}.toml" in done.stdout


@pytest.mark.parametrize("contract", [pytest.param("slot", marks=pytest.mark.slow), "preflight"])
@pytest.mark.slow
def test_show_answers_for_every_scenario(tmp_path: Path, contract: str) -> None:
    """Nothing in the catalogue is beyond it. One process for all of them, since each would take its time to start."""
    program = f"""
        import functools
        from conformance.cli import catalogue, main
        catalogue._load = functools.cache(catalogue._load)
        for id_ in {listed(tmp_path, "--contract", contract)!r}:
            try:
                main(["show", id_, "--contract", {contract!r}])
            except SystemExit as e:
                assert e.code in (0, None), id_
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


def test_schema_prints_json(tmp_path: Path) -> None:
    done = suite(tmp_path, "schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["else"]["required"] == [
        "summary",
        "origin",
        "agent",
        "control",
        "expect",
    ]


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert (
        suite(tmp_path, "--version").stdout
        == f"probe-conformance, version {conformance.__version__}\n"
    )


@pytest.mark.parametrize(
    "command", [[], ["run"], ["list"], ["show"], ["home"], ["repro"], ["schema"]]
)
@pytest.mark.slow
def test_every_command_explains_itself(tmp_path: Path, command: list[str]) -> None:
    done = suite(tmp_path, *command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: probe-conformance {' '.join(command)}".rstrip())


def test_show_compares_with_the_control_of_a_contract_that_the_scenario_has(tmp_path: Path) -> None:
    done = suite(tmp_path, "show", "configuration/codex-forced-workspace/without-account-id")

    assert "/the-same expects ready (0) under slot-strict; against it:" in done.stdout
