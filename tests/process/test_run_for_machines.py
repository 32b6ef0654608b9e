"""A run for other programs, and a run again: what goes to standard output, what ends early, what is left out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from support_cli import call, environment, suite

IDS = ("claude/baseline-only", "claude/credentials-file", "claude/nested-session")
#: What a probe that always says 65 gets wrong of these.
WRONG = {"claude/credentials-file", "claude/nested-session"}
MISSING = ("--probe", "sh -c 'exit 65'")


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return suite(directory, "run", *IDS, "-n", "0", *words)


def ids(file: Path) -> set[str]:
    return {row["id"] for row in json.loads(file.read_text())["scenarios"]}


@pytest.mark.parametrize(
    ("form", "begins"),
    [("concise", "claude/"), ("github", "::error "), ("sarif", "{"), ("tap", "TAP version 14\n")],
)
def test_standard_output_is_for_the_program_and_the_summary_for_people(
    tmp_path: Path, form: str, begins: str
) -> None:
    done = run(tmp_path, *MISSING, "--output-format", form)

    assert done.returncode == 1
    assert done.stdout.startswith(begins)
    assert "NOT CONFORMANT" in done.stderr.splitlines()[-1]
    assert ("DEVIATES" in done.stderr) == (form != "concise")
    if form == "concise":
        assert {line.partition(":")[0] for line in done.stdout.splitlines()} == WRONG


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_exitfirst_ends_at_the_first_deviation_and_says_how_many_did_not_run(
    tmp_path: Path, workers: str
) -> None:
    words = ["run", "claude/*", "-n", workers, *MISSING, "--json", "report.json", "-x"]
    done = suite(tmp_path, *words)
    report = json.loads((tmp_path / "report.json").read_text())

    assert done.returncode == 1
    listed = suite(tmp_path, "list", "claude/*").stdout.count("\n")
    assert len(report["left_out"]) == listed - len(report["scenarios"]) > 0
    assert 1 <= report["counts"]["deviates"] <= 1 + int(workers)
    assert report["counts"]["broke"] == 0
    assert f", {len(report['left_out'])} not run in " in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_what_failed_last_runs_again_until_nothing_fails(tmp_path: Path) -> None:
    words = ["--json", "report.json", "--last-failed", "report.json"]
    first = run(tmp_path, *MISSING, *words[:2])
    assert (first.returncode, ids(tmp_path / "report.json")) == (1, {*IDS})

    again = run(tmp_path, *MISSING, *words)
    assert (again.returncode, ids(tmp_path / "report.json")) == (1, WRONG)
    assert again.stderr == "2 scenarios failed in report.json, and run again\n"
    mended = run(tmp_path, *words)
    assert (mended.returncode, ids(tmp_path / "report.json")) == (0, WRONG)
    whole = run(tmp_path, *words)
    assert (whole.returncode, ids(tmp_path / "report.json")) == (0, {*IDS})
    assert whole.stderr == "nothing failed in report.json: all is run\n"


def test_what_failed_last_has_to_be_here(tmp_path: Path) -> None:
    run(tmp_path, *MISSING, "--json", "report.json")
    (tmp_path / "no-report.json").write_text("[]")

    for words, said in (
        (("claude/baseline-only",), "none of the 2 scenarios that failed in report.json is among"),
        (("--contract", "preflight"), "report.json is about contract 'slot'; name a report of"),
    ):
        done = call(tmp_path, "run", *words, "--last-failed", "report.json")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"probe-conformance: {said}"), done.stderr
    for name, said in (
        ("none.json", "no file none.json"),
        ("no-report.json", "no-report.json is "),
    ):
        done = call(tmp_path, "run", "--last-failed", name)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"probe-conformance: {said}"), done.stderr


@pytest.mark.slow
def test_unsupported_scenarios_can_fail_a_run(tmp_path: Path) -> None:
    own = tmp_path / "own/mine"
    own.mkdir(parents=True)
    (own / "deep.toml").write_text(
        'summary = "A file deep down is seen"\norigin = "a test"\nagent = "claude"\n'
        'control = "claude/nested-session"\n[expect]\nslot = "creds-missing"\n'
        f'[home]\ninclude = ["claude-baseline"]\n[home.files]\n"{"/".join(["d" * 200] * 14)}/f" = "x"\n'
    )
    far = tmp_path.joinpath(*["c" * 250] * 6)
    far.mkdir(parents=True)
    words = ["run", "--scenarios", "own", "mine/deep", "claude/baseline-only", "-n", "0"]
    env = environment(XDG_CACHE_HOME=str(far))
    mild = suite(tmp_path, *words, env=env)
    strict = suite(tmp_path, *words, "--fail-on-unsupported", "--output-format", "concise", env=env)

    assert mild.returncode == 0, mild.stdout
    assert "UNSUPPORTED mine/deep" in mild.stdout
    assert strict.returncode == 1
    assert strict.stdout.startswith("mine/deep: ")
    assert re.fullmatch(r"1 conform, 1 unsupported in .* s: NOT CONFORMANT\n", strict.stderr)
