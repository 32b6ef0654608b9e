"""The command rule: what a rule says, and who cites it; and how much a run says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support_cli import suite


def test_a_rule_is_explained_with_what_it_calls_for_and_who_cites_it(tmp_path: Path) -> None:
    done = suite(tmp_path, "rule", "slot:claude-closed")
    document = json.loads(suite(tmp_path, "rule", "slot:claude-closed", "--json").stdout)

    words = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert words.startswith("slot:claude-closed: A directory that cannot be read or searched")
    assert "calls for creds-invalid (66) level must stated by slot" in words
    assert "claude/dot-claude-closed" in document["scenarios"]
    assert f"scenarios {len(document['scenarios'])}:" in words


def test_a_finding_of_every_scenario_is_a_rule_too(tmp_path: Path) -> None:
    words = " ".join(suite(tmp_path, "rule", "--contract", "slot", "always-a-code").stdout.split())

    assert "broken by outside-contract" in words


@pytest.mark.slow
def test_a_vice_that_a_report_names_is_explained(tmp_path: Path) -> None:
    found = json.loads(suite(tmp_path, "rule", "slot/legacy-name-only", "--json").stdout)

    assert found["text"] == "For claude only ~/.claude/credentials.json counts"
    assert found["met in"].startswith("codex-shell#21")
    assert "claude/nested-session" in found["scenarios"]


@pytest.mark.slow
def test_a_rule_of_the_projects_contract_is_found_by_the_name_that_reports_have(
    tmp_path: Path,
) -> None:
    (tmp_path / "ours.toml").write_text(
        'name = "ours"\nversion = "1"\nextends = "slot"\nsummary = "Ours"\n'
        '[rules]\nclaude-closed = "off"\n'
    )
    (tmp_path / "probe-conformance.toml").write_text('contract = "ours.toml"\n')
    ours = json.loads(suite(tmp_path, "rule", "ours:claude-closed", "--json").stdout)
    another = json.loads(suite(tmp_path, "rule", "slot:claude-closed", "--json").stdout)
    vice = suite(tmp_path, "rule", "slot/legacy-name-only")

    assert ours["calls for"] == "nothing: it is off"
    assert another["calls for"] == "creds-invalid (66)"
    assert vice.stdout.startswith("slot/legacy-name-only: ")


def test_without_a_name_every_rule_of_the_contract_is_listed(tmp_path: Path) -> None:
    rules = json.loads(suite(tmp_path, "rule", "--contract", "preflight", "--json").stdout)
    lines = suite(tmp_path, "rule", "--contract", "preflight").stdout

    assert len(rules) > 10
    assert all(f"{rule['name']}  " in lines for rule in rules)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rule", "slot:claude-logn"], "no rule 'claude-logn' in the contract slot; did you mean claude-login"),
        (["rule", "nobody:x"], "no contract 'nobody'; bundled: "),
        (["rule", "slot/legacy-name"], "no wrong probe 'slot/legacy-name' in the bank; did you mean slot/legacy-name-only"),
        (["rule", "--contract", "preflight", "slot:claude-login"], "slot:claude-login is no rule of the contract preflight; name it without a contract"),
        (["run", "-v", "-q"], "--verbose and --quiet exclude each other; give one of them"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    done = suite(tmp_path, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"probe-conformance: {message}")
    assert done.stderr.count("\n") == 1
