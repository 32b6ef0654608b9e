"""The contract of entrypoints, on this machine: the reference, entrypoints of others, and the commands around it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support_cli import suite

from conformance.bundled import fixtures_dir

CONTRACT = ("--contract", "entrypoint")
REFERENCE = fixtures_dir() / "probes" / "entrypoint.sh"
STRANGERS = Path(__file__).parents[1] / "strangers"
#: Where only an image has the program: the suite puts no file into this machine.
ONLY_IMAGES = "no stub can stand in the place of /opt/conformance/slot.py here: an image shows that"

#: One of each vice: a mode nobody knows is run, an empty file is made, the HOME is filled in first, the CLI is waited for.
VICES = {
    "    *) die 'AGENT_MODE is unknown: it must be interactive, worker, auth-init or smoke-test' ;;": '    *) set -- "$AGENT_MODE" "$@" ;;',
    'if [ "$agent" = codex ] && [ -n "${CODEX_SESSION-}" ]; then\n    seed\nfi\n': 'mkdir -p "$HOME/.codex"\n[ -e "$HOME/.codex/auth.json" ] || : > "$HOME/.codex/auth.json"\n"$agent" --version\n',
    "agent=${AGENT-${WOVED_TASK_AGENT-}}\n": "agent=${AGENT-${WOVED_TASK_AGENT-}}\n(baseline)\n",
}


def entrypoint(directory: Path, edits: Mapping[str, str]) -> None:
    """Write ``entry`` to *directory*: the reference with *edits*, each of a text that is there once."""
    text = REFERENCE.read_text()
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (directory / "entry").write_text(text)
    (directory / "entry").chmod(0o755)


def run(directory: Path, *arguments: str, status: int) -> dict[str, Any]:
    """Run the contract, and return the rows of the report by id."""
    done = suite(directory, "run", *CONTRACT, "--json", "report.json", *arguments, merged=True)
    assert done.returncode == status, done.stdout
    report = json.loads((directory / "report.json").read_text())
    return {row["id"]: row for row in report["scenarios"]}


def kinds(row: Mapping[str, Any]) -> list[str]:
    return [finding["kind"] for finding in row["findings"]]


@pytest.mark.parametrize(
    "probe",
    [
        pytest.param([], id="reference"),
        pytest.param(["--probe", str(STRANGERS / "entrypoint_in_bash.sh")], id="bash"),
        pytest.param(["--probe", str(STRANGERS / "entrypoint_in_python.py")], id="python"),
    ],
)
@pytest.mark.slow
@pytest.mark.in_turn(3)
def test_right_entrypoints_conform_in_every_scenario(probe: list[str], tmp_path: Path) -> None:
    if probe and shutil.which("bash") is None:
        pytest.skip("there is no bash on this machine")

    rows = run(tmp_path, *probe, status=0)

    left = {id_: row["reason"] for id_, row in rows.items() if row["result"] != "conforms"}
    assert set(left.values()) <= {ONLY_IMAGES}
    assert all("smoke-test" in id_ or id_ == "entrypoint/exit-code/probe" for id_ in left)
    assert len(rows) - len(left) > 60


@pytest.mark.slow
def test_each_vice_of_one_entrypoint_is_named(tmp_path: Path) -> None:
    """The limit is short here, so that nobody waits long for the CLI that hangs."""
    entrypoint(tmp_path, VICES)
    (tmp_path / "own.toml").write_text(
        'name = "own"\nversion = "1"\nsummary = "s"\nextends = "entrypoint"\n[limits]\nseconds = 4\n'
    )
    ids = ["mode/program", "mode/unknown", "no-session/nothing-there", "cli/hangs"]

    chosen = [f"entrypoint/{id_}" for id_ in ids]
    rows = run(
        tmp_path, "--contract", "own.toml", "--probe", "./entry", "-n", "0", *chosen, status=1
    )

    found = {id_.removeprefix("entrypoint/"): kinds(row) for id_, row in rows.items()}
    assert found == {
        "mode/program": ["wrong-verdict", "side-effect"],
        "mode/unknown": ["outside-contract", "side-effect"],
        "no-session/nothing-there": ["wrong-seed"],
        "cli/hangs": ["timed-out"],
    }
    started = rows["entrypoint/mode/program"]["findings"][0]["message"]
    assert started == (
        "expected exit code 1 with nothing started, got 'claude --continue' started, and exit code 0"
    )
    [start] = rows["entrypoint/mode/program"]["steps"]
    assert (start["operation"], start["got"]) == (
        "start",
        "'claude --continue' started, and exit code 0",
    )
    waits = rows["entrypoint/cli/hangs"]["findings"][0]["message"]
    assert waits.endswith("within 4 s: it waits for 'claude --version', which does not end")


@pytest.mark.slow
def test_what_a_stub_shows_is_what_the_program_got(tmp_path: Path) -> None:
    """A contract and a scenario of one's own: another mode, other arguments, a variable that must not reach it."""
    (tmp_path / "contract.toml").write_text(
        """
name = "own"
version = "1"
summary = "s"
extends = "entrypoint"
[entrypoint.modes.serve]
program = ["tidy-server", "--for", "{agent}", "{args}"]
reaches = ["PORT"]
withholds = ["GH_TOKEN"]
[rules]
serve = { expect = "started", text = "serve starts the server" }
"""
    )
    (tmp_path / "cases/own").mkdir(parents=True)
    (tmp_path / "cases/own/served.toml").write_text(
        """
summary = "The server is started"
origin = "ours: the server came without its port"
agent = "codex"
control = "entrypoint/mode/unknown-codex"
inputs.mode = "serve"
env.set.PORT = "80"
rules.own = "serve"
[expect]
own = "started"
[start]
arguments = ["a b"]
code = 3
"""
    )
    words = ["--contract", "contract.toml", "--scenarios", "cases", "-n", "0", "own/served"]

    def messages(text: str, status: int) -> list[str]:
        (tmp_path / "entry").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "entry").chmod(0o755)
        rows = run(tmp_path, *words, "--probe", "./entry", status=status)
        return [finding["message"] for finding in rows["own/served"]["findings"]]

    start = 'tidy-server --for "$AGENT" "$@"'
    assert messages(f"unset GH_TOKEN; exec {start}", 0) == []
    assert messages(f"unset GH_TOKEN; {start}; exit $?", 0) == []
    assert messages(f"exec {start}", 1) == [
        "GH_TOKEN reached 'tidy-server --for codex 'a b'', which it must not"
    ]
    assert messages(f"unset GH_TOKEN; PORT=81 exec {start}", 1) == [
        "PORT of 'tidy-server --for codex 'a b'' is \"81\", and the entrypoint got \"80\""
    ]
    assert messages("exec tidy-server --for codex a b", 1) == [
        "expected 'tidy-server --for codex 'a b'' to be started, got 'tidy-server --for codex a b'"
    ]
    assert messages("exit 3", 1) == [
        "expected 'tidy-server --for codex 'a b'' to be started, got exit code 3, and no program that the contract names was started"
    ]


