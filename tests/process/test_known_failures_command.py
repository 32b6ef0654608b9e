"""Known failures, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import written
from support_cli import call
from support_commands import MISSING, PAIR, report, results, rows, suite


def known(tmp_path: Path, text: str) -> list[str]:
    written(tmp_path / "known.toml", text)
    return ["--known-failures", "known.toml"]


def test_a_known_failure_does_not_fail_the_run_but_is_no_conformance(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    found = report(tmp_path, *PAIR, "-n", "0", "--probe", MISSING, *entry)

    assert (found["exit_status"], found["conformant"]) == (0, False)
    assert results(found) == {
        "claude/baseline-only": "conforms",
        "claude/nested-session": "known-failure",
    }
    assert rows(found)["claude/nested-session"]["reason"] == "issue 12"
    assert rows(found)["claude/nested-session"]["findings"] != []


@pytest.mark.slow
def test_a_known_failure_that_conforms_by_now_fails_the_run(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    done = suite(tmp_path, "run", *PAIR, "-n", "0", *entry, "--json", "report.json")

    found = json.loads((tmp_path / "report.json").read_text())
    assert (done.returncode, found["exit_status"]) == (1, 1)
    assert found["stale_known_failures"] == ["claude/nested-session"]
    assert (
        f"CONFORMS claude/nested-session, a known failure: take it out of {tmp_path}/known.toml"
        in " ".join(done.stdout.split())  # a long path gets a line of its own
    )


def test_a_known_failure_covers_only_the_kinds_it_names(tmp_path: Path) -> None:
    entry = known(
        tmp_path,
        '[known-failures]\n"claude/nested-session" = { reason = "issue 12", findings = ["timed-out"] }\n',
    )

    found = report(tmp_path, *PAIR, "--probe", MISSING, *entry)

    assert found["exit_status"] == 1
    assert results(found)["claude/nested-session"] == "deviates"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '"claude/nested-sesion" = "issue 12"',
            "no scenario 'claude/nested-sesion' in contract 'slot'",
        ),
        (
            '"preflight/skew-zero" = "issue 12"',
            "no scenario 'preflight/skew-zero' in contract 'slot'",
        ),
        ('"claude/*" = "issue 12"', "no scenario 'claude/*'"),
        ('"claude/nested-session" = ""', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = "  "', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = {}', "known-failures.claude/nested-session"),
        ('"claude/nested-session" = { findings = ["timed-out"] }', "reason"),
        ('"claude/nested-session" = { reason = "x", findings = ["no-such"] }', "findings"),
        ('"claude/nested-session" = { reason = "x", since = "2020" }', "since"),
        ('"claude/nested-session" = ["issue 12"]', "known-failures.claude/nested-session"),
        ("not TOML", "known.toml"),
    ],
)
def test_a_wrong_known_failure_is_one_line_with_status_2(
    tmp_path: Path, text: str, words: str
) -> None:
    entry = known(tmp_path, f"[known-failures]\n{text}\n")

    done = call(tmp_path, "run", *PAIR, "--probe", MISSING, *entry)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"probe-conformance: {tmp_path}/known.toml: ")
    assert words in done.stderr


def test_a_known_failure_outside_the_selection_does_not_matter(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')

    assert report(tmp_path, "claude/baseline-only", *entry)["exit_status"] == 0


@pytest.mark.slow
def test_the_file_of_known_failures_that_is_written_works_on_the_next_run(tmp_path: Path) -> None:
    first = suite(
        tmp_path,
        "run",
        *PAIR,
        "codex/api-key",
        "--probe",
        MISSING,
        "--write-known-failures",
        "known.toml",
    )
    second = report(
        tmp_path, *PAIR, "codex/api-key", "--probe", MISSING, "--known-failures", "known.toml"
    )

    assert first.returncode == 1
    assert second["exit_status"] == 0
    assert second["counts"]["known-failure"] == 2
    assert rows(second)["codex/api-key"]["reason"] == "expected ready (0), got creds-missing (65)"


@pytest.mark.slow
def test_writing_known_failures_anew_keeps_the_reasons_and_drops_what_conforms(
    tmp_path: Path,
) -> None:
    entries = '[known-failures]\n"claude/nested-session" = "issue \\"12\\""\n"claude/baseline-only" = "issue 13"\n'
    both = [*known(tmp_path, entries), "--write-known-failures", "known.toml"]

    first = suite(tmp_path, "run", *PAIR, "codex/api-key", "--probe", MISSING, *both)
    second = report(
        tmp_path, *PAIR, "codex/api-key", "--probe", MISSING, "--known-failures", "known.toml"
    )

    assert first.returncode == 1
    assert second["exit_status"] == 0
    assert {id_: row["reason"] for id_, row in rows(second).items()} == {
        "claude/baseline-only": "",
        "claude/nested-session": 'issue "12"',
        "codex/api-key": "expected ready (0), got creds-missing (65)",
    }


def test_known_failures_of_others_are_not_written_over(tmp_path: Path) -> None:
    entry = known(tmp_path, '[known-failures]\n"claude/nested-session" = "issue 12"\n')
    written(tmp_path / "other.toml", "precious")

    done = suite(
        tmp_path, "run", *PAIR, "--probe", MISSING, *entry, "--write-known-failures", "other.toml"
    )

    assert done.returncode == 2
    assert "other.toml is there already" in done.stderr
    assert (tmp_path / "other.toml").read_text() == "precious"
