"""The command compare: several probes in the same homes, and where they disagree."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest
from support_cli import suite

from conformance.bundled import fixtures_dir, scenarios_dir

REFERENCE = shlex.join([sys.executable, str(fixtures_dir() / "probes" / "slot.py")])
OLD = shlex.join(
    [sys.executable, str(Path(__file__).parents[1] / "probes" / "first_codex_shell.py")]
)
THREE = ["claude/nested-session", "claude/baseline-only", "agent/unmapped"]


def compare(
    directory: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run compare; return how that ended, and the JSON report."""
    done = suite(directory, "compare", *arguments, "--json", "report.json")
    report = directory / "report.json"
    return done, json.loads(report.read_text()) if report.exists() else {}


def test_scenarios_of_ones_own_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "own" / "mine" / "nested-session.toml"
    file.parent.mkdir(parents=True)
    file.write_text((scenarios_dir() / "claude" / "nested-session.toml").read_text())
    constant = ["--probe", "sh -c 'exit 65'"]

    done, report = compare(
        tmp_path, "mine/nested-session", "--scenarios", "own", "--probe", REFERENCE, *constant
    )

    assert (done.returncode, done.stderr) == (1, "")
    [row] = report["scenarios"]
    assert (row["id"], [answer["code"] for answer in row["answers"]]) == (
        "mine/nested-session",
        [0, 65],
    )


@pytest.mark.slow
def test_a_reviewer_sees_that_two_probes_differ_in_one_case_and_in_what(tmp_path: Path) -> None:
    done, report = compare(tmp_path, "--probe", REFERENCE, "--probe", OLD, *THREE)

    assert (done.returncode, done.stderr) == (1, "")
    assert [(row["id"], row["agree"]) for row in report["scenarios"]] == [
        ("claude/nested-session", False),
        ("agent/unmapped", True),
        ("claude/baseline-only", True),
    ]
    assert [answer["code"] for answer in report["scenarios"][0]["answers"]] == [0, 65]
    assert "claude/nested-session   ready (0)   creds-missing (65) !" in done.stdout
    assert "    + .claude/.credentials/session.json: as layer claude-login has " in done.stdout
    assert "claude/baseline-only " not in done.stdout
    assert "disagree in 1, agree in 2; ! is not what the side's contract calls for; " in done.stdout


@pytest.mark.slow
def test_all_also_shows_where_they_agree_and_below_what_disagrees(tmp_path: Path) -> None:
    done, _ = compare(tmp_path, "--probe", REFERENCE, "--probe", OLD, "--all", *THREE)

    shown = [
        line.split()[0]
        for line in done.stdout.splitlines()
        if line.strip().startswith(tuple(THREE))
    ]
    assert shown == ["claude/nested-session", "agent/unmapped", "claude/baseline-only"]


def test_probes_that_agree_are_status_0(tmp_path: Path) -> None:
    done, report = compare(tmp_path, "--probe", REFERENCE, "--reference", "slot", *THREE)

    assert (done.returncode, report["disagree"], report["agree"], report["not_judged"]) == (
        0,
        0,
        3,
        0,
    )


@pytest.mark.slow
def test_each_side_is_judged_by_its_own_contract_and_meanings_are_compared(tmp_path: Path) -> None:
    """Preflight says 1 for what slot says 65: that is no disagreement."""
    ids = ["claude/credentials-file", "claude/no-dot-claude", "claude/legacy-credentials-json"]

    done, report = compare(
        tmp_path,
        "--reference",
        "slot",
        "--reference",
        "slot-strict",
        "--reference",
        "preflight",
        *ids,
    )

    answers = {
        row["id"]: [answer["code"] for answer in row["answers"]] for row in report["scenarios"]
    }
    assert answers == {
        "claude/legacy-credentials-json": [0, 65, 1],
        "claude/credentials-file": [0, 0, 0],
        "claude/no-dot-claude": [65, 65, 1],
    }
    assert [row["agree"] for row in report["scenarios"]] == [False, True, True]
    assert done.returncode == 1
    assert [side["contract"]["name"] for side in report["sides"]] == [
        "slot",
        "slot-strict",
        "preflight",
    ]