def test_commands_around_it(tmp_path: Path) -> None:
    shown = suite(tmp_path, "show", *CONTRACT, "entrypoint/again/refreshed").stdout
    assert "a second start, after + .codex/auth.json" in shown
    assert "expect entrypoint  started\n" in shown

    again = suite(tmp_path, "repro", *CONTRACT, "entrypoint/exit-code/shell", "--keep", "kept")
    assert again.returncode == 0
    assert "got: started (7)" in again.stdout
    assert (
        "start 1: the entrypoint is started with mode 'interactive'; expected a shell"
        in again.stdout
    )
    command = again.stdout.split("command:\n", 1)[1].splitlines()[0].strip()
    assert os.waitstatus_to_exitcode(os.system(command)) == 7

    for words in (
        ("lockstep", "--manager", str(fixtures_dir() / "managers" / "slot.toml")),
        ("contract", "--from-manager", str(fixtures_dir() / "managers" / "slot.toml")),
        ("run", "--python", "json:loads"),
    ):
        refused = suite(tmp_path, *words, *CONTRACT)
        assert refused.returncode == 2
        assert "contract 'entrypoint' is about an entrypoint, which " in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_a_link_in_the_home_leads_no_change_out_of_it(tmp_path: Path) -> None:
    """What happens between two starts, the suite does itself, as whoever it runs as."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    (tmp_path / "own.toml").write_text(
        'summary = "Some rule"\norigin = "contract entrypoint: something"\nagent = "claude"\n'
        'control = "entrypoint/mode/unknown"\ninputs.mode = "worker"\nrules.entrypoint = "worker"\n'
        'expect.entrypoint = "started"\n[start.again.home]\nremove = ["way/keep"]\n'
    )
    (tmp_path / "entry.sh").write_text(
        f'#!/bin/sh\nln -sf {outside} "$HOME/way"\nexec claude "$@"\n'
    )
    (tmp_path / "entry.sh").chmod(0o755)

    rows = run(tmp_path, "own.toml", "--probe", "./entry.sh", status=3)

    [row] = rows.values()
    assert (row["result"], row["reason"]) == (
        "unsupported",
        "a link on the way to way/keep leads out of the HOME",
    )
    assert (outside / "keep").exists()


def test_a_session_of_bytes_is_judged(tmp_path: Path) -> None:
    rows = run(
        tmp_path, "entrypoint/starts/worker-codex", "--env", "CODEX_SESSION=\udcff", status=0
    )

    assert [row["result"] for row in rows.values()] == ["conforms"]
