"""The command strength: what a bank of wrong probes shows about the catalogue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from support import start
from support_cli import suite

from conformance.catalogue.catalogue import load_catalogue
from conformance.strength.bank import bundled_bank
from conformance.strength.tally import constants

HEAD = 'contract = "slot"\nbase = "slot.py"\n'
LEGACY = """\
[wrong.legacy]
vice = "One name only"
report = "somewhere: it was met"
about = ["claude/nested-session"]
edits = [{ old = "files <= BASELINE and not holds_file(directories, unreadable)", new = "'credentials.json' not in files" }]
"""
ACCIDENT = """\
[wrong.accident]
vice = "Missing is invalid"
about = ["agent/claude-ready"]
edits = [{ old = "= 0, 1, 64, 65, 66", new = "= 0, 1, 64, 66, 66" }]
"""
HARMLESS = """\
[wrong.harmless]
vice = "Nothing that anybody could see"
about = ["agent/claude-ready"]
edits = [{ old = "Nothing is written.", new = "Nothing at all is written." }]
"""
HANGS = """\
[wrong.hangs]
vice = "It never answers"
about = ["agent/claude-ready"]
edits = [{ old = "def judge() -> None:", new = "time.sleep(600)\\n\\n\\ndef judge() -> None:" }]
"""


def strength(
    directory: Path, bank: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run strength on a bank with this text; return how that ended, and the JSON report."""
    (directory / "bank").mkdir(exist_ok=True)
    (directory / "bank" / "slot.toml").write_text(bank)
    words = ["strength", "--bank", "bank", "--json", "report.json", *arguments]
    done = suite(directory, *words)
    report = directory / "report.json"
    return done, json.loads(report.read_text()) if report.exists() else {}


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_wrong_probe_is_caught_by_a_scenario_about_its_vice(tmp_path: Path, workers: str) -> None:
    done, report = strength(tmp_path, HEAD + LEGACY, "-n", workers)

    assert (done.returncode, done.stderr) == (0, "")
    assert "  legacy  claude/nested-session (wrong-verdict)\n" in done.stdout
    assert "1 of 1 caught by a scenario about their vice in " in done.stdout
    [row] = report["wrong_probes"]
    assert (row["id"], row["vice"], row["report"]) == (
        "slot/legacy",
        "One name only",
        "somewhere: it was met",
    )
    assert row["caught_by"] == [
        {"scenario": "claude/nested-session", "findings": ["wrong-verdict"], "about": True}
    ]
    # Caught at once, it is run no further; then the right probe has to conform there.
    assert (row["executions"], report["executions"], report["survivors"], report["trouble"]) == (
        1,
        2,
        [],
        [],
    )


@pytest.mark.slow
def test_survivors_and_accidental_catches_fail(tmp_path: Path) -> None:
    done, report = strength(
        tmp_path, HEAD + ACCIDENT + HARMLESS, "claude/no*", "agent/*", "cli/hangs"
    )

    assert done.returncode == 1
    assert "  SURVIVES harmless: Nothing that anybody could see\n" in done.stdout
    assert "  BY ACCIDENT accident: caught by " in done.stdout
    assert done.stdout.endswith("1 survive, 1 by accident\n")
    assert (report["survivors"], report["by_accident"]) == (["slot/harmless"], ["slot/accident"])
    asked = [
        id_
        for id_ in load_catalogue().scenarios
        if id_ == "cli/hangs" or id_.startswith(("claude/no", "agent/"))
    ]
    assert {row["id"]: row["executions"] for row in report["wrong_probes"]}["slot/harmless"] == len(
        asked
    )


@pytest.mark.slow
def test_full_tells_what_each_scenario_is_good_for(tmp_path: Path) -> None:
    done, report = strength(
        tmp_path, HEAD + LEGACY + ACCIDENT, "--full", "claude/n*", "agent/unmapped"
    )

    [contract] = report["contracts"]
    rows = {row["id"]: row for row in contract["scenarios"]}
    assert rows["claude/nested-session"]["catches"] == ["legacy"]
    assert rows["claude/no-dot-claude"] == {
        "id": "claude/no-dot-claude",
        "catches": ["accident"],
        "only": ["accident"],
    }
    assert rows["agent/unmapped"]["catches"] == []
    assert "  catch nothing: " in done.stdout
    assert "  catch only what others catch as well: " in done.stdout
    caught = {row["id"]: len(row["caught_by"]) for row in report["wrong_probes"]}
    assert caught["slot/legacy"] > 2
    assert set(rows) >= set(caught_ids(report))
    # Of a scenario in which nothing ran, nobody knows what it catches.
    assert {row.partition("/")[0] for row in rows} == {"claude", "agent"}
    assert all(row.startswith(("claude/n", "agent/unmapped")) for row in rows)


