"""What a run takes: scenarios, contracts, probes and their variables."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from factories import written
from support import NOBODY, ROOT, diagnoses, repeats
from support_commands import (
    MISSING,
    PAIR,
    SCENARIO,
    WORKERS,
    cache,
    listed,
    report,
    results,
    rows,
    shell,
    suite,
)

from conformance.bundled import data_root, scenarios_dir

# What to run


def test_ids_globs_and_files_select_each_scenario_once(tmp_path: Path) -> None:
    file = written(tmp_path / "somewhere" / "scenarios" / "mine" / "login.toml", SCENARIO)
    bundled = data_root() / "scenarios" / "codex" / "api-key.toml"

    found = report(
        tmp_path,
        "claude/nested-session",
        "claude/near-baseline-*",
        "claude/nested-?ession",
        str(file.relative_to(tmp_path)),
        str(bundled),
    )

    assert results(found) == dict.fromkeys(
        [
            "claude/near-baseline-claude-md",
            "claude/near-baseline-config",
            "claude/near-baseline-settings",
            "claude/nested-session",
            "codex/api-key",
            "mine/login",
        ],
        "conforms",
    )
    assert found["exit_status"] == 0


@pytest.mark.parametrize(
    "command",
    [
        ["run", "FILE", "-n", "0"],
        ["show", "FILE"],
        ["home", "FILE", "home"],
        ["repro", "FILE", "--keep", "kept"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("group", ["claude", "mine"])
@pytest.mark.slow
def test_commands_take_a_file_of_a_checkout_or_of_ones_own(
    tmp_path: Path, command: list[str], group: str
) -> None:
    """A checkout has a copy of what is bundled where the suite is installed elsewhere."""
    text = (scenarios_dir() / "claude" / "nested-session.toml").read_text()
    file = written(tmp_path / "scenarios" / group / "nested-session.toml", text)

    words = [str(file.relative_to(tmp_path)) if word == "FILE" else word for word in command]
    done = suite(tmp_path, *words)

    assert (done.returncode, done.stderr) == (0, "")
    if command[0] in ("show", "repro"):
        assert done.stdout.startswith(f"{group}/nested-session")
    if command[0] == "run":
        assert "1 conform" in done.stdout


@pytest.mark.slow
def test_scenarios_of_ones_own_have_layers_of_their_own(tmp_path: Path) -> None:
    text = (
        SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["claude-baseline", "login"]\n'
    )
    written(tmp_path / "first" / "mine" / "login.toml", text)
    written(
        tmp_path / "first" / "layers" / "login.toml",
        'summary = "A login"\n[files]\n".claude/own" = "{secret}"\n',
    )
    # A control of one's own, in another directory.
    written(
        tmp_path / "second" / "other" / "codex.toml",
        SCENARIO.replace('"claude"', '"codex"')
        .replace("claude/baseline-only", "mine/login")
        .replace('"ready"', '"creds-missing"'),
    )
    own = ["--scenarios", "first", "--scenarios", str(tmp_path / "second")]

    found = report(tmp_path, *own, "mine/login", "other/codex", "claude/baseline-only", "-n", "0")

    assert results(found) == dict.fromkeys(
        ["claude/baseline-only", "mine/login", "other/codex"], "conforms"
    )
    assert rows(found)["other/codex"]["control"] == "mine/login"
    assert {"claude/nested-session", "mine/login", "other/codex"} <= set(listed(tmp_path, *own))


@pytest.mark.slow
def test_scenarios_of_ones_own_run_beside_the_bundled_ones(tmp_path: Path) -> None:
    written(tmp_path / "own" / "mine" / "login.toml", SCENARIO)

    assert listed(tmp_path, "--scenarios", "own") == sorted([*listed(tmp_path), "mine/login"])


@pytest.mark.slow
def test_a_layer_can_take_the_name_of_a_bundled_one(tmp_path: Path) -> None:
    text = SCENARIO.partition("[home.files]")[0] + '[home]\ninclude = ["claude-baseline"]\n'
    written(tmp_path / "own" / "mine" / "login.toml", text)
    written(
        tmp_path / "own" / "layers" / "claude-baseline.toml",
        'summary = "Ours"\n[files]\n".claude/own" = "{secret}"\n',
    )

    assert results(report(tmp_path, "--scenarios", "own", "mine/login")) == {
        "mine/login": "conforms"
    }


def test_a_contract_of_ones_own_judges_by_its_own_numbers(tmp_path: Path) -> None:
    """It inherits what the scenarios expect, and changes what an answer is."""
    written(
        tmp_path / "ours.toml",
        """
        name = "ours"
        version = "7"
        summary = "Another number for a slot where nobody has logged in"
        extends = "slot"

        [verdicts]
        ready = { code = 0, meaning = "good", action = "go" }
        cli-broken = { code = 64, meaning = "bad", action = "stop" }
        creds-missing = { code = 10, meaning = "bad", action = "stop" }
        creds-invalid = { code = 66, meaning = "bad", action = "stop" }
        """,
    )

    found = report(tmp_path, *PAIR, "--contract", "ours.toml", "--probe", "sh -c 'exit 10'")

    assert found["contract"] == {"name": "ours", "version": "7"}
    assert results(found) == {
        "claude/baseline-only": "conforms",
        "claude/nested-session": "deviates",
    }
    refused = suite(tmp_path, "run", *PAIR, "--contract", "ours.toml")
    assert (refused.returncode, refused.stderr) == (
        2,
        "probe-conformance: contract 'ours' has no reference probe; name a probe with --probe\n",
    )


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.slow
def test_arguments_after_two_dashes_go_to_pytest(tmp_path: Path, workers: str) -> None:
    found = report(tmp_path, "claude/near-*", "-n", workers, "--", "-k", "config or settings")

    assert results(found) == dict.fromkeys(
        ["claude/near-baseline-config", "claude/near-baseline-settings"], "conforms"
    )
    assert found["exit_status"] == 0


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="only root can make directories of another user")
def test_a_right_probe_is_not_blamed_for_a_cache_that_it_may_not_reach(tmp_path: Path) -> None:
    """As with sudo that keeps HOME: probes of root have no capability to pass by modes."""
    closed = tmp_path / "home"
    closed.mkdir(0o700)
    os.chown(closed, NOBODY, NOBODY)

    done = suite(tmp_path, "run", "claude/nested-session", XDG_CACHE_HOME=str(closed / "cache"))

    assert done.returncode == 3, done.stdout
    assert "cannot be read by uid 0 without CAP_DAC_OVERRIDE" in done.stdout


@pytest.mark.parametrize("workers", WORKERS)
def test_scenarios_of_ones_own_count_with_arguments_for_pytest_as_well(
    tmp_path: Path, workers: str
) -> None:
    """Their files lie outside of the catalogue, and so have other names with pytest."""
    written(tmp_path / "scenarios/mine/case.toml", SCENARIO)
    words = ["run", "mine/case", "claude/baseline-only", "--scenarios", "scenarios"]

    done = suite(tmp_path, *words, "--probe", MISSING, "--workers", workers, "--", "-q")

    assert done.returncode == 1, done.stdout
    assert "1 conform, 1 deviate" in done.stdout


@pytest.mark.slow
def test_many_scenarios_that_failed_are_run_again_wherever_their_files_lie(tmp_path: Path) -> None:
    """Of many files, pytest gets the directories, and each file outside of them."""
    written(tmp_path / "case.toml", SCENARIO)
    words = ["case.toml", "codex/*", "--probe", "sh -c 'exit 66'", "-n", "0"]

    (tmp_path / "report.json").write_text(json.dumps(report(tmp_path, *words)))
    again = report(tmp_path, *words, "--last-failed", "report.json")

    assert len({row["id"].rpartition("/")[2] for row in again["scenarios"]}) > 20
    assert set(results(again).values()) == {"deviates"}, again["scenarios"]
    assert "case" in results(again)


@pytest.mark.slow
def test_pytest_can_be_told_to_stop_at_the_first_failure(tmp_path: Path) -> None:
    found = report(tmp_path, "claude/near-*", "-n", "0", "--probe", MISSING, "--", "-x")

    assert found["exit_status"] == 1
    assert set(results(found).values()) == {"deviates"}
    assert len(found["scenarios"]) == 1


@pytest.mark.slow
def test_pytests_own_settings_and_files_have_no_part_in_a_run(tmp_path: Path) -> None:
    written(tmp_path / "pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    written(tmp_path / "conftest.py", "raise RuntimeError\n")

    found = report(
        tmp_path,
        *PAIR,
        "-n",
        "2",
        PYTEST_ADDOPTS="--no-such-option",
        PYTEST_PLUGINS="no_such_plugin",
    )

    assert found["exit_status"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conftest.py", "pytest.ini"]


# What the probe gets


@pytest.mark.slow
def test_a_probe_is_split_like_a_shell_would_and_found_from_any_directory(tmp_path: Path) -> None:
    written(
        tmp_path / "my probes" / "probe",
        '#!/bin/sh\n[ $# = 2 ] && [ "$1" = "two words" ] && [ -z "$2" ]\n',
        0o755,
    )

    for probe in (
        "'my probes/probe' 'two words' ''",
        '"./my probes/probe" two\\ words ""',
        "sh 'my probes/probe' 'two words' ''",
    ):
        found = report(tmp_path, "claude/nested-session", "--probe", probe)
        assert results(found) == {"claude/nested-session": "conforms"}, probe


#: A selection that is varied enough for hints, and quick.
VARIED = ("agent/*", "cli/healthy*", "cli/exit-*", "codex/json-*", "codex/no-*", "claude/dot-*")


@pytest.mark.slow
def test_the_same_addition_everywhere_is_one_hint_and_named_it_is_allowed(tmp_path: Path) -> None:
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    probe = f"""sh -c 'mkdir -p "$HOME/.cache"; date >"$HOME/.cache/seen"; exec "$0" "$@"' {sys.executable} -I {slot}"""
    words = ["run", "--probe", probe, *VARIED]

    refused = suite(tmp_path, *words, "--json", "report.json")
    allowed = suite(tmp_path, *words, "--allow-write", ".cache/**")

    assert refused.returncode == 1
    [diagnosis] = diagnoses(refused.stdout)
    assert diagnosis.endswith("name it: --allow-write '.cache/**'")
    # One that stands for all of them, and those homes that differ in more.
    assert sum(line.startswith("DEVIATES ") for line in refused.stdout.splitlines()) == 2
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"]["deviates"] == len(report["scenarios"]) - report["counts"]["conforms"]
    assert report["counts"]["deviates"] > 20
    assert "name it: --allow-write" in report["diagnosis"]
    assert allowed.returncode == 0, allowed.stdout
    assert "allowed: to write '.cache/**' in the HOME" in allowed.stdout.splitlines()


def test_a_deviation_beside_a_further_write_is_repeated_with_it(tmp_path: Path) -> None:
    probe = "sh -c 'echo x >\"$HOME/.x\"; exit 2'"
    words = ["--probe", probe, "--allow-write", ".x"]
    done = suite(tmp_path, "run", "-n", "0", "cli/healthy", *words)
    [line] = repeats(done.stdout)
    assert line.endswith(" --allow-write .x")
    again = suite(tmp_path, *shlex.split(line)[1:])
    assert "outside-contract: " in again.stdout
    assert "changed-home: " not in again.stdout


def test_a_comparison_excuses_further_writes(tmp_path: Path) -> None:
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    probe = f"""sh -c 'date >"$HOME/.x"; exec "$0" "$@"' {sys.executable} -I {slot}"""
    words = [
        "compare",
        "--probe",
        probe,
        "--reference",
        "slot",
        "cli/healthy",
        "--json",
        "out.json",
    ]
    for more, result in (([], "deviates"), (["--allow-write", ".x"], "conforms")):
        suite(tmp_path, *words, *more)
        text = (tmp_path / "out.json").read_text()
        assert re.findall(r'"result": "([a-z]+)"', text) == [result, "conforms"]


@pytest.mark.slow
def test_a_login_shell_that_loses_the_stubs_is_one_hint(tmp_path: Path) -> None:
    """Its profile sets PATH anew, so that no CLI is found there."""
    slot = data_root() / "fixtures" / "probes" / "slot.py"
    profile = (
        f'sh -c \'PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec "$0" "$@"\' {sys.executable} -I {slot}'
    )
    done = suite(tmp_path, "run", "--probe", profile, "claude/*", "codex/*")
    assert done.returncode == 1
    [line] = diagnoses(done.stdout)
    assert "exit code 64 (cli-broken), and no CLI was waited for: " in line
    assert "a login shell (sh -l, bash -lc) sets PATH anew" in line
    assert sum(line.startswith("DEVIATES ") for line in done.stdout.splitlines()) == 1


def test_variables_are_given_and_passed_on_and_no_others(tmp_path: Path) -> None:
    probe = "sh -c 'env > \"$LOG\"'"
    arguments = [
        "--env",
        f"LOG={tmp_path}/log",
        "--env",
        "GIVEN=a=b c",
        "--pass-env",
        "PASSED",
        "--pass-env",
        "GIVEN",
    ]

    found = report(
        tmp_path,
        "claude/nested-session",
        "-n",
        "0",
        "--probe",
        probe,
        *arguments,
        PASSED="on",
        GIVEN="x",
        NOT="y",
    )

    assert results(found) == {"claude/nested-session": "conforms"}
    seen = dict(line.split("=", 1) for line in (tmp_path / "log").read_text().splitlines())
    assert {name: seen[name] for name in ("GIVEN", "PASSED", "LANG", "TZ", "WOVED_TASK_AGENT")} == {
        "GIVEN": "a=b c", "PASSED": "on", "LANG": "C.UTF-8", "TZ": "UTC", "WOVED_TASK_AGENT": "claude"
    }  # fmt: skip
    assert seen.keys() - {"PWD", "SHLVL", "OLDPWD", "_"} == {
        "GIVEN", "HOME", "LANG", "LOG", "PASSED", "PATH", "TZ", "WOVED_TASK_AGENT"
    }  # fmt: skip
    assert seen["HOME"].startswith(str(cache() / "runs"))


def test_a_probe_with_unequal_answers_is_unsteady(tmp_path: Path) -> None:
    probe = "sh -c 'mkdir \"$SEEN\" 2>/dev/null && exit 65; exit 0'"
    arguments = ["-n", "0", "--probe", probe, "--env", f"SEEN={tmp_path}/seen", "--repeat", "3"]

    row = rows(report(tmp_path, "claude/nested-session", *arguments))["claude/nested-session"]

    assert [finding["kind"] for finding in row["findings"]] == ["wrong-verdict", "unsteady"]
    assert (
        row["findings"][1]["message"]
        == "unequal answers in 3 runs: exit code 65 1 times, exit code 0 2 times"
    )


@pytest.mark.slow
def test_the_line_that_repeats_an_unsteady_answer_repeats_it_as_often(tmp_path: Path) -> None:
    probe = 'sh -c \'mkdir "$SEEN" 2>/dev/null && exit 0; rmdir "$SEEN"; exit 65\''
    arguments = ["--probe", probe, "--env", f"SEEN={tmp_path}/seen", "--repeat", "2"]
    done = suite(tmp_path, "run", "claude/nested-session", *arguments)
    [line] = repeats(done.stdout)

    again = shell(tmp_path, line)

    assert again.returncode == 1
    assert "unsteady: unequal answers in 2 runs" in again.stdout
