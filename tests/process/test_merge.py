"""The command merge, on reports that runs have written."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from support_cli import suite

#: Some that deviate for a probe that always says ready, and some that wait.
CHOSEN = ("agent/*", "claude/baseline-only", "claude/fifo-only", "claude/nested-session")
OWN = """
summary = "A login that the vault writes counts"
origin = "the vault's own way of handing out credentials"
agent = "claude"
control = "claude/baseline-only"

[expect]
harbour = "ready"

[home]
include = ["claude-baseline"]

[home.files]
".claude/vault/login" = "{secret}"
"""
HARBOUR = """
name = "harbour"
version = "1"
summary = "As slot, with other codes"
extends = "slot"
verdicts.cli-broken = { code = 70 }
"""


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_bytes())
    return document


def run_shards(directory: Path, count: int, *words: str) -> list[str]:
    """Run so many shards; return the files of their reports."""
    files = []
    for index in range(1, count + 1):
        file = f"{index}.json"
        shard = ("--shard", f"{index}/{count}", "--json", file)
        done = suite(directory, "run", *words, *shard, "-q", "-n", "0")
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout.rstrip().endswith(f"(shard {index} of {count})")
        files.append(file)
    return files


def told(report: dict[str, Any]) -> dict[str, Any]:
    """Return what two runs of one probe have to say alike: all but times, and what is made anew in each."""
    rows = [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in report["scenarios"]
    ]
    beside = ("started", "seconds", "shard", "shards")
    return {name: value for name, value in report.items() if name not in beside} | {
        "scenarios": rows
    }


@pytest.mark.slow
@pytest.mark.in_turn(3)
def test_shards_that_really_ran_are_the_whole_run(tmp_path: Path) -> None:
    words = (*CHOSEN, "--probe", "true", "--seed", "17", "--now", str(time.time()))
    whole = suite(tmp_path, "run", *words, "--json", "whole.json", "--junit", "whole.xml")
    files = run_shards(tmp_path, 3, *words)

    done = suite(
        tmp_path, "merge", *files, "-o", "all.json", "--junit", "all.xml", "--html", "all.html"
    )

    assert done.returncode == whole.returncode == 1, done.stderr
    assert told(read(tmp_path / "all.json")) == told(read(tmp_path / "whole.json"))
    assert len(read(tmp_path / "all.json")["causes"]) > 0
    times = re.compile(r'time="[0-9.]+"')
    texts = [(tmp_path / file).read_text() for file in ("all.xml", "whole.xml")]
    assert times.sub("", texts[0]) == times.sub("", texts[1])
    assert "claude/nested-session" in (tmp_path / "all.html").read_text()
    shown, ran = (re.sub(r"in [0-9.]+ s", "", one.stdout).splitlines() for one in (done, whole))
    assert shown[-1] == ran[-1]
    assert shown[0].endswith("scenarios, merged from 3 shards")


@pytest.mark.in_turn(3)
def test_two_shards_of_a_contract_and_scenarios_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "harbour.toml").write_text(HARBOUR)
    (tmp_path / "vault-token.toml").write_text(OWN)
    words = ("vault-token.toml", "claude/baseline-only", "--contract", "harbour.toml")
    probe = ("--probe", "sh -c 'exit 65'")
    first, second = run_shards(tmp_path, 2, *words, *probe)

    # What these are is not known without the files.
    unknown = suite(tmp_path, "merge", first, second)
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (
        2,
        "",
        "probe-conformance: contract 'harbour' is not known here; name its file with --contract\n",
    )
    named = ("--contract", "harbour.toml")
    unknown = suite(tmp_path, "merge", first, second, *named, "-o", "all.json")
    assert unknown.returncode == 3
    assert "no scenario 'vault-token' here; name its directory with --scenarios" in unknown.stderr
    assert not (tmp_path / "all.json").exists()

    done = suite(tmp_path, "merge", first, second, "vault-token.toml", *named, "-o", "all.json")

    assert done.returncode == 1, done.stderr
    assert [row["id"] for row in read(tmp_path / "all.json")["scenarios"]] == [
        "claude/baseline-only",
        "vault-token",
    ]
    # Nothing of the reports is lost by a name that was typed wrong.
    kept = (tmp_path / first).read_bytes()
    again = suite(tmp_path, "merge", first, second, *named, "--junit", f"./{first}")
    assert again.returncode == 2
    assert again.stderr == (
        f"probe-conformance: ./{first} is one of the reports; name another file to write\n"
    )
    assert (tmp_path / first).read_bytes() == kept
    # A report that is named twice is one.
    twice = suite(tmp_path, "merge", first, f"./{first}", *named)
    assert twice.stderr == "probe-conformance: shard 2 of 2 is missing\n"


@pytest.mark.in_turn(3)
def test_what_shards_were_compared_with_the_whole_is_compared_with(tmp_path: Path) -> None:
    words = ("claude/baseline-only", "claude/nested-session", "--probe", "sh -c 'exit 65'")
    base = suite(tmp_path, "run", *words, "--json", "base.json", "-q", "-n", "0")
    assert base.returncode == 1
    files = run_shards(tmp_path, 2, *words, "--baseline", "base.json")

    without = suite(tmp_path, "merge", *files, "-o", "all.json")
    done = suite(tmp_path, "merge", *files, "-o", "all.json", "--baseline", "base.json")

    assert without.returncode == 2
    assert without.stderr == (
        "probe-conformance: the shards were compared with a baseline, which the whole has to be,"
        " too; name it with --baseline\n"
    )
    assert done.returncode == 0, done.stderr
    report = read(tmp_path / "all.json")
    assert (report["exit_status"], report["baseline"]["worse"]) == (0, 0)
    assert report["baseline"]["same"] == 2


def test_what_is_no_report_or_cannot_be_cut_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")

    none = suite(tmp_path, "merge", "a.toml")
    other = suite(tmp_path, "merge", "other.json")
    more = suite(tmp_path, "run", "cli/healthy", "--shard", "1/2")

    assert [done.returncode for done in (none, other, more)] == [2, 2, 2]
    assert none.stderr.startswith("probe-conformance: there is no report to merge; name")
    assert other.stderr.startswith("probe-conformance: other.json is no report of a run: ")
    assert more.stderr.startswith("probe-conformance: 1 scenario cannot be cut into 2 shards;")
    assert [done.stderr.count("\n") for done in (none, other, more)] == [1, 1, 1]


@pytest.mark.in_turn(3)
def test_compare_and_lockstep_say_which_shard_they_are(tmp_path: Path) -> None:
    """Each runs no more than its part, and together they run everything."""
    (tmp_path / "manager.json").write_text(json.dumps({"0": "accept-tasks"}))
    ids = ("agent/unmapped", "claude/baseline-only", "codex/api-key")
    part = ("-n", "0", "--json", "-", "--seed", "17")
    ran: dict[str, list[str]] = {"compare": [], "lockstep": []}
    commands = {
        "compare": ("--reference", "slot", "--probe", "true", *ids),
        "lockstep": ("--manager", "manager.json", "--probe", "true", *ids),
    }
    for command, words in commands.items():
        for index in (1, 2):
            done = suite(tmp_path, command, *words, *part, "--shard", f"{index}/2")
            report = json.loads(done.stdout)
            assert (report["shard"]["index"], report["shard"]["scenarios"]) == (index, 3)
            ran[command] += [row["id"] for row in report["scenarios"]]
            assert f"shard {index} of 2" in done.stderr

    assert sorted(ran["compare"]) == sorted(ran["lockstep"]) == sorted(ids)