def caught_ids(report: dict[str, Any]) -> list[str]:
    return [catcher["scenario"] for row in report["wrong_probes"] for catcher in row["caught_by"]]


@pytest.mark.slow
def test_a_right_probe_that_is_wrong_catches_nothing(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "mine.sh").write_text("#!/bin/sh\nexit 65 # always\n")
    bank = (
        HEAD.replace("slot.py", "mine.sh")
        + LEGACY.partition("edits")[0]
        + 'edits = [{ old = "always", new = "ever" }]\n'
    )

    done, report = strength(tmp_path, bank)

    assert (done.returncode, report["survivors"]) == (1, ["slot/legacy"])
    assert report["trouble"] == [
        "the right probe of slot fails claude/nested-session itself, which therefore catches nothing"
    ]


@pytest.mark.slow
def test_full_asks_a_probe_that_never_answers_in_every_scenario_too(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    quick = 'name = "quick"\nversion = "1"\nsummary = "slot, but quick"\nextends = "slot"\n[limits]\nseconds = 2\n'
    (tmp_path / "quick.toml").write_text(quick)

    done, report = strength(
        tmp_path, HEAD.replace('"slot"', '"../quick.toml"') + HANGS, "--full", "agent/*"
    )

    [row] = report["wrong_probes"]
    assert (done.returncode, row["gave_up"]) == (0, False)
    assert row["executions"] == len(row["caught_by"]) > 5
    assert {finding for catcher in row["caught_by"] for finding in catcher["findings"]} == {
        "timed-out"
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--bank", "nowhere"],
            "no bank of wrong probes in nowhere; it takes a TOML file with a table [wrong]",
        ),
        (
            ["--contract", "cli-status"],
            "no wrong probes of contract 'cli-status'; there are some of ",
        ),
        (["claude/nothing"], "no scenario 'claude/nothing' in contract '"),
        (["-n", "x"], "--workers 'x' is not a number of workers; give 0 to 256, or auto"),
        (["--json", "nowhere/x.json"], "no directory "),
        (["--anew"], "--anew says how --write-dictionary works; name a directory, too"),
        (
            ["--write-dictionary", ".", "--check-dictionary", "."],
            "--write-dictionary and --check-dictionary exclude each other; give one of them",
        ),
        (
            ["--write-dictionary", ".", "agent/*"],
            "--write-dictionary is about whole banks, and about nothing else; leave out ",
        ),
        (["--check-dictionary", "nowhere"], "no directory nowhere for --check-dictionary; make it"),
        (
            ["--check-dictionary", ".", "--contract", "slot"],
            "slot.json: cannot be read: No such file or directory",
        ),
    ],
)
@pytest.mark.slow
def test_a_wrong_request_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = suite(tmp_path, "strength", *words)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"probe-conformance: {said}")


@pytest.mark.slow
def test_an_interrupted_strength_says_so_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "slot.toml").write_text(HEAD + HANGS)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with start(
        [sys.executable, "-m", "conformance", "strength", "--bank", "bank", "-n", "2"],
        cwd=tmp_path,
        env={**os.environ, **cache},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        until(lambda: any((tmp_path / "cache").rglob("slot.py")))
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)

    assert (running.returncode, said.splitlines()[-1].rpartition(": ")[2]) == (130, "INTERRUPTED")
    until(lambda: not mentions(str(tmp_path)))
    assert list((tmp_path / "cache" / "probe-conformance" / "runs").iterdir()) == []


@pytest.mark.slow
def test_a_killed_strength_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "slot.toml").write_text(HEAD + HANGS)
    with start(
        [sys.executable, "-m", "conformance", "strength", "--bank", "bank", "-n", "2"],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.DEVNULL,
    ) as running:
        until(lambda: any((tmp_path / "cache").rglob("slot.py")))
        running.kill()

    until(lambda: not mentions(str(tmp_path)))