def test_only_scenarios_of_every_contract_are_compared(tmp_path: Path) -> None:
    done, report = compare(
        tmp_path,
        "--reference",
        "slot",
        "--reference",
        "preflight",
        "agent/*",
        "claude/no-dot-claude",
    )

    assert [row["id"] for row in report["scenarios"]] == ["claude/no-dot-claude"]
    assert done.returncode == 0


def test_a_probe_can_name_its_contract_and_a_callable_is_a_probe(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n\ndef probe() -> int:\n    return 0 if os.path.exists(os.environ['AGENT_HOME']) else 1\n"
    )

    done, report = compare(
        tmp_path,
        "--python",
        "preflight=mine:probe",
        "--probe",
        f"slot={REFERENCE}",
        "claude/no-dot-claude",
    )

    assert [(side["contract"]["name"], side["probe"]["kind"]) for side in report["sides"]] == [
        ("slot", "command"),
        ("preflight", "callable"),
    ]
    assert [answer["code"] for answer in report["scenarios"][0]["answers"]] == [65, 0]
    assert done.returncode == 1


def test_other_ends_are_answers_too(tmp_path: Path) -> None:
    words = [
        "--probe",
        "sh -c 'kill -9 $$'",
        "--probe",
        "sh -c 'exit 3'",
        "--probe",
        "sh -c 'exit 3'",
    ]

    done, report = compare(tmp_path, *words, "claude/no-dot-claude")

    [row] = report["scenarios"]
    assert [answer["meanings"] for answer in row["answers"]] == [
        ["killed by signal 9"],
        ["exit code 3"],
        ["exit code 3"],
    ]
    assert "killed by signal 9 !   exit code 3 !   exit code 3 !" in done.stdout


@pytest.mark.slow
def test_an_image_and_a_local_probe(
    tmp_path: Path, engine: docker.DockerClient, reference_image: str
) -> None:
    done, report = compare(tmp_path, "--image", reference_image, "--probe", OLD, *THREE)

    assert [side["probe"]["kind"] for side in report["sides"]] == ["command", "image"]
    assert [(row["id"], row["agree"]) for row in report["scenarios"][:1]] == [
        ("claude/nested-session", False)
    ]
    assert (done.returncode, report["disagree"], report["agree"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [],
            "there is nothing to compare; name two probes or more, with --probe, --image, --python, --reference",
        ),
        (["--reference", "slot"], "there is nothing to compare; "),
        (["--reference", "slot", "--reference", "door"], "no contract 'door'; bundled: "),
        (["--reference", "slot", "--probe", "./nothing"], "no probe './nothing'; "),
        (["--reference", "slot", "--probe", "door=true"], "no contract 'door'; bundled: "),
        (["--reference", "slot", "--python", "nothing:here"], "no module 'nothing'; "),
        (
            ["--reference", "slot", "--reference", "slot", "no/such"],
            "no scenario 'no/such' in contract 'slot'; ",
        ),
        (
            ["--reference", "slot", "--reference", "preflight", "agent/*"],
            "no scenario is part of all of slot, preflight; ",
        ),
        (
            ["--reference", "cli-status", "--reference", "slot"],
            "contract 'cli-status' asks the CLI itself, and there is no '",
        ),
    ],
)
@pytest.mark.slow
def test_a_wrong_request_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    words = [*words, "--env", "PATH=/usr/bin:/bin"]

    done, report = compare(tmp_path, *words)

    assert (done.returncode, done.stdout, done.stderr.count("\n"), report) == (2, "", 1, {})
    assert done.stderr.startswith(f"probe-conformance: {said}")