@pytest.mark.slow
def test_a_lost_worker_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "slot.toml").write_text(HEAD + HANGS)
    with start(
        [sys.executable, "-m", "conformance", "strength", "--bank", "bank", "-n", "2"],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        until(lambda: any((tmp_path / "cache").rglob("worker-*")))
        [worker, *_] = (tmp_path / "cache").rglob("worker-*")
        os.kill(int(worker.name.split("-")[1]), signal.SIGKILL)
        _, said = running.communicate(timeout=60)

    assert (running.returncode, said) == (
        3,
        "probe-conformance: a worker was lost; try it with fewer, or with -n 0\n",
    )


def until(holds: Any) -> None:
    """Wait until something *holds*."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def mentions(words: str) -> list[str]:
    """Return the processes whose command or environment mentions *words*."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue
        if words.encode() in text and int(place.name) != os.getpid():
            found.append(place.name)
    return found


def test_who_starts_nothing_passes_no_scenario_in_which_something_has_to_start() -> None:
    catalogue = load_catalogue()
    contract = catalogue.contracts["entrypoint"]
    nothing, refuses = constants(catalogue, contract)

    assert (nothing.code, nothing.passes, refuses.code) == (0, (), 1)
    assert {catalogue.get(id_).expected(contract) for id_ in refuses.passes} == {
        ("refused",),
        ("started", "refused"),
    }


def test_a_constant_answer_passes_what_expects_it_and_no_other() -> None:
    catalogue = load_catalogue()
    for name in ("slot", "slot-strict", "preflight", "run-result", "auth-init", "cli-status"):
        contract = catalogue.contracts[name]
        rows = constants(catalogue, contract)

        assert [row.code for row in rows] == contract.all_codes
        passed_by: dict[str, int] = {}
        for row in rows:
            assert len(row.passes) < row.of
            for id_ in row.passes:
                passed_by[id_] = passed_by.get(id_, 0) + 1
        for id_, times in passed_by.items():
            cited = [contract.rules[rule] for rule in catalogue.get(id_).cites(contract)]
            left_open = any(len(contract.codes(rule.expect)) > 1 for rule in cited)
            assert times == 1 or left_open, id_


#: The bank is tried in parts, a part each day; CONFORMANCE_WHOLE_BANK=1 tries all of it.
PARTS = 5


def part_of_the_bank(directory: Path) -> Path:
    """Write today's part of the bundled bank below *directory*; return where it lies."""
    today = int(os.environ["CONFORMANCE_DAY"]) % PARTS
    place = directory / "bank"
    place.mkdir()
    for file in sorted(bundled_bank().glob("*.toml")):
        head, *tables = file.read_text().split("\n[wrong.")
        chosen = [table for table in tables if zlib.crc32(table.encode()) % PARTS == today]
        text = "\n[wrong.".join([head, *chosen])
        (place / file.name).write_text(text)
    return place


@pytest.mark.in_turn(3)
@pytest.mark.slow
def test_wrong_probes_of_the_bundled_bank_are_caught_by_a_scenario_about_their_vice(
    tmp_path: Path,
) -> None:
    whole = os.environ.get("CONFORMANCE_WHOLE_BANK") == "1"
    bank = [] if whole else ["--bank", str(part_of_the_bank(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "strength", *bank, "--json", "report.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.stderr == ""
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["survivors"], report["by_accident"], report["trouble"]) == ([], [], [])
    assert done.returncode == 0
    assert "executions, " in done.stdout.splitlines()[-1]
    shown = {
        row["name"]: [constant["code"] for constant in row["constants"]]
        for row in report["contracts"]
    }
    assert shown == {
        "slot": [0, 64, 65, 66],
        "slot-strict": [0, 64, 65, 66],
        "preflight": [0, 1],
        "gate": [0, 1],
        "entrypoint": [0, 1],
        "run-result": [0, 67, 68],
        "auth-init": [0, 1, 124],
        **({"cli-status": [0, 1]} if whole else {}),
    }
    assert whole or len(report["wrong_probes"]) > 100
